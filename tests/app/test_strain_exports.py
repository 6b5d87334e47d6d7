"""Strain maps on disk: NeXus, CSV, TIFF, figures, and back."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from scans import correlation, small_scan
from stopping import OLD, looks

from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.strain import run_strain
from braggscope.app.engine.strain_result import axes_on_scan
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.strain import output_paths, read_strain, rows, write_strain
from braggscope.app.export.strain_figures import strain_figure, strain_plot
from braggscope.app.export.tables import ExportError
from braggscope.app.files import OverwriteError
from braggscope.app.presenters.strain_export import write_maps
from braggscope.app.state.strain import StrainView


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return small_scan(tmp_path_factory.mktemp("strain") / "scan.h5")


@pytest.fixture(scope="module")
def result(scan):
    return run_strain(str(scan.path), correlation(), None, silent_context())


def provenance(result):
    return Provenance(result.scan.location, result.scan.info.identity, result.parameters)


def test_hdf5_is_nexus_and_comes_back(result, tmp_path):
    path = tmp_path / "strain.h5"
    assert write_strain(path, result, provenance(result)) == (path,)
    with h5py.File(path) as file:
        group = file[file.attrs["default"]][file["entry"].attrs["default"]]
        assert group.name == "/entry/strain"
        assert group.attrs["signal"] == "exx"
        assert group.attrs["axes"].tolist() == ["scan_y", "scan_x"]
        assert group["scan_x"].attrs["units"] == "nm"
        assert group["scan_x"][()].tolist() == [0, 2, 4, 6, 8, 10]
        for name in ("exx", "eyy", "exy", "theta", "exx_err", "eyy_err", "exy_err", "theta_err", "valid"):
            assert group[name].shape == (4, 6)
            assert group[name].dtype == np.float32
            assert "units" in group[name].attrs
        assert file["entry/process"].attrs["NX_class"] == "NXprocess"
        assert json.loads(file["entry/process/parameters"][()])["strain"]["method"] == "correlation"
    back = read_strain(path)
    for name in ("exx", "theta_err", "valid"):
        assert np.array_equal(getattr(back.strain, name), getattr(result.strain, name), equal_nan=True)
    assert back.strain.reference.a == pytest.approx(result.strain.reference.a)
    assert np.array_equal(back.disks.x, result.disks.x)
    assert np.array_equal(back.lattices.covariance, result.lattices.covariance)
    assert np.array_equal(back.probe.image, result.probe.image)
    assert back.probe.centre == result.probe.centre
    assert set(back.images) == {"bright_field", "dark_field"}
    assert back.provenance["program"] == "Braggscope"


def test_csv_has_a_row_for_every_position(result, tmp_path):
    path, beside = write_strain(tmp_path / "a.csv", result, provenance(result))
    table = np.genfromtxt(path, delimiter=",", names=True)
    assert len(table) == 24
    np.testing.assert_allclose(table["exx"], result.strain.exx.ravel(), rtol=1e-6)
    assert table["x_nm"][1] == 2.0
    assert set(rows(result)) == set(table.dtype.names)
    assert "Biot" in json.loads(beside.read_text("utf-8"))["strain"]


def test_tiff_is_one_map_each(result, tmp_path):
    written = write_strain(tmp_path / "a.tif", result, provenance(result))
    assert len(written) == 9
    values = tifffile.imread(tmp_path / "a_theta.tif")
    assert values.dtype == np.float32
    assert np.array_equal(values, result.strain.theta)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_figures_are_drawn(result, tmp_path, suffix):
    strain_figure(tmp_path / f"a{suffix}", result, errors=suffix == ".png", limit=0.03)
    assert (tmp_path / f"a{suffix}").stat().st_size > 4000


def test_what_cannot_be_written_or_read_is_one_sentence(result, scan, tmp_path):
    with pytest.raises(ExportError, match="no known suffix"):
        write_strain(tmp_path / "a.xyz", result, provenance(result))
    with pytest.raises(ExportError, match="is no strain file"):
        read_strain(scan.path)
    with pytest.raises(ExportError, match="There is no file"):
        read_strain(Path("nowhere.h5"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("transpose", [False, True])
def test_axes_lie_on_the_scan_as_the_rotation_says(result, transpose):
    frame, rotation = 0.2, 0.5
    parameters = result.parameters.with_strain(frame=frame, rotation=rotation, transpose=transpose)
    turned = replace(result, strain=replace(result.strain, frame=frame), parameters=parameters)
    c, s = np.cos(rotation), np.sin(rotation)
    # the sense of the parameter: from the pattern's x to the scan's x, towards y
    to_scan = np.array([[c, s], [-s, c]]) @ (np.eye(2)[::-1] if transpose else np.eye(2))
    for angle, way in zip(axes_on_scan(turned), (frame, frame + np.pi / 2), strict=True):
        wanted = to_scan @ (np.cos(way), np.sin(way))
        assert (np.cos(angle), np.sin(angle)) == pytest.approx(tuple(wanted))


@pytest.mark.parametrize("transpose", [False, True])
def test_a_figure_draws_turned_axes_at_their_angle_beside_the_map(result, transpose):
    parameters = result.parameters.with_strain(rotation=np.pi / 6, transpose=transpose)
    figure = strain_plot(replace(result, parameters=parameters))
    figure.draw_without_rendering()
    maps = figure.axes[0]
    drawn = [text for text in maps.texts if getattr(text, "arrow_patch", None) is not None]
    for arrow, angle in zip(drawn, axes_on_scan(replace(result, parameters=parameters)), strict=True):
        shape = arrow.arrow_patch.get_window_extent()
        assert np.arctan2(shape.height, shape.width) == pytest.approx(
            np.arctan2(abs(np.sin(angle)), abs(np.cos(angle))), abs=0.25
        )
        assert shape.x1 < maps.get_window_extent().x0, "it hides nothing"
        assert shape.x0 > 0
    assert maps.title.get_window_extent().y1 <= figure.bbox.y1, "the title is whole"


@pytest.mark.parametrize(("suffix", "least"), [(".h5", 30), (".csv", 3), (".tif", 9), (".png", 1)])
def test_cancelled_maps_replace_nothing(result, tmp_path, suffix, least):
    path = tmp_path / f"a{suffix}"
    paths = (path,) if suffix == ".png" else output_paths(path)
    assert looks(lambda context: write_maps(path, result, StrainView(), "cpu", context), *paths) >= least


def test_no_file_of_an_export_replaces_what_is_read(result, tmp_path):
    mask = tmp_path / "own_exx.tif"
    mask.write_bytes(OLD)
    known = result.parameters.with_prepare(mask_file=str(mask))
    masked = replace(result, parameters=known)
    with pytest.raises(OverwriteError, match=r"own_exx\.tif is one of the files that are read"):
        write_maps(tmp_path / "own.tif", masked, StrainView(), "cpu", silent_context())
    assert mask.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [mask]

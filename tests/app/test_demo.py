import json
from types import SimpleNamespace

import h5py
import hdf5plugin  # noqa: F401 - registers the filter
import numpy as np
import pytest

from braggscope.app import demo
from braggscope.app.engine.jobs import Cancelled
from braggscope.models.peaks.simulate import Series, SeriesSpec

SPEC = SeriesSpec(frames=20, shape=(64, 72), grains=6, seed=3)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "series.h5"
    demo.write_demo_series(path, spec=SPEC)
    return path


def test_the_file_holds_the_series(path):
    series = Series(SPEC)
    with h5py.File(path) as file:
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        frames = data[data.attrs["signal"]]
        assert frames.dtype == np.uint16
        assert frames.chunks == (1, 64, 72)
        assert "32008" in str(frames._filters)
        for i in (0, 16, 19):
            np.testing.assert_array_equal(frames[i], series.frame(i))
        np.testing.assert_array_equal(data["voltage_V"], series.voltage_V)
        assert data["time_s"].attrs["units"] == "s"
        detector = entry["instrument/detector"]
        np.testing.assert_array_equal(detector["pixel_mask"], series.pixel_mask)
        assert detector["data"] == frames
        assert detector["distance"].attrs["units"] == "m"
        assert detector["beam_center_x"][()] == SPEC.centre_px[0]
        assert entry["instrument/beam/incident_energy"][()] == 9.0


def test_every_group_has_its_nexus_class(path):
    classes = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                classes.update({name: item.attrs["NX_class"]}) if isinstance(item, h5py.Group) else None
            )
        )
    assert classes["entry"] == "NXentry"
    assert classes["entry/data"] == "NXdata"
    assert classes["entry/instrument/detector"] == "NXdetector"


def test_the_truth_is_inside(path):
    truth = Series(SPEC).truth
    with h5py.File(path) as file:
        peaks = {name: column[()] for name, column in file["truth/peaks"].items()}
        np.testing.assert_array_equal(file["truth/splits"], truth.splits())
        assert file["truth/peaks/x"].attrs["units"] == "pixel"
        d0, wavelength = (
            file["truth/geometry/d0_angstrom"][()],
            file["truth/geometry/wavelength_angstrom"][()],
        )
        cx, cy = file["truth/geometry/centre_px"][()]
        distance, pixel = file["truth/geometry/distance_m"][()], file["truth/geometry/pixel_size_m"][()]
    assert set(peaks) == set(truth.table())
    for name, column in truth.table().items():
        np.testing.assert_array_equal(peaks[name], column)
    two_theta = np.arctan(np.hypot(peaks["x"] - cx, peaks["y"] - cy) * pixel / distance)
    np.testing.assert_allclose(wavelength / 2 / np.sin(two_theta / 2) / d0 - 1, peaks["strain"], atol=1e-13)


def test_it_says_what_made_it_and_nothing_of_the_machine(path):
    with h5py.File(path) as file:
        process = file["entry/process"]
        assert json.loads(process["parameters"].asstr()[()])["seed"] == 3
        assert process["program"].asstr()[()] == "braggscope"
    assert str(path.parent).encode() not in path.read_bytes()


def test_the_same_seed_gives_the_same_file(path, tmp_path):
    other = tmp_path / "other.h5"
    demo.write_demo_series(other, spec=SPEC)
    assert other.read_bytes() == path.read_bytes()


def test_progress_is_told_and_cancelling_leaves_nothing(tmp_path):
    told = []
    demo.write_demo_series(
        tmp_path / "a.h5", spec=SPEC, context=SimpleNamespace(progress=lambda *done: told.append(done))
    )
    assert told == [(0, 20), (16, 20), (20, 20)]

    def cancel(done, total):
        if done:
            raise Cancelled

    (tmp_path / "b.h5").write_bytes(b"old")
    with pytest.raises(Cancelled):
        demo.write_demo_series(tmp_path / "b.h5", spec=SPEC, context=SimpleNamespace(progress=cancel))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "b.h5"]
    assert (tmp_path / "b.h5").read_bytes() == b"old"


def test_it_is_written_once(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAGGSCOPE_HOME", str(tmp_path))
    monkeypatch.setattr(
        demo, "SeriesSpec", lambda seed: SeriesSpec(frames=2, shape=(32, 32), grains=1, seed=seed)
    )
    path = demo.ensure_demo_series(5)
    assert path == demo.demo_path(5)
    assert path.is_relative_to(tmp_path)
    stamp = path.stat().st_mtime_ns
    assert demo.ensure_demo_series(5) == path
    assert path.stat().st_mtime_ns == stamp
    assert demo.demo_path(6) != path

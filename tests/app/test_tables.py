"""Peak tables on disk: what is written is what is read, in every format, with the same positions."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from pyarrow import csv, parquet
from stopping import looks

from braggscope.app.export import tables as table_files
from braggscope.app.export import track_tables
from braggscope.app.export.cxi import write_cxi
from braggscope.app.export.masks import write_mask
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import ExportError, check_suffix, read_peaks, write_peaks
from braggscope.app.files import atomic_path
from braggscope.app.sources.base import Location
from braggscope.app.sources.images import load_image
from braggscope.models.parameters import Parameters
from braggscope.models.results import COLUMNS, WORDS, PeakTable, Status
from braggscope.models.tracks.link import link

PROVENANCE = Provenance(
    "/data/ß.h5", "id", Parameters().with_detect(minval=3.25), "braggnn", "ab12", "cpu", "0:9:1"
)
CONTRACT = """
    frame peak component col row birth death score status x_fit y_fit x_fit_err y_fit_err amplitude background
    fwhm_major fwhm_minor angle chi2 x_braggnn y_braggnn distance x_net y_net x_net_err y_net_err
    x y x_err y_err method
"""
OPTIONAL = """
    n_components window model background_model slope_x slope_y eta cov_xy quality q d two_theta azimuth
"""


def frame_table(frame: int, rows: int) -> PeakTable:
    """Numbers of every kind: NaN, tiny, huge, all statuses and methods."""
    random = np.random.default_rng(frame)
    floats = {c.name: random.normal(size=rows) * 10.0 ** random.integers(-12, 12, rows) for c in COLUMNS}
    for values in floats.values():
        values[random.random(rows) < 0.3] = np.nan
    whole = {c.name: random.integers(0, 2**40, rows) for c in COLUMNS if c.dtype == "int64"}
    kinds = {name: np.arange(rows) % len(kind) for name, kind in WORDS.items()}
    given = floats | whole | kinds | {"frame": np.full(rows, frame), "peak": np.arange(rows)}
    return PeakTable.blank(rows, **given)


TABLES = [frame_table(0, 17), frame_table(1, 0), frame_table(4, 30)]


def same(a: PeakTable, b: PeakTable) -> None:
    for column in COLUMNS:
        assert a[column.name].dtype == column.dtype, column.name
        assert np.array_equal(a[column.name], b[column.name], equal_nan=column.dtype == "float64"), (
            column.name
        )


def test_the_columns_are_those_of_the_contract():
    names = CONTRACT.split()
    assert [c.name for c in COLUMNS][: len(names)] == names
    assert [c.name for c in COLUMNS][len(names) :] == OPTIONAL.split()


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5", ".CSV"])
@pytest.mark.parametrize("tables", [TABLES, [], [TABLES[1]]], ids=["rows", "nothing", "no rows"])
def test_round_trip(tmp_path, suffix, tables):
    path = tmp_path / f"a.b{suffix}"
    whole = PeakTable.concatenate(tables)
    assert write_peaks(path, iter(tables), PROVENANCE) == len(whole)
    if suffix != ".CSV":
        same(read_peaks(path), whole)
    left = {p.name for p in tmp_path.iterdir()}
    assert left == ({path.name, f"{path.name}.json"} if suffix.lower() == ".csv" else {path.name})


def test_many_rows_are_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("braggscope.app.export.tables.ROWS", 20)
    tables = [frame_table(i, 9) for i in range(12)]
    for suffix in (".csv", ".parquet", ".h5"):
        assert write_peaks(tmp_path / f"a{suffix}", iter(tables), PROVENANCE) == 108
        same(read_peaks(tmp_path / f"a{suffix}"), PeakTable.concatenate(tables))


def test_every_format_says_where_it_comes_from(tmp_path):
    for suffix in (".csv", ".parquet", ".h5", ".cxi"):
        write_peaks(tmp_path / f"a{suffix}", TABLES, PROVENANCE)
    texts = [(tmp_path / "a.csv.json").read_text()]
    texts.append(parquet.read_schema(tmp_path / "a.parquet").metadata[b"braggscope"].decode())
    with h5py.File(tmp_path / "a.h5") as file:
        texts.append(file["entry/process/provenance"][()].decode())
        assert file.attrs["default"] == "entry"
        group = file["entry"][file["entry"].attrs["default"]]
        assert group.attrs["signal"] in group
        assert list(group.attrs["axes"]) == ["frame"]
        assert group["x"].attrs["units"] == "px"
        assert file["entry/process"].attrs["NX_class"] == "NXprocess"
        assert json.loads(file["entry/process/parameters"][()])["detect"]["minval"] == 3.25
    with h5py.File(tmp_path / "a.cxi") as file:
        texts.append(file["entry_1/result_1"].attrs["provenance"])
    for text in texts:
        said = json.loads(text)
        assert Parameters.model_validate(said["parameters"]) == PROVENANCE.parameters
        assert (said["weights_sha256"], said["source"]) == ("ab12", "/data/ß.h5")
        assert "pixel centres are integers" in said["convention"]


def test_words_and_missing_numbers_in_csv(tmp_path):
    path = tmp_path / "a.csv"
    write_peaks(path, TABLES, PROVENANCE)
    lines = path.read_text().splitlines()
    assert lines[0].replace('"', "").split(",") == [c.name for c in COLUMNS]
    data = csv.read_csv(path)
    for name, kind in WORDS.items():
        assert set(data[name].to_pylist()) == {member.label for member in kind}
    missing = np.isnan(np.concatenate([t["x"] for t in TABLES]))
    assert missing.any()
    assert np.array_equal(np.isnan(data["x"].to_numpy()), missing)


def test_cxi_lists_hold_the_same_positions(tmp_path):
    table = PeakTable.blank(
        5, frame=np.array([2, 2, 2, 7, 7]), x=np.array([10.25, 20.5, np.nan, 3.0, 4.0]),
        y=np.array([1.0, 2.0, np.nan, 3.0, 4.0]), score=np.arange(5.0) + 100,
        status=np.array([Status.OK, Status.EDGE, Status.FAILED, Status.REJECTED, Status.OK]),
        amplitude=np.array([50.0, np.nan, np.nan, 1.0, 2.0]),
        background=np.array([4.0, np.nan, np.nan, 1, 1]),
        fwhm_major=np.array([3.0, np.nan, np.nan, 1, 1]), fwhm_minor=np.array([2.0, np.nan, np.nan, 1, 1]),
    )  # fmt: skip
    assert write_cxi(tmp_path / "a.cxi", [table], PROVENANCE) == 3
    with h5py.File(tmp_path / "a.cxi") as file:
        result = file["entry_1/result_1"]
        assert result["nPeaks"][()].tolist() == [2, 1]
        assert result["frame"][()].tolist() == [2, 7]
        assert result["peakXPosRaw"][()].tolist() == [[10.25, 20.5], [4.0, 0.0]]
        assert result["peakYPosRaw"][()].tolist() == [[1.0, 2.0], [4.0, 0.0]]
        intensity = result["peakTotalIntensity"][()]
        assert intensity[0, 0] == pytest.approx(2 * np.pi * 50 * 6 / (8 * np.log(2)), rel=1e-6)
        assert intensity[0, 1] == 101.0  # without a fit: the score
        assert result["peakSNR"][0].tolist() == [25.0, 0.0]
        assert "0.5" in result.attrs["convention"]


def test_cxi_has_a_row_for_every_analysed_frame(tmp_path):
    tables = [PeakTable.blank(2, frame=f, x=1.5, y=2.5, score=9.0) for f in (2, 5)]
    write_peaks(tmp_path / "a.cxi", iter(tables), PROVENANCE, frames=[0, 2, 3, 5, 8])
    with h5py.File(tmp_path / "a.cxi") as file:
        result = file["entry_1/result_1"]
        assert result["frame"][()].tolist() == [0, 2, 3, 5, 8]
        assert result["nPeaks"][()].tolist() == [0, 2, 0, 2, 0]
        assert result["peakXPosRaw"].shape == (5, 2)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5", ".cxi"])
def test_binned_tables_are_written_in_pixels_of_the_whole_frame(tmp_path, suffix):
    made = PROVENANCE.parameters.with_prepare(binning=4)
    table = PeakTable.blank(
        1, col=3, row=5, x=3.0, y=5.25, x_fit=3.0, x_err=0.1, cov_xy=0.01, fwhm_major=2.0, slope_x=8.0,
        window=11, amplitude=7.0,
    )  # fmt: skip
    write_peaks(tmp_path / f"a{suffix}", [table], replace(PROVENANCE, parameters=made))
    if suffix == ".cxi":
        with h5py.File(tmp_path / "a.cxi") as file:
            assert file["entry_1/result_1/peakXPosRaw"][0, 0] == 13.5  # the middle of pixels 12 … 15
        return
    whole = read_peaks(tmp_path / f"a{suffix}")
    names = [
        "col",
        "row",
        "x",
        "y",
        "x_fit",
        "x_err",
        "cov_xy",
        "fwhm_major",
        "slope_x",
        "window",
        "amplitude",
    ]
    expected = [13, 21, 13.5, 22.5, 13.5, 0.4, 0.16, 8.0, 2.0, 44, 7.0]
    assert [whole[name][0] for name in names] == pytest.approx(expected)


def test_what_cannot_be_written_is_said_before_anything_is_done(tmp_path):
    (tmp_path / "d.h5").mkdir()
    for path, words in (
        (tmp_path / "a.xlsx", "no known suffix"),
        (tmp_path / "a", "no known suffix"),
        (tmp_path / "none" / "a.csv", "does not exist"),
        (tmp_path / "d.h5", "is a folder"),
    ):
        with pytest.raises(ExportError, match=words):
            check_suffix(path)
    check_suffix(Path("here.csv"))


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def broken():
        yield TABLES[0]
        raise RuntimeError("no")

    for suffix in (".csv", ".parquet", ".h5", ".cxi"):
        with pytest.raises(RuntimeError):
            write_peaks(path.with_suffix(suffix), broken(), PROVENANCE)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5", ".cxi", ".flt"])
def test_a_cancelled_table_replaces_nothing(tmp_path, suffix):
    names = [f"a{suffix}", f"a{suffix}.json"] if suffix in (".csv", ".flt") else [f"a{suffix}"]
    paths = [tmp_path / name for name in names]
    least = len(TABLES) + len(paths)
    assert looks(lambda context: write_peaks(paths[0], TABLES, PROVENANCE, context=context), *paths) == least


@pytest.fixture
def tracked(monkeypatch):
    """Six frames of 14 spots, written ten rows at a time."""
    for module in (table_files, track_tables):
        monkeypatch.setattr(module, "ROWS", 10)
    x, y = np.random.default_rng(1).uniform(5, 995, (2, 14))
    table = PeakTable.concatenate(
        PeakTable.blank(
            14, frame=np.full(14, k), peak=np.arange(14), x=x + 0.1 * k, y=y, x_err=0.05, y_err=0.05
        )
        for k in range(6)
    )
    return track_tables.TrackedTable(table, link(table), provenance={"program": "Braggscope"})


@pytest.mark.parametrize(("suffix", "least"), [(".csv", 12), (".parquet", 11), (".h5", 50)])
def test_cancelled_tracks_replace_nothing(tmp_path, tracked, suffix, least):
    path = tmp_path / f"a{suffix}"
    paths = track_tables.output_paths(path)
    assert looks(lambda context: track_tables.write_tracks(path, tracked, context), *paths) >= least
    if suffix != ".h5":
        same(read_peaks(path), tracked.table)
        reader = csv.read_csv if suffix == ".csv" else parquet.read_table
        assert reader(paths[1]).num_rows == len(tracked.tracks) == 14


def test_reading_something_else_is_one_sentence(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.h5").write_bytes(b"nothing")
    (tmp_path / "a.parquet").write_bytes(b"nothing")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["entry/data"] = [1]
    for name in ("a.csv", "a.h5", "a.parquet", "b.h5", "none.csv", "a.cxi"):
        with pytest.raises(ExportError, match=r"(read as a|is no) peak table|There is no file") as caught:
            read_peaks(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_atomic_path_replaces_at_the_end_or_not_at_all(tmp_path):
    final = tmp_path / "a.tar.gz"
    final.write_text("old")
    with atomic_path(final) as temporary:
        assert temporary.name.endswith(".tar.gz")
        assert temporary.parent == tmp_path
        temporary.write_text("new")
        assert final.read_text() == "old"
    assert final.read_text() == "new"
    with pytest.raises(KeyError), atomic_path(final) as temporary:
        {}[temporary.write_text("half")]
    assert final.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".edf", ".h5"])
def test_masks_come_back_through_the_reader(tmp_path, suffix):
    mask = np.random.default_rng(1).random((9, 14)) > 0.7
    write_mask(tmp_path / f"m{suffix}", mask)
    assert np.array_equal(load_image(Location.parse(str(tmp_path / f"m{suffix}"))) != 0, mask)
    with pytest.raises(ExportError, match="suffix for a mask"):
        write_mask(tmp_path / "m.png", mask)

"""Rings of a frame, refinement on peak tables, and which instrument is in use."""

import numpy as np
import pytest

from braggscope.app.engine.rings import MOST_DRAWN, frame_rings, q_reach, refine_on_peaks, strongest
from braggscope.app.engine.setup import beam_centre, instrument_of, with_beam
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.state.session import ChosenInstrument, Session
from braggscope.models.calibrants import CALIBRANTS
from braggscope.models.cells import Cell
from braggscope.models.geometry import Beam, Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.peak_directions import with_directions
from braggscope.models.results import PeakTable
from braggscope.models.ring_refinement import RefinementError

SHAPE = (400, 500)
INSTRUMENT = Instrument.from_beam(0.4, (2e-4, 2e-4), Beam((230.0, 210.0), 0.2, 0.1, 0.5))
METADATA = {"energy_keV": 12.0, "distance_m": 0.3, "pixel_size_x_m": 1e-4, "beam_x_px": 7.0, "beam_y_px": 9.0}


def info(shape=SHAPE, quantities=None) -> SourceInfo:
    return SourceInfo(
        "a", "npy", 1, shape, "uint16", "id", quantities=METADATA if quantities is None else quantities
    )


@pytest.mark.parametrize("binning", [1, 2, 4])
def test_rings_lie_on_their_spacings_in_px_of_the_prepared_frame(binning):
    rings = dict(frame_rings(INSTRUMENT, CALIBRANTS["CeO2"], SHAPE, binning))
    curve = rings["220"][np.isfinite(rings["220"][:, 0])]
    whole = (curve + 0.5) * binning - 0.5
    assert INSTRUMENT.d_angstrom(*whole.T) == pytest.approx(5.411651 / np.sqrt(8), rel=1e-3)
    assert curve.max() <= max(SHAPE) / binning


def test_only_rings_of_the_frame_and_not_too_many():
    reach = q_reach(INSTRUMENT, SHAPE)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    assert reach == pytest.approx(INSTRUMENT.q_inv_angstrom(x, y).max(), rel=0.01)
    assert len(frame_rings(INSTRUMENT, Cell(a=11, b=12, c=13), SHAPE)) <= MOST_DRAWN
    corundum = dict(frame_rings(INSTRUMENT, CALIBRANTS["Al2O3"], SHAPE))
    assert "202" not in corundum  # half a percent of the strongest
    assert "104" in corundum


@pytest.mark.parametrize("binning", [1, 2])
def test_refinement_on_tables(binning):
    rings = frame_rings(INSTRUMENT, CALIBRANTS["CeO2"], SHAPE, binning)
    random = np.random.default_rng(0)
    points = np.concatenate([curve[np.isfinite(curve[:, 0])] for _, curve in rings])
    points += random.normal(0, 0.05, points.shape)
    halves = [
        PeakTable.blank(len(part), x=part[:, 0], y=part[:, 1], x_err=0.05, y_err=0.05, score=1.0)
        for part in np.array_split(points, 2)
    ]
    beam = INSTRUMENT.beam
    assert beam is not None
    start = Instrument.from_beam(0.4, (2e-4, 2e-4), beam._replace(centre_px=(240.0, 202.0)))
    calls = []
    found = refine_on_peaks(
        start, CALIBRANTS["CeO2"], halves, binning, SHAPE, ("centre",), lambda: calls.append(1)
    )
    assert found.instrument.beam is not None
    assert found.instrument.beam.centre_px == pytest.approx((230, 210), abs=0.1)
    assert len(calls) == 2
    far = Instrument.from_beam(5.0, (2e-4, 2e-4), beam)
    with pytest.raises(RefinementError, match="No ring of CeO2 reaches the frame; choose another"):
        refine_on_peaks(far, CALIBRANTS["CeO2"], halves, binning, SHAPE, ("centre",), lambda: None)
    with pytest.raises(RefinementError, match="no peaks"):
        refine_on_peaks(start, CALIBRANTS["CeO2"], [PeakTable.blank(3)], 1, SHAPE, ("centre",), lambda: None)


def test_columns_of_directions():
    table = PeakTable.blank(3, x=np.array([10.0, np.nan, 20.0]), y=np.array([11.0, 4.0, 5.0]))
    found = with_directions(table, INSTRUMENT, 2)
    x, y = np.array([20.5, 40.5]), np.array([22.5, 10.5])
    assert found["d"][[0, 2]] == pytest.approx(INSTRUMENT.d_angstrom(x, y))
    assert found["two_theta"][[0, 2]] == pytest.approx(INSTRUMENT.two_theta(x, y))
    assert found["azimuth"][[0, 2]] == pytest.approx(INSTRUMENT.azimuth(x, y))
    assert found["q"] * found["d"] == pytest.approx(np.array([2 * np.pi, np.nan, 2 * np.pi]), nan_ok=True)


def test_the_instrument_in_use():
    chosen = ChosenInstrument(instrument=INSTRUMENT, shape=SHAPE)
    assert instrument_of(info(), chosen) == INSTRUMENT
    from_file = instrument_of(info((10, 10)), chosen)  # frames of another detector
    assert from_file == Instrument.from_quantities(METADATA)
    assert instrument_of(info(quantities={}), None) is None
    assert Session.model_validate_json(Session(instrument=chosen).model_dump_json()).instrument == chosen


def test_the_beam_is_the_centre_of_radial_backgrounds():
    assert beam_centre(info(), 1) == (7.0, 9.0)
    assert beam_centre(info(), 2, INSTRUMENT) == pytest.approx((114.75, 104.75))
    radial = Parameters().with_prepare(background="radial", binning=2)
    assert with_beam(radial, INSTRUMENT).prepare.centre == pytest.approx((114.75, 104.75))
    assert with_beam(radial.with_prepare(centre=(1.0, 2.0)), INSTRUMENT).prepare.centre == (1.0, 2.0)
    assert with_beam(Parameters(), INSTRUMENT) == Parameters()
    assert with_beam(radial, None) == radial


def test_the_command_fills_the_columns_and_records_the_instrument(tmp_path, capsys):
    from braggscope.app import cli
    from braggscope.app.export.poni import write_poni
    from braggscope.app.export.tables import read_peaks

    random = np.random.default_rng(1)
    np.save(tmp_path / "a.npy", random.poisson(5, (1, 64, 64)).astype(np.uint16))
    write_poni(tmp_path / "a.poni", INSTRUMENT, (64, 64))
    write_poni(tmp_path / "b.poni", INSTRUMENT, (64, 65))
    words = ["peaks", str(tmp_path / "a.npy"), "--minval", "10", "--minscore", "3", "--localize", "fit", "-o"]
    out = tmp_path / "a.csv"
    assert cli.main([*words, str(out), "--poni", str(tmp_path / "a.poni")], lambda _: 1) == 0
    table = read_peaks(out)
    good = np.isfinite(table["x"])
    assert good.any()
    assert table["d"][good] == pytest.approx(INSTRUMENT.d_angstrom(table["x"], table["y"])[good])
    assert '"wavelength_angstrom": 0.4' in (tmp_path / "a.csv.json").read_text()
    capsys.readouterr()
    assert cli.main([*words, str(tmp_path / "b.csv"), "--poni", str(tmp_path / "b.poni")], lambda _: 1) == 2
    said = capsys.readouterr().err
    assert "64 x 65" in said
    assert "64 x 64" in said
    assert not (tmp_path / "b.csv").exists()
    assert not list(tmp_path.glob("b.csv*"))
    assert cli.main([*words, str(tmp_path / "a.poni"), "--poni", str(tmp_path / "a.poni")], lambda _: 1) == 2


def test_info_tells_the_instrument_of_the_metadata(tmp_path, capsys):
    import json

    import h5py

    from braggscope.app import cli

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = np.zeros((2, 8, 9), np.uint16)
        file["entry/instrument/beam/incident_energy"] = 12.0
        file["entry/instrument/beam/incident_energy"].attrs["units"] = "keV"
        detector = file.create_group("entry/instrument/detector")
        for name, value, unit in (
            ("detector_distance", 0.2, "m"), ("x_pixel_size", 75.0, "um"), ("y_pixel_size", 75.0, "um"),
            ("beam_center_x", 4.25, "pixel"), ("beam_center_y", 3.5, "pixel"),
        ):  # fmt: skip
            detector[name] = value
            detector[name].attrs["units"] = unit
    assert cli.main(["info", str(tmp_path / "a.h5"), "--json"], lambda _: 1) == 0
    told = json.loads(capsys.readouterr().out)["instrument"]
    assert told["energy_keV"] == pytest.approx(12.0)
    assert told["distance_m"] == told["beam_distance_m"] == pytest.approx(0.2)
    assert told["beam_centre_px"] == pytest.approx([4.25, 3.5])
    np.save(tmp_path / "b.npy", np.zeros((2, 8, 9), np.uint16))
    assert cli.main(["info", str(tmp_path / "b.npy"), "--json"], lambda _: 1) == 0
    assert json.loads(capsys.readouterr().out)["instrument"] is None


def test_the_strongest_peaks_of_a_series_are_found_table_by_table():
    rng = np.random.default_rng(0)
    tables = []
    for k in range(60):
        table = PeakTable.blank(500)
        table["frame"][:] = k
        table["score"][:] = rng.random(500)
        table["x"][:] = np.where(rng.random(500) < 0.1, np.nan, 1.0)
        tables.append(table)
    seen = []
    found = strongest(tables, 100, lambda t: np.isfinite(t["x"]), lambda: seen.append(None))
    whole = PeakTable.concatenate(tables)
    scores = np.sort(whole["score"][np.isfinite(whole["x"])])[::-1][:100]
    assert np.array_equal(found["score"], scores)
    assert len(seen) == len(tables)
    assert len(strongest([], 100, lambda t: np.isfinite(t["x"]), lambda: None)) == 0

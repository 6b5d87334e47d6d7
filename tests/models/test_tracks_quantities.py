import numpy as np
import pytest

from braggscope.models.geometry import Beam, Instrument
from braggscope.models.results import PeakTable
from braggscope.models.tracks.link import link
from braggscope.models.tracks.quantities import (
    GEOMETRY_COLUMNS,
    SUMMARY_COLUMNS,
    TRACK_COLUMNS,
    spacings,
    summary,
    track_columns,
)

ERROR = 0.02


@pytest.fixture(scope="module")
def instrument():
    return Instrument.from_beam(1.2, (1e-4, 1e-4), Beam((-800.0, 100.0), 0.4))


@pytest.fixture(scope="module")
def strained(instrument):
    """(table, strain): one spot whose lattice grows by 0.4 % over 100 frames."""
    t = np.arange(100)
    strain = 0.004 * t / 99
    d0 = float(instrument.d_angstrom(200.0, 100.0))
    sine = instrument.wavelength_angstrom / (2 * d0 * (1 + strain))
    radius = 0.4 * np.tan(2 * np.arcsin(sine)) / 1e-4
    noise = np.random.default_rng(0).normal(0, ERROR, (2, 100))
    x, y = radius - 800 + noise[0], 100 + noise[1]
    table = PeakTable.blank(
        100, frame=t, x=x, y=y, x_err=ERROR, y_err=ERROR, x_fit=x, y_fit=y, col=np.rint(x).astype(int),
        row=100, amplitude=400.0, birth=500.0, background=100.0, fwhm_major=3.0, fwhm_minor=3.0,
    )  # fmt: skip
    return table, strain


def test_strain_of_a_track_has_the_right_value_and_error(instrument, strained):
    table, strain = strained
    tracks = link(table)
    found = spacings(table, tracks, instrument, float(instrument.d_angstrom(200.0, 100.0)))
    raw, smooth = found.columns["strain"] - strain, found.columns["strain_smooth"] - strain
    assert 0.8 < np.std(raw / found.columns["strain_err"]) < 1.2
    assert np.mean(np.abs(smooth / found.columns["strain_smooth_err"]) < 1.5) > 0.7
    assert np.std(smooth) < 0.5 * np.std(raw)
    assert found.columns["strain_err"].max() < 2e-5


def test_strain_refers_to_the_first_frame_unless_told(instrument, strained):
    table, _ = strained
    tracks = link(table)
    found = spacings(table, tracks, instrument)
    assert found.columns["strain_smooth"][0] == 0
    short = summary(table, tracks, found)
    assert short["strain_change"][0] == pytest.approx(0.004, abs=4e-5)
    assert short["d_reference"][0] == pytest.approx(float(instrument.d_angstrom(200.0, 100.0)), rel=4e-5)
    assert short["snr_mean"][0] == pytest.approx(40.0)


def test_columns_are_those_that_are_described(instrument, strained):
    table, _ = strained
    tracks = link(table)
    assert list(track_columns(tracks)) == [c.name for c in TRACK_COLUMNS]
    assert list(spacings(table, tracks, instrument).columns) == [c.name for c in GEOMETRY_COLUMNS]
    assert list(summary(table, tracks)) == [c.name for c in SUMMARY_COLUMNS]
    assert np.isnan(summary(table, tracks)["strain_change"]).all()


def test_peaks_without_a_track_have_no_strain(instrument, strained):
    table, _ = strained
    alone = PeakTable.blank(1, frame=50, x=50.0, y=20.0, col=50, row=20, birth=50.0)
    both = PeakTable.concatenate([table, alone])
    tracks = link(both)
    columns = spacings(both, tracks, instrument).columns
    assert np.isfinite(columns["strain"][:-1]).all()
    assert np.isnan(columns["strain"][-1])
    assert track_columns(tracks)["split_from"][-1] == -1


def test_no_tracks_at_all(instrument):
    table = PeakTable.blank(0)
    tracks = link(table)
    found = spacings(table, tracks, instrument)
    assert all(len(values) == 0 for values in found.columns.values())
    assert all(len(values) == 0 for values in summary(table, tracks, found).values())

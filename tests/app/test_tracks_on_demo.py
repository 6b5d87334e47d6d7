"""Tracks of the demo series, from pixels to strain, beside its truth."""

import numpy as np
import pytest

from braggscope.app.api import analyse_series
from braggscope.app.demo import write_demo_series
from braggscope.models.geometry import Beam, Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.simulate import Series, SeriesSpec
from braggscope.models.results import Status
from braggscope.models.tracks.link import link
from braggscope.models.tracks.quantities import spacings
from braggscope.models.tracks.score import Truth, owners, score

SPEC = SeriesSpec(seed=1)


@pytest.fixture(scope="module")
def linked(tmp_path_factory):
    """(peaks, tracks, truth of the series, the same for the score)."""
    path = tmp_path_factory.mktemp("demo") / "series.h5"
    write_demo_series(path, spec=SPEC)
    parameters = Parameters().with_detect(minval=60, minscore=80).with_localize(methods=("fit",))
    peaks = analyse_series(str(path), parameters)
    t = Series(SPEC).truth
    truth = Truth(t.x, t.y, t.visible, t.amplitude >= 2 * np.sqrt(t.background), t.parent)
    return peaks, link(peaks), t, truth


def test_links_and_splits(linked):
    peaks, tracks, t, truth = linked
    found = score(peaks, tracks, truth, t.splits(), gap=10)
    assert found.links > 10_000
    assert found.right >= 0.98
    assert found.found >= 0.98
    assert not [length for length in found.false if length > 5]
    assert found.invented == 0
    assert len(found.splits) == 6
    assert all(abs(split.error) <= 3 for split in found.splits)


def test_strain_of_strong_peaks(linked):
    peaks, tracks, t, truth = linked
    size = (SPEC.pixel_size_m, SPEC.pixel_size_m)
    instrument = Instrument.from_beam(SPEC.wavelength_angstrom, size, Beam(SPEC.centre_px, SPEC.distance_m))
    columns = spacings(peaks, tracks, instrument, SPEC.d0_angstrom).columns
    owner, frame = owners(peaks, truth), peaks["frame"]
    strong = t.amplitude[frame, owner] >= 50 * np.sqrt(t.background[frame, owner])
    chosen = strong & (owner >= 0) & (peaks["status"] == Status.OK) & (tracks.track >= 0)
    chosen &= (peaks["n_components"] == 1) & t.resolved[frame, owner]
    assert chosen.sum() > 3000
    raw, smooth = (
        np.abs(columns[name] - t.strain[frame, owner])[chosen] for name in ("strain", "strain_smooth")
    )
    assert np.median(raw) < 1e-5
    assert np.quantile(raw, 0.683) < 1.1 * np.quantile(columns["strain_err"][chosen], 0.683)
    assert np.quantile(smooth, 0.683) < 6e-6
    assert 0.6 < np.mean(smooth < columns["strain_smooth_err"][chosen]) < 0.85

"""Rings as lines on a frame: on the conic, complete, cut at the frame, for any tilt."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from braggscope.models.geometry import Beam, Instrument
from braggscope.models.rings import clip_curve, ring_curve

SHAPE = (240, 300)
YY, XX = np.mgrid[: SHAPE[0], : SHAPE[1]]
instruments = st.builds(
    lambda centre, distance, tilt, direction: Instrument.from_beam(
        1.0, (1e-4, 1.5e-4), Beam(centre, distance, tilt, direction)
    ),
    st.tuples(st.floats(-200, 500), st.floats(-200, 500)),
    st.floats(0.005, 0.1),
    st.floats(0, 1.3),
    st.floats(-3, 3),
)


def pieces(curve: np.ndarray) -> list[np.ndarray]:
    breaks = np.flatnonzero(np.isnan(curve[:, 0]))
    return [part[~np.isnan(part[:, 0])] for part in np.split(curve, breaks)]


def densely(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Points of a line, at most a quarter of a pixel apart."""
    return a + (b - a) * np.linspace(0, 1, 2 + int(4 * np.hypot(*(b - a))))[:, None]


NEARLY_STRAIGHT = Instrument(
    wavelength_angstrom=1.0, distance_m=0.0024634559562130365, pixel_size_m=(0.0001, 0.00015),
    poni_m=(0.03834422985881858, -0.006163617361067905),
    rot_rad=(-1.019437149663014, 0.924870837732376, -0.5435094033945911),
)  # fmt: skip


@given(instruments, st.floats(0.05, 2.9))
@example(NEARLY_STRAIGHT, 1.5)
def test_lines_follow_the_ring_and_leave_nothing_out(instrument, two_theta):
    curve = ring_curve(instrument, two_theta, SHAPE)
    inner = instrument.two_theta(XX, YY) < two_theta
    crossings = np.argwhere(inner[:, 1:] != inner[:, :-1])[:, ::-1] + [0.5, 0.0]
    assert len(curve) or len(crossings) <= 2
    if not len(curve):
        return
    parts = pieces(curve)
    dense = np.concatenate([densely(a, b) for part in parts for a, b in pairwise(part)])
    low, high = dense.min(axis=0), dense.max(axis=0)
    assert (low >= -0.5 - 1e-9).all()
    assert (high <= [SHAPE[1] - 0.5 + 1e-9, SHAPE[0] - 0.5 + 1e-9]).all()
    steep = np.linalg.norm(instrument.jacobians(*dense.T)[0], axis=-1)
    off = np.abs(instrument.two_theta(*dense.T) - two_theta) / steep
    assert np.median(off) < 0.05
    assert off.max() < 0.25  # to first order: tight rings bend within that
    if len(crossings):
        assert cKDTree(dense).query(crossings)[0].max() < 1.2


def test_a_ring_that_leaves_the_frame_twice_has_pieces():
    instrument = Instrument.from_beam(1.0, (1e-4, 1e-4), Beam((149.5, 119.5), 0.1))
    curve = ring_curve(instrument, np.arctan(140 * 1e-4 / 0.1), SHAPE)
    assert (
        len([part for part in pieces(curve) if len(part)]) == 3
    )  # above, and below cut once at azimuth ±180°
    whole = ring_curve(instrument, np.arctan(100 * 1e-4 / 0.1), SHAPE)
    assert len(pieces(whole)) == 1
    assert whole[0] == pytest.approx(whole[-1])
    assert not len(ring_curve(instrument, np.arctan(400 * 1e-4 / 0.1), SHAPE))


def test_clipping_keeps_what_only_passes_through():
    line = np.array([[-50.0, 100.0], [500.0, 100.0]])
    assert clip_curve(line, SHAPE) == pytest.approx(np.array([[-0.5, 100], [299.5, 100]]))
    assert not len(clip_curve(np.array([[-10.0, 5.0], [5.0, -10.0]]), SHAPE))
    corner = clip_curve(np.array([[-10.0, 20.0], [20.0, -10.0]]), SHAPE)
    assert corner == pytest.approx(np.array([[-0.5, 10.5], [10.5, -0.5]]))

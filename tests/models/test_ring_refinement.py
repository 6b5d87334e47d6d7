"""Refinement on simulated rings: the truth within the stated errors, from a bad start, among strangers."""

import math

import numpy as np
import pytest

from braggscope.models.calibrants import CALIBRANTS
from braggscope.models.geometry import Beam, Instrument, two_theta_of
from braggscope.models.ring_refinement import RefinementError, refine

SHAPE = (2048, 2048)
WAVELENGTH, PIXEL, NOISE = 0.3, (1e-4, 1e-4), 0.3
SPACINGS = [ring.d_angstrom for ring in CALIBRANTS["CeO2"].rings(6.0)]


def spots(truth: Instrument, random: np.random.Generator, rings: slice = slice(0, 10), strangers: int = 60):
    """Noisy positions (N, 2) on the rings of a frame, and some that belong to none."""
    found = []
    for two_theta in two_theta_of(SPACINGS, truth.wavelength_angstrom)[rings]:
        azimuth = random.uniform(-np.pi, np.pi, 60)
        across, along = np.sin(two_theta), np.full(60, np.cos(two_theta))
        rays = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), along], axis=-1)
        found.append(np.stack(truth.pixel_of(rays), axis=-1))
    points = np.concatenate(found)
    points = points[np.all((points > 0) & (points < SHAPE[0]), axis=1)]
    points += random.normal(0, NOISE, points.shape)
    return np.concatenate([points, random.uniform(0, SHAPE[0], (strangers, 2))])


def values(beam: Beam) -> dict[str, float]:
    return {
        "centre_x_px": beam.centre_px[0],
        "centre_y_px": beam.centre_px[1],
        "distance_m": beam.distance_m,
        "tilt_x_rad": beam.tilt * math.cos(beam.tilt_direction),
        "tilt_y_rad": beam.tilt * math.sin(beam.tilt_direction),
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tilted", [False, True])
def test_truth_within_three_sigma_from_20_px_off(seed, tilted):
    random = np.random.default_rng(seed)
    tilt = random.uniform(0.005, 0.03) if tilted else 0.0
    beam = Beam((1003.3, 985.7), 0.35, tilt, random.uniform(-3, 3), 0.1)
    truth = Instrument.from_beam(WAVELENGTH, PIXEL, beam)
    points = spots(truth, random)
    start = Instrument.from_beam(WAVELENGTH, PIXEL, Beam((1003.3 + 14.2, 985.7 - 14.2), 0.353))
    free = ("centre", "distance", "tilt") if tilted else ("centre", "distance")
    found = refine(start, *points.T, SPACINGS, x_err=NOISE, y_err=NOISE, free=free)
    refined = found.instrument.beam
    assert refined is not None
    true, now = values(beam), values(refined)
    for name, error in found.errors.items():
        assert abs(now[name] - true[name]) < 3.3 * error, name  # one of 40 numbers may be past 3.0
    assert found.errors["centre_x_px"] < 0.1
    assert found.errors["distance_m"] < 2e-5
    assert found.after_px == pytest.approx(NOISE, rel=0.15)
    assert 10 < found.before_px < 25
    assert found.chi2 == pytest.approx(1, abs=0.25)
    assert len(points) - 60 - 20 < found.used < len(points) - 45
    assert found.covariance.shape == (len(found.errors),) * 2


def test_what_is_not_free_stays():
    truth = Instrument.from_beam(WAVELENGTH, PIXEL, Beam((1003.3, 985.7), 0.35, 0.02, 1.0))
    points = spots(truth, np.random.default_rng(1))
    start = Instrument.from_beam(WAVELENGTH, PIXEL, Beam((1010.0, 980.0), 0.35, 0.02, 1.0))
    found = refine(start, *points.T, SPACINGS, free=("centre",))
    assert list(found.errors) == ["centre_x_px", "centre_y_px"]
    assert found.instrument.beam is not None
    assert found.instrument.beam.distance_m == pytest.approx(0.35)
    assert found.instrument.beam.tilt == pytest.approx(0.02)
    assert found.instrument.wavelength_angstrom == WAVELENGTH


def test_rings_are_told_apart():
    truth = Instrument.from_beam(WAVELENGTH, PIXEL, Beam((1003.3, 985.7), 0.35))
    points = spots(truth, np.random.default_rng(2), strangers=0)
    found = refine(truth, *points.T, SPACINGS, x_err=NOISE, y_err=NOISE, search_px=0)
    spacing = truth.d_angstrom(*points.T)
    near = found.ring >= 0
    assert near.sum() > 0.98 * len(points)
    assert np.array(SPACINGS)[found.ring[near]] == pytest.approx(spacing[near], rel=3e-3)


def test_what_cannot_be_refined_is_said():
    truth = Instrument.from_beam(WAVELENGTH, PIXEL, Beam((1003.3, 985.7), 0.35))
    points = spots(truth, np.random.default_rng(2), strangers=0)
    with pytest.raises(RefinementError, match=r"Only \d positions"):
        refine(truth, *points[:5].T, SPACINGS)
    with pytest.raises(RefinementError, match="no ring"):
        refine(truth, *points.T, [0.1])
    with pytest.raises(RefinementError, match="Nothing is free"):
        refine(truth, *points.T, SPACINGS, free=())
    beside = truth.model_copy(update={"rot_rad": (math.pi / 2 + 0.2, 0.0, 0.0)})
    with pytest.raises(RefinementError, match="does not meet"):
        refine(beside, *points.T, SPACINGS)
    azimuth = np.zeros(40)  # all on one side of one ring: centre and distance are one unknown
    two_theta = two_theta_of(SPACINGS, WAVELENGTH)[3]
    rays = np.stack([np.sin(two_theta) * np.cos(azimuth), azimuth, np.full(40, np.cos(two_theta))], -1)
    with pytest.raises(RefinementError, match="do not determine"):
        refine(truth, *truth.pixel_of(rays), SPACINGS, search_px=0)

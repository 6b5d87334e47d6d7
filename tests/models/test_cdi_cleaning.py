"""Alien peaks, the brush, and what the preparation says of its steps."""

import numpy as np
import pytest

from braggscope.models.cdi.aliens import aliens
from braggscope.models.cdi.brush import brushed
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.parameters import Phasing, Stroke
from braggscope.models.cdi.prepare import prepare


def pattern(seed, **options):
    spec = CoherentSpec(seed=seed, shape=(48, 48, 48), peak_counts=1e6, **options)
    return measure(grow(spec), spec).counts


def with_peak(counts, at, height, width=1.5):
    z, y, x = np.indices(counts.shape)
    away = (z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2
    return counts + height * np.exp(-away / (2 * width**2)).astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_a_strained_crystal_has_nothing_alien(seed):
    counts = pattern(seed, strain_rms=3e-4)
    mask, count = aliens(counts, np.zeros(counts.shape, bool))
    assert (count, mask.sum()) == (0, 0)


@pytest.mark.parametrize("at", [(8, 40, 30), (38, 12, 40)])
def test_another_peak_is_found_and_covered(at):
    counts = with_peak(pattern(1), at, 2e4)
    mask, count = aliens(counts, np.zeros(counts.shape, bool))
    assert count == 1
    z, y, x = np.indices(counts.shape)
    away = np.sqrt((z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2)
    assert mask[away < 4].all()
    assert not mask[away > 12].any()


def test_a_gap_at_the_other_side_makes_nothing_alien():
    counts, bad = pattern(2), np.zeros((48, 48, 48), bool)
    bad[:, :, 6:12] = True
    mask, count = aliens(counts, bad)
    assert (count, mask.sum()) == (0, 0)


def test_the_brush_masks_balls_and_takes_them_back():
    balls = Stroke(places=((5, 5, 5), (0, 0, 0)), radius=2.0)
    mask = brushed((10, 10, 10), [balls])
    assert mask[5, 5, 7]
    assert mask[0, 0, 2]
    assert not mask[5, 6, 7]
    assert mask.sum() == 33 + 11
    erased = brushed((10, 10, 10), [balls, Stroke(places=((5, 5, 5),), radius=2.0, erase=True)])
    assert erased.sum() == 11


def test_every_step_is_said_and_can_be_left_out():
    counts = with_peak(pattern(3), (8, 40, 30), 2e4)
    counts[30, 30, 4] += 1e4
    stroke = Stroke(places=((40, 10, 10),), radius=1.0)
    full = prepare(counts, Phasing(aliens=True, brushed=(stroke,)))
    assert full.steps["hot"] == "1 voxels"
    assert full.steps["aliens"].startswith("1 peak, ")
    assert full.steps["brush"] == "7 voxels"
    assert full.steps["oversampling"].count(",") == 2
    assert full.mask[40, 10, 10]
    plain = prepare(counts, Phasing(hot_voxels=False))
    assert not plain.mask.any()
    assert "hot" not in plain.steps


def test_the_origin_leads_back_to_the_stack():
    counts = pattern(4, oversampling=(2.5, 4.5, 2.5))
    moved = np.pad(counts, ((0, 0), (10, 2), (0, 8)))
    made = prepare(moved, Phasing(crop=32))
    raw = np.unravel_index(moved.argmax(), moved.shape)
    place = np.unravel_index(made.amplitude.argmax(), made.amplitude.shape)
    assert tuple(np.add(place, made.origin)) == raw
    binned = prepare(moved, Phasing(crop=40, binning=(1, 2, 1)))
    place = np.unravel_index(binned.amplitude.argmax(), binned.amplitude.shape)
    start = np.array(place) * (1, 2, 1) + binned.origin
    assert ((start <= raw) & (np.array(raw) < start + (1, 2, 1))).all()

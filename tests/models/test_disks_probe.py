"""The probe comes out as drawn, whatever is wrong with the picture of it."""

import numpy as np
import pytest
from scipy.special import erfc

from braggscope.models.disks.probe import measure_probe, probe_from_patterns, synthetic_probe

EDGE = 2.5631  # from 90 to 10 % of an error function of sigma 1


def disk(x, y, radius, sigma, height, ground=0.2, shape=(96, 110)):
    row, col = np.mgrid[: shape[0], : shape[1]]
    return height * 0.5 * erfc((np.hypot(col - x, row - y) - radius) / (np.sqrt(2) * sigma)) + ground


@pytest.mark.parametrize(("radius", "sigma"), [(2.2, 0.5), (6.5, 0.5), (6.5, 1.2), (14.0, 2.0), (30.0, 0.8)])
@pytest.mark.parametrize("height", [40, 4000])
def test_radius_edge_and_centre_are_found_in_noise(radius, sigma, height):
    image = np.random.default_rng(1).poisson(disk(55.3, 47.8, radius, sigma, height))
    probe = measure_probe(image)
    assert probe.radius == pytest.approx(radius, abs=0.12 if height < 100 else 0.04)
    assert probe.edge == pytest.approx(EDGE * sigma, rel=0.25 if height < 100 else 0.1)
    assert np.hypot(probe.centre[0] - 55.3, probe.centre[1] - 47.8) < (0.25 if height < 100 else 0.06)


def test_the_image_is_centred_and_of_sum_one():
    probe = measure_probe(np.random.default_rng(2).poisson(disk(55.3, 47.8, 6.5, 0.6, 500)))
    size = len(probe.image)
    axis = np.arange(size) - size // 2
    assert probe.image.dtype == np.float32
    assert probe.image.shape == (size, size)
    assert probe.image.sum() == pytest.approx(1, abs=1e-5)
    assert abs((probe.image.sum(0) * axis).sum()) < 0.02
    assert abs((probe.image.sum(1) * axis).sum()) < 0.02


def test_a_beam_stop_does_not_move_it():
    image = np.random.default_rng(3).poisson(disk(55.3, 47.8, 14, 0.8, 300))
    mask = np.zeros(image.shape, np.bool_)
    mask[:50, 52:59] = True
    image[mask] = 0
    probe = measure_probe(image, mask)
    assert probe.radius == pytest.approx(14, abs=0.1)
    assert np.hypot(probe.centre[0] - 55.3, probe.centre[1] - 47.8) < 0.1


def test_saturation_does_not_move_it():
    image = np.minimum(np.random.default_rng(4).poisson(disk(55.3, 47.8, 14, 0.8, 300)), 180)
    probe = measure_probe(image)
    assert np.hypot(probe.centre[0] - 55.3, probe.centre[1] - 47.8) < 0.1
    assert probe.radius == pytest.approx(14, abs=0.5)


def test_a_patterned_probe_keeps_its_pattern():
    col = np.arange(110)
    bars = np.where((col // 3) % 2 == 0, 1.0, 0.3)
    image = np.random.default_rng(5).poisson(disk(55, 48, 16, 0.6, 2000) * bars)
    probe = measure_probe(image)
    middle = probe.image[len(probe.image) // 2, len(probe.image) // 2 - 9 : len(probe.image) // 2 + 10]
    assert middle.min() < 0.5 * middle.max()


def test_thin_material_shows_the_probe_though_it_wanders():
    rng = np.random.default_rng(6)
    patterns = []
    for dx, dy in rng.normal(0, 1.5, (16, 2)):
        wave = 1 + 0.5 * np.cos(np.arange(110) * rng.uniform(0.2, 0.5))
        direct = disk(55 + dx, 48 + dy, 6.5, 0.5, 150) * wave
        patterns.append(rng.poisson(direct + disk(80 + dx, 48 + dy, 6.5, 0.5, 60)))
    probe = probe_from_patterns(np.array(patterns))
    assert probe.radius == pytest.approx(6.5, abs=0.25)
    assert probe.edge < 2.5
    assert probe.source == "data"


def test_a_lost_pattern_does_not_spoil_the_others():
    patterns = np.random.default_rng(8).poisson(disk(55, 48, 6.5, 0.5, 150), (4, 96, 110)).astype(float)
    probe = probe_from_patterns(patterns)
    lost = probe_from_patterns(np.insert(patterns, 2, np.nan, axis=0))
    assert lost.radius == probe.radius
    with pytest.raises(ValueError, match="no patterns"):
        probe_from_patterns(np.full((2, 96, 110), np.nan))


def test_where_the_direct_disk_blooms_another_shows_the_size():
    lam = disk(55, 48, 9, 2.0, 4000) + disk(85, 48, 4, 0.7, 150) + disk(25, 48, 4, 0.7, 120)
    patterns = np.minimum(np.random.default_rng(7).poisson(lam, (8, *lam.shape)), 255)
    probe = probe_from_patterns(patterns)
    assert probe.radius == pytest.approx(4, abs=0.3)
    assert np.hypot(probe.centre[0] - 55, probe.centre[1] - 48) < 0.5


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64)),
        np.full((64, 64), 7.0),
        np.random.default_rng(0).poisson(5, (128, 128)),
        np.random.default_rng(0).poisson(0.01, (128, 128)),
    ],
)
def test_no_disk_is_said(image):
    with pytest.raises(ValueError, match="there is no disk in this pattern"):
        measure_probe(image)


def test_nonsense_is_said():
    with pytest.raises(ValueError, match="every pixel"):
        measure_probe(np.ones((8, 8)), np.ones((8, 8), np.bool_))
    with pytest.raises(ValueError, match="no patterns"):
        probe_from_patterns(np.empty((0, 8, 8)))
    with pytest.raises(ValueError, match="no central disk"):
        probe_from_patterns(np.random.default_rng(0).poisson(5, (3, 64, 64)))
    with pytest.raises(ValueError, match="does not fit"):
        synthetic_probe(20, 1, 32)


def test_a_synthetic_probe_measures_as_asked():
    probe = synthetic_probe(8, 1.5, 41)
    again = measure_probe(probe.image)
    assert again.radius == pytest.approx(8, abs=0.05)
    assert again.edge == pytest.approx(1.5, rel=0.1)

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from braggscope.models.disks.simulation.camera import NO_FAULTS
from braggscope.models.disks.simulation.conditions import MOST_DISKS, Range
from braggscope.models.disks.simulation.crystals import CRYSTALS, HELD_OUT
from braggscope.models.disks.simulation.samples import LEAST_SNR, Samples, draw

CLEAN = Range(
    dose=(1e8, 1e8), probe_dose=(1e9, 1e9), background=0.0, overlap_share=0.0, filling=0.7, faults=NO_FAULTS,
    bullseye_share=0.0, kinematic_share=0.0, thickness_nm=(2.0, 4.0), tilt=0.0, spacing=(20.0, 36.0),
    radius=(3.5, 8.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def some() -> Samples:
    return draw(60, 3, per_group=12)


def test_shapes_and_types(some: Samples) -> None:
    assert some.patterns.shape == some.probe.shape == (60, 128, 128)
    assert some.patterns.dtype == some.probe.dtype == torch.float32
    assert some.xy.shape == (60, MOST_DISKS, 2)
    assert some.present.dtype == torch.bool
    assert torch.allclose(some.probe.sum(dim=(1, 2)), torch.ones(60), atol=1e-4)


def test_the_same_seed_gives_the_same_patterns(some: Samples) -> None:
    again = draw(60, 3, per_group=12)
    assert all(torch.equal(one, other) for one, other in zip(some, again, strict=True))
    assert not torch.equal(some.patterns, draw(60, 4, per_group=12).patterns)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_ever_nan(seed: int) -> None:
    for size in (95, 128):
        for column in draw(32, 100 + seed, size=size, per_group=6):
            assert bool(torch.isfinite(column.float()).all())


def test_no_crystal_is_on_both_sides(some: Samples) -> None:
    held = {k for k, one in enumerate(CRYSTALS) if one.name in HELD_OUT}
    assert held.isdisjoint(draw(10, 8, size=64, per_group=1).crystal.tolist())
    assert set(draw(8, 8, size=64, crystals="held_out", per_group=1).crystal.tolist()) <= held


def test_disks_lie_on_the_lattice(some: Samples) -> None:
    rows = some.lattice.double()
    offset = some.xy.double() - rows[:, None, :2]
    indices = torch.linalg.solve(rows[:, 2:].reshape(-1, 2, 2).mT, offset.mT).mT
    real = some.intensity > 0
    assert (indices - indices.round())[real].abs().max() < 1e-3


def test_what_is_present_is_bright_and_in_the_frame(some: Samples) -> None:
    xy = some.xy[some.present]
    assert (xy > -0.5).all()
    assert (xy < 127.5).all()
    assert (some.snr[some.present] >= LEAST_SNR).all()
    assert some.present.sum(dim=1).float().mean() > 5


def centre_of_mass(image: np.ndarray, x: float, y: float, radius: float) -> tuple[float, float]:
    """Around (x, y), on a fine raster, far enough out to hold the whole disk."""
    axis = np.arange(-radius, radius + 0.05, 0.1)
    rows, columns = np.meshgrid(y + axis, x + axis, indexing="ij")
    inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    values = map_coordinates(image, [rows, columns], order=1) * inside
    return float((values * columns).sum() / values.sum()), float((values * rows).sum() / values.sum())


def test_true_centres_are_those_of_evenly_lit_disks_whatever_the_distortion() -> None:
    samples = draw(48, 11, scene=CLEAN, per_group=4)
    errors = []
    for k in range(48):
        image, radius = samples.patterns[k].double().numpy(), float(samples.radius[k])
        x, y = samples.lattice[k, :2].tolist()  # the direct disk of a thin crystal is even
        found = centre_of_mass(image, x, y, min(1.35 * radius, radius + 2.5))
        errors.append(np.hypot(found[0] - x, found[1] - y) / radius)
        row, column = np.indices((128, 128))
        probe = samples.probe[k].double().numpy()
        assert (probe * column).sum() == pytest.approx(64, abs=0.02)
        assert (probe * row).sum() == pytest.approx(64, abs=0.02)
    assert np.median(errors) < 0.003
    assert np.max(errors) < 0.01

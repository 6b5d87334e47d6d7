import numpy as np
import pytest
from numpy.testing import assert_allclose

from braggscope.models.disks.simulation.scenes import (
    Scene,
    deformation,
    multilayer,
    random_strains,
    wedge,
)


@pytest.fixture(scope="module")
def film() -> Scene:
    return multilayer(random_strains(8, 1), 0.5, 5e5, 2)


@pytest.fixture(scope="module")
def foil() -> Scene:
    tilt = np.repeat([[0.0, 0.0], [4e-3, -2e-3]], 3, axis=0)
    return wedge(random_strains(6, 1), np.tile([6.0, 48.0, 110.0], 2), tilt, 5e5, 2)


def biot(lattice: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Strain as defined for maps: polar decomposition of (G G0^-1)^-T, vectors as columns."""
    got, base = (row[2:].reshape(2, 2).T for row in (lattice, reference))
    gradient = np.linalg.inv(got @ np.linalg.inv(base)).T
    left, values, right = np.linalg.svd(gradient)
    turn, stretch = left @ right, right.T @ np.diag(values) @ right
    return np.array([stretch[0, 0] - 1, stretch[1, 1] - 1, stretch[0, 1], np.arctan2(turn[1, 0], turn[0, 0])])


def test_the_lattice_carries_the_strain(film: Scene, foil: Scene) -> None:
    for scene in (film, foil):
        for lattice, strain in zip(scene.lattice, scene.strain, strict=True):
            assert_allclose(biot(lattice, scene.reference), strain, atol=1e-12)


def test_disks_lie_on_the_lattice_in_the_frame(film: Scene, foil: Scene) -> None:
    for scene in (film, foil):
        assert scene.patterns.dtype == np.float32
        for lattice, xy in zip(scene.lattice, scene.xy, strict=True):
            indices = (xy - lattice[:2]) @ np.linalg.inv(lattice[2:].reshape(2, 2))
            assert_allclose(indices, np.rint(indices), atol=1e-4)
        assert scene.present.sum(axis=1).min() > 20


def test_doses_add_up(film: Scene) -> None:
    assert_allclose(film.patterns.sum(axis=(1, 2)), 5e5, rtol=0.08)
    assert film.probe.sum() == pytest.approx(1, abs=1e-4)


def inside(scene: Scene, k: int) -> float:
    """Relative spread of the counts within the direct disk."""
    x, y = scene.lattice[k, :2]
    rows, columns = np.indices(scene.patterns.shape[1:])
    values = scene.patterns[k][(columns - x) ** 2 + (rows - y) ** 2 < (scene.radius - 1.5) ** 2]
    return float(values.std() / values.mean())


def test_modulation_and_thickness_make_disks_uneven(foil: Scene) -> None:
    spreads = []
    for modulation in (0.0, 0.5, 0.9):
        scene = multilayer(random_strains(3, 1), modulation, 1e7, 2)
        spreads.append(np.mean([inside(scene, k) for k in range(3)]))
    assert spreads[0] < 0.03 < 0.15 < spreads[1] < spreads[2]
    assert_allclose(foil.thickness_nm, np.tile([6.0, 48.0, 110.0], 2), atol=0.6)
    assert inside(foil, 0) < 0.2 < inside(foil, 2)


def test_scenes_repeat_with_the_seed(film: Scene) -> None:
    again = multilayer(random_strains(8, 1), 0.5, 5e5, 2)
    assert np.array_equal(film.patterns, again.patterns)
    other = multilayer(random_strains(8, 1), 0.5, 5e5, 3)
    assert not np.array_equal(film.patterns, other.patterns)


def test_tension_brings_disks_together() -> None:
    gradient = deformation(*np.array([0.02, 0.0, 0.0, 0.0]))
    assert_allclose(gradient, np.diag([1.02, 1.0]))
    scene = multilayer(np.array([[0.02, 0, 0, 0.0]]), 0.0, 1e4, 1, size=128)
    assert_allclose(scene.lattice[0, 2::2], scene.reference[2::2] / 1.02)
    assert_allclose(scene.lattice[0, 3::2], scene.reference[3::2])

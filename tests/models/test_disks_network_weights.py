"""The shipped weights do what the documentation says, on patterns of a crystal they never saw."""

import numpy as np
import pytest
import torch

from braggscope.models.disks.lattice import fit_lattices
from braggscope.models.disks.network.infer import DiskNetwork
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.results import Lattice, Probe
from braggscope.models.disks.simulation.scenes import multilayer, random_strains, wedge
from braggscope.resources.loader import load_weights

torch.set_num_threads(1)
THICKNESSES = np.repeat([6.0, 27.0, 110.0], 8)


@pytest.fixture(scope="module", params=["disks", "disks-fcunet"])
def network(request):
    state, provenance = load_weights(request.param)
    return DiskNetwork.from_state(state, provenance.metadata)


@pytest.fixture(scope="module")
def scene():
    """Si [110], dose 5e5, at two tilts."""
    tilts = np.array([[1e-3, 2e-3], [-4e-3, 1e-3]])[np.arange(24) % 2]
    return wedge(random_strains(24, 3), THICKNESSES, tilts, 5e5, 3)


@pytest.fixture(scope="module")
def probe(scene):
    return Probe(scene.probe, scene.radius, 1.0, (64.0, 64.0), "simulated")


def paired(disks, scene, pattern):
    """Errors (N, 2) px of the disks nearest to true ones, their stated errors, and how many are missing."""
    own, true = disks.of(pattern), scene.xy[pattern][scene.present[pattern]].astype(float)
    xy = np.column_stack([own.x, own.y])
    distance = np.linalg.norm(xy[None] - true[:, None], axis=2)
    nearest, found = distance.argmin(1), distance.min(1) < 0.7 * scene.radius
    sigma = np.column_stack([own.x_err, own.y_err])[nearest[found]]
    return xy[nearest[found]] - true[found], sigma, int((~found).sum())


def test_disks_of_an_unknown_crystal_are_found_where_they_are(network, scene, probe):
    disks = network.find(scene.patterns, None, probe)
    parts = [paired(disks, scene, k) for k in range(24)]
    distance = [np.hypot(*error.T) for error, _, _ in parts]
    limits = {"DiskUNet": (0.12, 0.22, 0.22), "FCUNet": (0.2, 0.4, 0.4)}[network.title]
    for k, limit in enumerate(limits):
        assert np.median(np.concatenate(distance[8 * k : 8 * k + 8])) < limit
    missing = sum(part[2] for part in parts)
    assert missing <= 0.02 * scene.present.sum()
    inside = np.concatenate([np.abs(error) < sigma for error, sigma, _ in parts])
    assert 0.55 < inside.mean() < 0.8


def test_the_brightest_disk_is_the_direct_beam_and_counts_are_its(network, scene, probe):
    disks = network.find(scene.patterns[:8], None, probe)
    for k in range(8):
        own = disks.of(k)
        brightest = own.intensity.argmax()
        assert np.hypot(own.x[brightest] - scene.lattice[k, 0], own.y[brightest] - scene.lattice[k, 1]) < 0.5
        assert 0.5 < own.intensity.sum() / scene.patterns[k].sum() < 1.05
    assert (np.diff(disks.pattern) >= 0).all()
    assert all((np.diff(disks.of(k).score) <= 0).all() for k in range(8))


def test_positions_move_with_the_pattern(network, scene, probe):
    first = network.find(scene.patterns[:2], None, probe)
    moved = network.find(np.roll(scene.patterns[:2], (4, -6), (1, 2)), None, probe)
    count = 0
    for k in range(2):
        one, two = first.of(k), moved.of(k)
        inner = (np.abs(one.x - 64) < 40) & (np.abs(one.y - 64) < 40) & (one.score > 0.5)
        away = np.hypot(one.x[inner, None] - 6 - two.x, one.y[inner, None] + 4 - two.y).min(1)
        assert np.median(away) < 0.1
        count += inner.sum()
    assert count > 10


def test_larger_disks_are_brought_to_a_size_that_is_known(network, scene, probe):
    large = np.kron(scene.patterns[:2], np.ones((1, 3, 3), np.float32))
    wide = Probe(np.kron(probe.image, np.ones((3, 3), np.float32))[1:, 1:] / 9, 15.0, 3.0, (0.0, 0.0), "")
    first, second = network.find(scene.patterns[:2], None, probe), network.find(large, None, wide)
    assert len(second) == pytest.approx(len(first), abs=0.15 * len(first))
    for k in range(2):
        one, two = first.of(k), second.of(k)
        away = np.hypot(3 * one.x[:, None] + 1 - two.x, 3 * one.y[:, None] + 1 - two.y).min(1)
        assert np.median(away) < 1.0


def test_bad_pixels_are_not_looked_at(network, scene, probe):
    mask = np.zeros((128, 128), bool)
    mask[:, 90:93] = True
    spoilt = scene.patterns[:2].copy()
    spoilt[:, mask] = np.nan
    spoilt[0, 5, 5] = np.nan
    clean = network.find(scene.patterns[:2], mask, probe)
    disks = network.find(spoilt, mask, probe)
    assert len(disks) == pytest.approx(len(clean), abs=2)
    assert np.isfinite(disks.x).all()
    assert np.isfinite(disks.intensity).all()


def test_limits_are_kept(network, scene, probe):
    every = network.find(scene.patterns[:1], None, probe)
    assert len(network.find(scene.patterns[:1], None, probe, most=5)) == 5
    inner = network.find(scene.patterns[:1], None, probe, edge=30.0)
    assert len(inner) < len(every)
    assert (inner.x >= 30).all()
    assert (inner.y <= 97).all()
    assert len(network.find(scene.patterns[:1], None, probe, threshold=0.9)) < len(every)
    apart = network.find(scene.patterns[:1], None, probe, spacing=40.0)
    assert len(apart) < 15
    assert len(network.find(np.zeros((1, 64, 64), np.float32), None, probe)) <= 1


def film_of(network):
    """Evenly lit disks whose lattice ends within the frame, and what is found of them."""
    film = multilayer(random_strains(4, 5), 0.0, 5e5, 5, 256, 6.5)
    probe = Probe(film.probe, film.radius, 1.0, (128.0, 128.0), "simulated")
    return film, network.find(film.patterns, None, probe)


def test_no_disks_are_expected_where_a_lattice_has_ended(network):
    film, disks = film_of(network)
    assert film.present.all(axis=1).any()
    for k in range(4):
        own, true = disks.of(k), film.xy[k]
        away = np.hypot(own.x[:, None] - true[:, 0], own.y[:, None] - true[:, 1])
        assert (away.min(axis=1) < 0.7 * film.radius).mean() > 0.97
        assert (away.min(axis=0)[film.present[k]] < 0.7 * film.radius).all()


def test_lattices_are_as_large_as_they_are(network):
    film, disks = film_of(network)
    start = Lattice(*(tuple(film.reference[k : k + 2]) for k in (0, 2, 4)))
    found = fit_lattices(disks, 4, start, Strain()).values[:, 2:].reshape(4, 2, 2)
    sizes = np.sqrt(np.abs(np.linalg.det(found) / np.linalg.det(film.lattice[:, 2:].reshape(4, 2, 2))))
    assert abs(sizes.mean() - 1) < {"DiskUNet": 3.2e-4, "FCUNet": 1.8e-3}[network.title]

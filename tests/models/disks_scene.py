"""A small scene of single scattering for tests of disks: soft disks on a strained lattice, Poisson counts."""

from typing import NamedTuple

import numpy as np
from scipy.special import erfc

from braggscope.models.disks.results import Lattice

RADIUS, EDGE = 6.5, 1.3
A, B = np.array([26.0, 3.0]), np.array([-6.0, 25.0])


class Scene(NamedTuple):
    """N patterns (S, S) uint16; ``places`` (N, M, 2) x, y; ``strain`` (N, 4) exx eyy exy theta."""

    patterns: np.ndarray
    places: np.ndarray
    strain: np.ndarray
    reference: Lattice


def deformation(exx, eyy, exy, theta):
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    return turn @ np.array([[1 + exx, exy], [exy, 1 + eyy]])


def draw(n=30, modulation=0.0, dose=3e5, size=192, seed=0, radius=RADIUS, largest=0.02):
    """Patterns with strains even within +-largest and origins that wander by a pixel."""
    rng = np.random.default_rng(seed)
    h, k = (v.ravel() for v in np.mgrid[-4:5, -4:5])
    steps = np.outer(h, A) + np.outer(k, B)
    near = (np.abs(steps) < size / 2 - radius - 8).all(axis=1)
    steps = steps[near]
    heights = np.exp(-np.hypot(*steps.T) / 40) * rng.uniform(0.4, 1, len(steps))
    heights[np.hypot(*steps.T) == 0] *= 3
    strain = rng.uniform(-largest, largest, (n, 4)) * (1, 1, 0.5, 1)
    row, col = np.mgrid[:size, :size]
    patterns, places = [], []
    for one in strain:
        g = np.linalg.inv(deformation(*one)).T
        place = steps @ g.T + size / 2 + rng.uniform(-1, 1, 2)
        image = np.full((size, size), 0.03 * heights.sum() * np.pi * radius**2 / size**2)
        for (x, y), height in zip(place, heights, strict=True):
            distance = np.hypot(col - x, row - y)
            wave = rng.normal(0, 1.2 / radius, 2)
            field = np.cos(wave[0] * (col - x) + wave[1] * (row - y) + rng.uniform(0, 2 * np.pi))
            inside = 0.5 * erfc((distance - radius) / (np.sqrt(2) * EDGE / 2.5631))
            image += height * inside * (1 + modulation * field)
        patterns.append(rng.poisson(image * (dose / image.sum())).astype(np.uint16))
        places.append(place)
    reference = Lattice((size / 2, size / 2), tuple(A), tuple(B))
    return Scene(np.array(patterns), np.array(places), strain, reference)


def paired(disks, scene, near=2.0):
    """Offsets (K, 2) of disks from the truth, the rows of those disks, and how many truths are missed."""
    offsets, rows, missed = [], [], 0
    for n, places in enumerate(scene.places):
        own = np.flatnonzero(disks.pattern == n)
        off = np.column_stack((disks.x[own], disks.y[own]))[:, None] - places
        distance = np.hypot(off[..., 0], off[..., 1])
        missed += int((distance.min(axis=0, initial=np.inf) > near).sum())
        for i, row in enumerate(own):
            j = int(np.argmin(distance[i]))
            if distance[i, j] < near:
                offsets.append(off[i, j])
                rows.append(row)
    return np.array(offsets), np.array(rows), missed

"""Templates: what a pattern is correlated with to find where a disk stands."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, ndimage

from braggscope.models.disks.results import Probe

Floats = NDArray[np.float64]

FINE = 4  # samples of a table per pixel
OUTER = 0.3  # px by which the falling edge of the template lies outside the probe's
BIN = 0.25  # px between two samples of a round probe's profile
ROUND = 0.05  # of the height, rms: what a round probe may differ from its profile by
SOFT = 0.6  # px by which the plain disk is blurred: a sharp edge would feel the grid of pixels
RING = 0.27  # of the radius: width of the stressed ring inside the edge, at least 1.6 px
DISK, DISK_X, DISK_Y, PLAIN_X, PLAIN_Y, WEIGHT_X, WEIGHT_Y = range(7)  # rows of the table


@dataclass(frozen=True, slots=True)
class Template:
    """A template of sum 0, positive inside the disk, negative around it.

    ``image`` (2 half + 1)² float32; ``norm``: its response to a disk of height 1. ``table`` (7, FINE, FINE,
    2 half + 2, same) float32: the disk of height 1, then the derivatives along x and y, per px, of the
    disk, of the disk blurred a little, of the template; axes 1, 2: fraction of a pixel, 3, 4: pixel, the
    middle at ``half``. ``radius`` px; ``area`` of a disk of height 1, px²; ``core``: of its part over half
    height.
    """

    image: NDArray[np.float32]
    norm: float
    table: NDArray[np.float32]
    half: int
    radius: float
    area: float
    core: float


def make_template(probe: Probe, kind: Literal["flat", "sigmoid", "gaussian"]) -> Template:
    """The probe less its surroundings.

    flat: less its mean over the window; gaussian: less itself, blurred; sigmoid: less a trench around it,
    with the ring inside the edge raised so that an edge alone, however bright its side of the disk is,
    is found at its own place. For a disk whose brightness varies that is what keeps it from moving; how much
    of it a disk needs is weighed in :func:`braggscope.models.disks.noise.balance`.
    """
    radius, edge = probe.radius, probe.edge
    half = int(np.ceil(radius + max(3.0, 0.55 * radius) + edge))
    axis = np.arange(-half * FINE, half * FINE + 1) / FINE
    disk = _disk(probe, axis, 1.0)
    distance = np.hypot(axis[:, None], axis)
    if kind == "flat":
        weight = disk - disk.mean()
    elif kind == "gaussian":
        weight = disk - ndimage.gaussian_filter(disk, 0.25 * max(radius, 2.0) * FINE)
        weight -= weight.mean()
    else:
        weight = _ringed(probe, axis, distance, half)
    size = 2 * half + 2
    fine = np.zeros((7, size * FINE, size * FINE), np.float32)
    fine[DISK, : len(axis), : len(axis)] = disk
    soft = ndimage.gaussian_filter(disk, SOFT * FINE)
    for row, values in ((DISK_X, disk), (PLAIN_X, soft), (WEIGHT_X, weight)):
        slope_y, slope_x = np.gradient(values, 1 / FINE)
        fine[row : row + 2, : len(axis), : len(axis)] = slope_x, slope_y
    table = fine.reshape(len(fine), size, FINE, size, FINE).transpose(0, 2, 4, 1, 3)
    image = weight[::FINE, ::FINE]
    image = (image - image.mean()).astype(np.float32)
    plain = disk[::FINE, ::FINE]
    norm, area = float((image * plain).sum()), float(plain.sum())
    core = float(plain[plain > 0.5].sum())
    return Template(image, norm, np.ascontiguousarray(table), half, radius, area, core)


def _disk(probe: Probe, axis: Floats, scale: float) -> Floats:
    """The probe at height 1 on a grid, ``scale`` times as large: by its radial profile where it is round.

    A profile is sampled by many pixels at different fractions of a pixel, an image by one: there
    interpolation rings at a sharp edge.
    """
    half = len(probe.image) // 2
    y, x = np.indices(probe.image.shape) - half
    distance = np.hypot(x, y)
    height = float(probe.image[distance <= max(probe.radius - probe.edge / 2, 0.7)].mean())
    image = probe.image.astype(np.float64) / height
    at = axis / scale
    ring = np.round(distance / BIN).astype(np.int64).ravel()
    count = np.bincount(ring)
    seen = count > 0
    radii = np.bincount(ring, distance.ravel())[seen] / count[seen]
    heights = np.bincount(ring, image.ravel())[seen] / count[seen]
    profile = interpolate.PchipInterpolator(radii, heights)
    inside = distance < half
    if np.sqrt(np.mean((profile(distance) - image)[inside] ** 2)) < ROUND:
        wanted = np.hypot(at[:, None], at)
        return np.where(wanted < half, profile(np.minimum(wanted, half)), 0.0)
    return ndimage.map_coordinates(image, np.meshgrid(half + at, half + at, indexing="ij"), order=3)


def _ringed(probe: Probe, axis: Floats, distance: Floats, half: int) -> Floats:
    """Disk with a raised ring inside its edge, less a wide soft trench."""
    radius = probe.radius
    ring = min(max(1.6, RING * radius), 0.6 * radius)
    grown = _disk(probe, axis, (radius + OUTER) / radius)
    shrunk = _disk(probe, axis, (radius - ring) / radius)
    plain = _disk(probe, axis, 1.0)
    middle = len(axis) // 2
    rising, falling = (np.abs(np.diff(d[middle, middle:])) for d in (shrunk, grown))
    height = 0.5 * (plain[middle, middle:-1] + plain[middle, middle + 1 :])
    raised = float((falling * height).sum() / max((rising * height).sum(), 1e-9))
    first, last = radius + probe.edge, float(half)
    slope = np.clip((distance - first) / max(0.35 * (last - first), 1.0), 0, 1)
    fall = np.clip((last - distance) / max(0.35 * (last - first), 1.0), 0, 1)
    trench = (slope * fall) ** 2 * (3 - 2 * slope) * (3 - 2 * fall)
    weight = grown - min(raised, 0.8) * shrunk
    return weight - trench * (weight.sum() / trench.sum())

"""The probe: where the undiffracted disk stands, how large it is, how soft its edge."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize, special

from braggscope.models.disks.circle import SPOKES, Circle, edge_points, fit_circle
from braggscope.models.disks.results import Probe

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEVELS = (0.25, 0.5, 0.75)  # of the height, at which the disk is first looked for
LEAST = 0.25  # of a saturated direct disk's radius: less is no disk of the same probe
FEWEST = 20.0  # counts of a disk
CONTRAST = 6.0  # sigma by which a disk must stand over its surroundings
STRUCTURE = 0.15  # of the height: what the disk's inside must vary by to count as a pattern of the probe
EDGE_PER_SIGMA = 2 * 1.2815515655446004  # from 90 to 10 % of an error function


def synthetic_probe(radius: float, edge: float, size: int) -> Probe:
    """A flat round disk whose edge falls as an error function, ``edge`` px from 90 to 10 %, in size x size.

    Raises ValueError where the disk does not fit.
    """
    if not 0.5 <= radius + edge / 2 < size / 2:
        raise ValueError(f"a disk of radius {radius:g} px does not fit into {size} x {size} pixels")
    axis = np.arange(size) - size // 2
    distance = np.hypot(axis[:, None], axis)
    image = special.erfc((distance - radius) / (np.sqrt(2) * max(edge, 0.2) / EDGE_PER_SIGMA))
    half = size // 2
    return Probe(
        (image / image.sum()).astype(np.float32), radius, edge, (float(half), float(half)), "synthetic"
    )


def measure_probe(image: NDArray, mask: Bools | None = None) -> Probe:
    """The brightest disk of a pattern (H, W), taken in vacuum or the mean of a few patterns; counts.

    The edge is looked for along spokes, each between its own levels inside and outside, and a circle is
    laid through it that does not heed outliers: a beam stop, saturation or a structure inside the disk do
    not move it. Raises ValueError where there is no disk.
    """
    values, good = _clean(image, mask)
    return _measure(values, good, "vacuum", keep=True)


def probe_from_patterns(patterns: NDArray, mask: Bools | None = None) -> Probe:
    """The central disk of patterns (B, H, W) of thin or averaged material, where there is none in vacuum.

    Patterns are laid over each other by the place of their central disk before they are averaged; what
    the disk shows inside is smoothed round. Where the direct disk is saturated, the strongest other one shows
    radius and edge. Patterns without a finite pixel are left out. Raises ValueError where there is no disk.
    """
    patterns = patterns[np.isfinite(patterns).any((1, 2))] if patterns.ndim == 3 else patterns[:0]
    if not len(patterns):
        raise ValueError("there are no patterns to take the probe from; choose some scan positions")
    values, good = _clean(np.asarray(np.mean(patterns, 0, dtype=np.float64)), mask)
    try:
        first = _find(values, good)
    except ValueError:
        raise ValueError(
            "there is no central disk in these patterns; choose a probe file or other positions"
        ) from None
    reach = int(np.ceil(1.6 * first.radius)) + 1
    shifts: list[Circle | None] = []
    for pattern in patterns:
        one, sure = _clean(pattern, mask)
        try:
            shifts.append(_refine(one, sure, first, reach))
        except ValueError:
            shifts.append(None)
    known = [(k, c) for k, c in enumerate(shifts) if c is not None]
    if len(known) > 1 and np.std([(c.x, c.y) for _, c in known], axis=0).max() > 0.3:
        total = np.zeros_like(values)
        for k, c in known:
            one, _ = _clean(patterns[k], mask)
            total += ndimage.shift(one, (first.y - c.y, first.x - c.x), order=1, mode="nearest")
        values = total / len(known)
    if not _is_saturated(patterns, first):
        return _measure(values, good, "data", keep=False)
    return replace(_measure(values, good, "data", False, _other(values, good, first)), centre=first[:2])


def _clean(image: NDArray, mask: Bools | None) -> tuple[Floats, Bools]:
    """Values with bad pixels filled from the nearest good ones, and which are good."""
    values = np.array(image, np.float64)
    if values.ndim != 2:
        raise ValueError(f"a pattern has two axes, not {values.ndim}")
    good = np.isfinite(values)
    if mask is not None:
        good &= ~mask
    if not good.any():
        raise ValueError("every pixel of the pattern is masked; there is no disk to measure")
    if not good.all():
        nearest = ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
        values = values[tuple(nearest)]
    return values, good


def _is_saturated(patterns: NDArray, circle: Circle) -> bool:
    """Whether a tenth of the direct disk and its surroundings is as bright as can be."""
    y, x = np.indices(patterns.shape[1:])
    inside = patterns[:, np.hypot(x - circle.x, y - circle.y) < circle.radius]
    return bool(np.mean(inside == patterns.max()) > 0.1) and patterns.max() > 1


def _other(values: Floats, good: Bools, direct: Circle) -> Circle:
    """The disk that stands out most beside a saturated direct one, which blooms; the latter if none does."""
    y, x = np.indices(values.shape)
    smooth = ndimage.gaussian_filter(values, 1.0)
    out = smooth - ndimage.gaussian_filter(values, 1.5 * direct.radius)
    away = good & (np.hypot(x - direct.x, y - direct.y) > 2.2 * direct.radius)
    row, col = np.unravel_index(int(np.argmax(np.where(away, out, -np.inf))), values.shape)
    near = good & (np.hypot(x - col, y - row) < 2 * direct.radius)
    top, ground = float(smooth[row, col]), float(np.median(values[near]))
    label, _ = ndimage.label((smooth > 0.5 * (top + ground)) & near)
    own = label == label[row, col]
    rough = Circle(float(col), float(row), float(np.sqrt(own.sum() / np.pi)), top, ground)
    try:
        other = _refine(values, good, rough, None)
    except ValueError:
        return direct
    return other if other.radius > LEAST * direct.radius else direct


def _measure(values: Floats, good: Bools, source: str, keep: bool, circle: Circle | None = None) -> Probe:
    """The disk, or that of a circle, as a probe; ``keep``: as it is inside, where that is more than noise."""
    circle = circle or _find(values, good)
    radii, profile = _profile(values, good, circle)
    radius, edge = _soft_edge(values, good, circle)
    half = int(np.ceil(1.3 * radius + 1.5 * edge)) + 2
    around = profile[(radii > radius + edge) & (radii < half)]
    if len(around):  # diffuse light about the disk is no part of it
        circle = circle._replace(outside=max(circle.outside, float(np.median(around))))
    height = (profile - circle.outside) / (circle.inside - circle.outside)
    axis = np.arange(-half, half + 1.0)
    distance = np.hypot(axis[:, None], axis)
    fade = np.clip((half - distance) / (half - radius - edge), 0, 1)
    fade = np.where(distance < radius + edge, 1.0, fade)
    image = np.interp(distance, radii, np.maximum(height, 0))
    if keep:
        own = (_shifted(values, circle, half, 3) - circle.outside) / (circle.inside - circle.outside)
        seen = _shifted(good.astype(np.float64), circle, half, 1) > 0.999
        inner = seen & (distance < radius - edge)
        noise = np.sqrt(max(circle.inside, 0.0)) / (circle.inside - circle.outside)
        rough = float(np.std((own - image)[inner])) if inner.sum() > 8 else 0.0
        if rough > max(STRUCTURE, 3 * noise) and seen.mean() > 0.95:
            image = np.maximum(own, 0)
    image = image * fade
    return Probe(
        (image / image.sum()).astype(np.float32), radius, edge, (float(circle.x), float(circle.y)), source
    )


def _shifted(values: Floats, circle: Circle, half: int, order: int) -> Floats:
    """Pixels about the circle's centre."""
    axis = np.arange(-half, half + 1.0)
    at = np.meshgrid(circle.y + axis, circle.x + axis, indexing="ij")
    return ndimage.map_coordinates(values, at, order=order, mode="nearest")


def _find(values: Floats, good: Bools) -> Circle:
    """The brightest disk, by its pixels over half height, then by its edge."""
    smooth = ndimage.gaussian_filter(values, 1.0)
    ground = float(np.median(values[good]))
    noise = 1.4826 * float(np.median(np.abs(smooth[good] - np.median(smooth[good]))))
    top = float(np.quantile(smooth[good], 1 - min(0.5, 12 / good.sum())))
    if not top - ground > CONTRAST * noise or top <= ground:
        raise ValueError("there is no disk in this pattern: nothing stands out over the noise")
    problem = ValueError("there is no disk in this pattern")
    for level in LEVELS:  # diffuse light about the disk asks for a higher one
        try:
            return _from_level(values, smooth, good, ground, top, level)
        except ValueError as error:
            problem = error
    raise problem


def _from_level(
    values: Floats, smooth: Floats, good: Bools, ground: float, top: float, level: float
) -> Circle:
    """The disk of the largest patch over a share of the height."""
    label, n = ndimage.label((smooth > ground + (top - ground) * level) & good)
    if not n:
        raise ValueError("there is no disk in this pattern: nothing stands out over the noise")
    sums = ndimage.sum_labels(smooth - ground, label, np.arange(1, n + 1))
    largest = label == 1 + int(np.argmax(sums))
    area = float(largest.sum())
    if area > 0.5 * values.size:
        raise ValueError("there is no disk in this pattern: more than half of it is bright")
    if np.array_equal(values, np.round(values)) and values[largest].sum() - ground * area < FEWEST:
        raise ValueError("there is no disk in this pattern: too few counts")
    y, x = ndimage.center_of_mass(largest)
    rough = Circle(float(x), float(y), float(np.sqrt(area / np.pi)), top, ground)
    return _refine(values, good, rough, None)


def _refine(values: Floats, good: Bools, rough: Circle, reach: int | None) -> Circle:
    """A circle through the half heights along spokes; with ``reach``, from the centre of mass there."""
    if reach is not None:
        y, x = np.ogrid[: values.shape[0], : values.shape[1]]
        near = (np.hypot(x - rough.x, y - rough.y) < reach) & good
        bright = np.where(near, values - rough.outside, 0.0)
        bright[bright < 0.3 * np.quantile(bright[near], 0.9)] = 0.0
        if not bright.sum() > 0:
            raise ValueError("there is no disk in this pattern")
        down, along = ndimage.center_of_mass(bright)
        rough = rough._replace(x=float(along), y=float(down))
    circle = rough
    for _ in range(4):
        points = edge_points(values, good, circle)
        if len(points) < SPOKES // 4:
            if circle.radius < 2.5:  # a disk of few pixels has no edge to follow
                return circle
            raise ValueError("there is no disk in this pattern: its edge cannot be followed")
        cx, cy, radius = fit_circle(points)
        moved = np.hypot(cx - circle.x, cy - circle.y) + abs(radius - circle.radius)
        circle = circle._replace(x=cx, y=cy, radius=radius)
        if moved < 1e-3:
            break
    if not 0.5 < circle.radius < 0.5 * max(values.shape):
        raise ValueError("there is no disk in this pattern: its edge cannot be followed")
    return circle


def _profile(values: Floats, good: Bools, circle: Circle) -> tuple[Floats, Floats]:
    """Radii px and mean values in rings of half a pixel: no interpolation, which would soften the edge."""
    y, x = np.indices(values.shape)
    distance = np.hypot(x - circle.x, y - circle.y)
    use = good & (distance < 1.6 * circle.radius + 6)
    ring = np.round(distance[use] * 2).astype(np.int64)
    count = np.bincount(ring)
    seen = count > 0
    radii = np.bincount(ring, distance[use])[seen] / count[seen]
    return radii, np.bincount(ring, values[use])[seen] / count[seen]


def _soft_edge(values: Floats, good: Bools, circle: Circle) -> tuple[float, float]:
    """Radius at half height and width from 90 to 10 %: an error function through the pixels near the edge."""
    y, x = np.indices(values.shape)
    distance = np.hypot(x - circle.x, y - circle.y)
    use = good & (np.abs(distance - circle.radius) < max(2.5, 0.45 * circle.radius))
    r, height = distance[use], (values[use] - circle.outside) / (circle.inside - circle.outside)

    def misfit(parameters: Floats) -> Floats:
        radius, sigma, top, low = parameters
        return low + (top - low) * 0.5 * special.erfc((r - radius) / (np.sqrt(2) * sigma)) - height

    start = (circle.radius, 0.8, 1.0, 0.0)
    bounds = ([0.3 * circle.radius, 0.05, 0.1, -1.0], [1.6 * circle.radius, circle.radius + 1, 10.0, 2.0])
    found = optimize.least_squares(misfit, start, bounds=bounds)
    return float(found.x[0]), float(EDGE_PER_SIGMA * found.x[1])


def check_setting(probe: Probe, shape: tuple[int, int], mask: NDArray[np.bool_] | None) -> None:
    """Raise ValueError for a probe larger than patterns of ``shape``, or a mask of another shape."""
    if 2 * probe.radius + 2 >= min(shape):
        raise ValueError(
            f"a probe of radius {probe.radius:.3g} px is too large for {shape[0]} x {shape[1]} pixels"
        )
    if mask is not None and mask.shape != tuple(shape):
        raise ValueError(f"the mask is {mask.shape}, but the patterns are {tuple(shape)} pixels")

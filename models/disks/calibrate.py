"""What must be known before strain: origin of each pattern, ellipse, pixel size, turn of scan and pattern."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from braggscope.models.disks.bragg_map import bragg_map
from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.probe import probe_from_patterns
from braggscope.models.disks.results import Disks, Floats, Lattice

Bools = NDArray[np.bool_]
OriginKind = Literal["constant", "plane", "parabola", "measured"]

REACH = 0.35  # of the distance to the nearest other disks: how far an origin may wander
WINDOW = 5.0  # radii about the direct disk of the mean in which that of a pattern is looked for
SAMPLE = 64  # patterns that show the direct disk
BISQUARE = 4.685
TERMS = {"constant": 1, "plane": 3, "parabola": 6, "measured": 3}


def origins(
    data: Disks | NDArray, scan_shape: tuple[int, int], kind: OriginKind, mask: Bools | None = None
) -> Floats:
    """(N, 2) x, y px: the origin of each pattern of a scan of rows x columns, row-major.

    From disks: the direct one, or where it is hidden the middle between opposite ones. From patterns
    (N, H, W) with a ``mask`` (H, W), True = bad: the direct disk by correlation. A plane or parabola
    in row and column is fitted with Tukey's bisquare weights: empty patterns and wrong disks do not count;
    "measured" keeps each own value and fills missing ones by a plane. Raises ValueError where no pattern
    shows an origin, or the scan has another size.
    """
    n = scan_shape[0] * scan_shape[1]
    if isinstance(data, Disks):
        if len(data) and data.pattern.max() >= n:
            raise ValueError(
                f"there are disks of pattern {data.pattern.max()}, but the scan has {n} positions"
            )
        found = _from_disks(data, n)
    else:
        if len(data) != n:
            raise ValueError(f"there are {len(data)} patterns, but the scan has {n} positions")
        found = _from_patterns(data, mask)
    known = np.asarray(np.isfinite(found).all(axis=1), np.bool_)
    if not known.any():
        raise ValueError("no pattern shows an origin; lower the threshold or choose another probe")
    smooth = _surface(found, known, scan_shape, TERMS[kind])
    return np.where(known[:, None], found, smooth) if kind == "measured" else smooth


def _from_disks(disks: Disks, n: int) -> Floats:
    """Direct disk of each pattern, else the median middle of opposite disks; NaN where there is neither."""
    found = np.full((n, 2), np.nan)
    if not len(disks):
        return found
    middle, reach = _middle(disks)
    for k in np.unique(disks.pattern):
        own = disks.of(int(k))
        place = np.column_stack((own.x, own.y)) - middle
        distance = np.hypot(*place.T)
        nearest = int(np.argmin(distance))
        if distance[nearest] < reach:
            found[k] = middle + place[nearest]
            continue
        i, j = np.triu_indices(len(place), 1)
        halves = 0.5 * (place[i] + place[j])
        close = halves[np.hypot(*halves.T) < reach / 2]
        if len(close) >= 2:
            found[k] = middle + np.median(close, axis=0)
    return found


def _middle(disks: Disks) -> tuple[Floats, float]:
    """x, y about which the disks of all patterns lie most evenly, and how far an origin may be from it."""
    size = int(np.ceil(max(disks.x.max(), disks.y.max()))) + 8
    image = bragg_map(disks, (size, size), weights=np.sqrt(np.maximum(disks.intensity, 0)))
    smooth = ndimage.gaussian_filter(image, 1.5)
    spectrum = fft.rfft2(smooth, (2 * size, 2 * size))
    own = fft.irfft2(spectrum**2, (2 * size, 2 * size))  # with itself, turned by half a turn
    row, col = np.unravel_index(int(np.argmax(own)), own.shape)
    around = fft.irfft2(np.abs(spectrum) ** 2, (2 * size, 2 * size))
    highest = (ndimage.maximum_filter(around, 9, mode="wrap") == around) & (around > 0.1 * around[0, 0])
    rows, cols = np.nonzero(highest)
    rows, cols = (np.where(v > size, v - 2 * size, v) for v in (rows, cols))
    apart = np.hypot(rows, cols)
    apart = apart[apart > 4]
    return np.array([col / 2, row / 2]), REACH * float(apart.min()) if len(apart) else size / 8


def _from_patterns(patterns: NDArray, mask: Bools | None) -> Floats:
    """Direct disks by correlation with their mean, nearest to its place; NaN where none is."""
    probe = probe_from_patterns(patterns[:: max(1, len(patterns) // SAMPLE)], mask)
    corner = [max(int(v - WINDOW * probe.radius), 0) for v in probe.centre]
    stop = [int(v + WINDOW * probe.radius) + 2 for v in probe.centre]
    cut = slice(corner[1], stop[1]), slice(corner[0], stop[0])
    some = patterns[:, *cut]
    settings = Strain(threshold=0.2, subpixel="upsampled", intensity="sqrt")
    disks = Correlator(probe, some.shape[1:], settings, None if mask is None else mask[cut]).find(some)
    off = np.hypot(disks.x + corner[0] - probe.centre[0], disks.y + corner[1] - probe.centre[1])
    found = np.full((len(patterns), 2), np.nan)
    for k in np.argsort(-off):  # the nearest comes last and stays
        if off[k] < WINDOW / 2 * probe.radius:
            found[disks.pattern[k]] = disks.x[k] + corner[0], disks.y[k] + corner[1]
    return found


def _surface(values: Floats, known: Bools, scan_shape: tuple[int, int], terms: int) -> Floats:
    """Values of a polynomial of row and column at every position, fitted robustly to the known ones."""
    row, col = (v.ravel() for v in np.indices(scan_shape).astype(np.float64))
    r, c = row / max(scan_shape[0] - 1, 1) - 0.5, col / max(scan_shape[1] - 1, 1) - 0.5
    columns = np.column_stack((np.ones_like(r), r, c, r * r, r * c, c * c))[:, :terms]
    rows, wanted = columns[known], values[known]
    centre = np.median(wanted, axis=0)
    weight = 1 / (1 + np.hypot(*(wanted - centre).T) / (np.median(np.hypot(*(wanted - centre).T)) + 0.1))
    for _ in range(20):
        solution = np.linalg.lstsq(rows * weight[:, None], wanted * weight[:, None], rcond=None)[0]
        off = np.hypot(*(wanted - rows @ solution).T)
        scale = BISQUARE * max(float(np.median(off)) / 1.1774, 1e-3)
        weight = np.clip(1 - (off / scale) ** 2, 0, None)
    return np.asarray(columns @ solution)


def lattice_ellipse(lattice: Lattice, length_ratio: float, angle: float) -> tuple[float, float]:
    """Ratio (>= 1) of the axes and angle (rad, of the long one from +x towards +y) of the distortion.

    From a lattice whose shape is known: |b| / |a| and the angle from a to b in rad.
    """
    ideal = np.array([[1.0, length_ratio * np.cos(angle)], [0.0, length_ratio * np.sin(angle)]])
    distortion = lattice.matrix @ np.linalg.inv(ideal)
    values, vectors = np.linalg.eigh(np.linalg.inv(distortion @ distortion.T))
    turn = float(np.arctan2(vectors[1, 0], vectors[0, 0]))
    return float(np.sqrt(values[1] / values[0])), (turn + np.pi / 2) % np.pi - np.pi / 2


def correct_ellipse(disks: Disks, ratio: float, angle: float, centre: tuple[float, float]) -> Disks:
    """Disks with the ellipse made round about ``centre``, areas kept; ``angle`` is that of its long axis."""
    if ratio == 1:
        return disks
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[c, -s], [s, c]])
    matrix = axes @ np.diag([ratio**-0.5, ratio**0.5]) @ axes.T
    place = np.stack((disks.x - centre[0], disks.y - centre[1]))
    x, y = matrix @ place + np.array(centre)[:, None]
    x_err, y_err = np.sqrt(matrix**2 @ np.stack((disks.x_err**2, disks.y_err**2)))
    return replace(disks, x=x, y=y, x_err=x_err, y_err=y_err)


def pixel_size(lattice: Lattice, spacing_angstrom: float, h: int, k: int) -> float:
    """1/Å per px, where the planes of disk (h, k) are ``spacing_angstrom`` apart."""
    length = float(np.linalg.norm(lattice.matrix @ (h, k)))
    if not (length > 0 and spacing_angstrom > 0):
        raise ValueError("the pixel size needs a disk other than the direct one and a spacing over 0 Å")
    return 1 / (spacing_angstrom * length)


def scan_rotation(com: NDArray) -> tuple[float, bool]:
    """Rotation rad and transposition between scan and pattern, from centres of mass (rows, columns, 2) in px.

    Electric fields have no curl: the rotation is the one with the least of it, either way round (transposed:
    x and y of the pattern exchanged first). Known up to half a turn, given within a quarter. In the sense of
    the parameter ``rotation``: from the pattern's x to the scan's x, towards y.
    """
    if min(com.shape[:2]) < 3:
        raise ValueError("the rotation needs a scan of at least 3 x 3 positions")
    field = np.where(np.isfinite(com), com, np.nanmedian(com, axis=(0, 1)))
    best = []
    for transpose in (False, True):
        x, y = (field[..., 1], field[..., 0]) if transpose else (field[..., 0], field[..., 1])
        (x_down, x_along), (y_down, y_along) = np.gradient(x), np.gradient(y)
        curl, divergence = y_along - x_down, x_along + y_down
        a = 0.5 * float((curl**2).sum() - (divergence**2).sum())
        b = float((curl * divergence).sum())
        left = 0.5 * float((curl**2).sum() + (divergence**2).sum()) - np.hypot(a, b)
        best.append((left, 0.5 * float(np.arctan2(b, -a)), transpose))
    _, angle, transpose = min(best)
    return angle, transpose

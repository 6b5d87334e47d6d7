"""Poisson noise of a transformed pattern, and how a disk's edge is weighed against what it shows inside."""

# ruff: noqa: ANN001
# mypy: disable-error-code="no-untyped-def"

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.disks.kernel import DISK, DISK_X, PLAIN_X, WEIGHT_X, Template

Floats = NDArray[np.float64]

GREYS = 64  # steps of the root of a disk's height, from 0 to 1, for which its noise is worked out
NODES = 16  # of the noise tables, per unit of log(1 + counts)
INNER = 0.97  # of a disk's height: pixels that show what varies inside
WAVES = 100  # that stand for what disks show inside
LENGTHS = (0.8, 1.5, 2.5)  # rad per radius: standard deviations of their wave vectors along each axis
BRIGHT, DIM = 200.0, 0.5  # counts of the disk and around it on which they are tried


class Noise(NamedTuple):
    """Poisson counts after the transform: mean, its derivative, and variance, over log(1 + mean count)."""

    mean: Floats
    slope: Floats
    variance: Floats


def noise_of(intensity: str) -> Noise:
    """Tables for means up to 3e6: sums over the Poisson distribution below 60, the delta method above."""
    from scipy.special import gammaln

    mean = np.expm1(np.arange(15 * NODES) / NODES)
    counts = np.arange(160.0)
    few = np.clip(mean, 1e-3, 60.0)[:, None]
    share = np.exp(counts * np.log(few) - few - gammaln(counts + 1))
    value = {"log": np.log1p(counts), "sqrt": np.sqrt(counts), "linear": counts}[intensity]
    first = (share * value).sum(1)
    slope = (share * value * (counts / few - 1)).sum(1)
    variance = (share * value**2).sum(1) - first**2
    steep = {"log": 1 / (1 + mean), "sqrt": 0.5 / np.sqrt(mean + 1e-12), "linear": np.ones_like(mean)}
    many = steep[intensity]
    large = mean > 60.0
    straight = {"log": np.log1p(mean), "sqrt": np.sqrt(mean), "linear": mean}[intensity]
    spread = np.where(large, many**2 * mean, variance)
    return Noise(np.where(large, straight, first), np.where(large, many, slope), spread)


@njit(inline="always")
def grey_of(disk) -> int:
    """Step nearest to a height."""
    return min(int(np.sqrt(max(disk, 0.0)) * GREYS + 0.5), GREYS)


@njit(cache=True, nogil=True)
def nodes_of(height, level, size) -> NDArray[np.int64]:
    """Places in the noise tables of every step of a disk's height."""
    nodes = np.empty(GREYS + 1, np.int64)
    for grey in range(GREYS + 1):
        mean = max(level + height * (grey / GREYS) ** 2, 0.0)
        nodes[grey] = min(int(np.log1p(mean) * NODES + 0.5), size - 1)
    return nodes


@njit(cache=True, nogil=True)
def curve_of(height, level, bent) -> NDArray[np.float32]:
    """Heights from 0 to 1 after the transform for every step, between the nodes of the table."""
    out = np.empty(GREYS + 1, np.float32)
    for grey in range(GREYS + 1):
        mean = max(level + height * (grey / GREYS) ** 2, 0.0)
        at = min(np.log1p(mean) * NODES, len(bent) - 1.001)
        i = int(at)
        out[grey] = bent[i] + (at - i) * (bent[i + 1] - bent[i])
    return (out - out[0]) / (out[GREYS] - out[0])


def sway(template: Template, noise: Noise) -> Floats:
    """(3,) px²: how far disks whose inside varies by 100 % (rms) move, plain, both and stressed.

    Variances, and in the middle the covariance, of the places at which the derivatives of the disk itself
    (plain) and of the template (stressed edge) vanish, over waves of random length, direction and phase.
    """
    sample = template.table[:, 0, 0]
    node = np.minimum(np.log1p(DIM + BRIGHT * np.clip(sample[DISK], 0, 1)) * NODES, len(noise.slope) - 1)
    slope = BRIGHT * noise.slope[node.astype(np.int64)]
    axis = np.arange(sample.shape[1]) - template.half
    rng = np.random.default_rng(0)
    scale = np.repeat(LENGTHS, WAVES)[:, None] / template.radius
    waves = rng.normal(0, 1, (len(scale), 2)) * scale
    phase = np.exp(1j * (waves[:, :1, None] * axis[:, None] + waves[:, 1:, None] * axis))
    shown = 1 - np.abs(phase[:, sample[DISK] > INNER].mean(axis=1)) ** 2
    shown = np.maximum(np.repeat(shown.reshape(-1, WAVES).mean(axis=1), WAVES), 0.02)
    moved = []
    for row in (PLAIN_X, WEIGHT_X):
        response = float((sample[row] * slope * sample[DISK_X]).sum())
        moved.append((phase * (sample[row] * slope * sample[DISK])).sum(axis=(1, 2)) / response)
    plain, stressed = moved
    parts = (np.abs(plain) ** 2, (plain * stressed.conj()).real, np.abs(stressed) ** 2)
    return np.array([np.mean(part / shown) for part in parts])


def sums_by_grey(template: Template) -> Floats:
    """(GREYS + 1, 17): sums over the pixels of a whole disk of products of derivatives, by its height there.

    Columns: plain times disk xx xy yx yy, stressed times disk alike; plain times plain xx xy yy, twice plain
    times stressed alike, stressed times stressed alike. With them noise needs no sum over pixels.
    """
    sample = template.table[:, 0, 0].astype(np.float64)
    grey = np.minimum(np.sqrt(np.maximum(sample[DISK], 0.0)) * GREYS + 0.5, GREYS).astype(np.int64).ravel()
    (dx, dy), (px, py), (wx, wy) = (sample[row : row + 2] for row in (DISK_X, PLAIN_X, WEIGHT_X))
    parts = (
        px * dx, px * dy, py * dx, py * dy, wx * dx, wx * dy, wy * dx, wy * dy, px * px, px * py, py * py,
        2 * px * wx, px * wy + py * wx, 2 * py * wy, wx * wx, wx * wy, wy * wy,
    )  # fmt: skip
    return np.stack([np.bincount(grey, part.ravel(), GREYS + 1) for part in parts], 1)


@njit(cache=True, nogil=True)
def balance(sums, height, level, slope, variance, varied, swayed) -> tuple[float, float]:
    """Shares of the plain and the stressed derivative with the least variance of the place of a disk.

    Poisson noise for the one, what the brightness inside varies by (``varied``, relative variance) for the
    other; both measured by their effect on the place. ``sums`` of :func:`sums_by_grey`.
    """
    nodes = nodes_of(height, level, len(slope))
    hp = hw = pp = pw = ww = 0.0
    for grey in range(len(sums)):
        k, v = slope[nodes[grey]] * height, variance[nodes[grey]]
        hp += k * sums[grey, 0]
        hw += k * sums[grey, 4]
        pp += v * sums[grey, 8]
        pw += v * 0.5 * sums[grey, 11]
        ww += v * sums[grey, 14]
    if not (hp > 0 and hw > 0):
        return 0.0, 1.0
    a = pp / hp**2 + varied * swayed[0]
    b = pw / (hp * hw) + varied * swayed[1]
    c = ww / hw**2 + varied * swayed[2]
    share = min(max((a - b) / max(a + c - 2 * b, 1e-30), 0.0), 1.0)
    return (1 - share) * hw / hp, share

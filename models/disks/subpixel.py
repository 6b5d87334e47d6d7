"""Disks measured one by one: height over the surroundings, place to a fraction of a pixel, and its error."""

# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def"

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.disks.kernel import DISK, DISK_X, DISK_Y, FINE, WEIGHT_X, WEIGHT_Y

Floats = NDArray[np.float64]

NONE, PARABOLA, UPSAMPLED = range(3)
STEPS = 6  # of the search for the maximum
REACH, CUT_REACH = 1.5, 4.0  # px the maximum may lie from that of the map; where pixels were filled in
SEEN = 0.6  # of a disk's area that must lie on good pixels
SIGNIFICANT = 5.5  # sigma by which a disk stands over its surroundings
SECTORS = 8
GREYS = 32  # steps from the surroundings to the height of a disk for which its noise is worked out
NODES = 16  # of the noise tables, per unit of log(1 + counts)
_SUMS = {"reassoc", "contract", "nsz"}  # what lets the compiler add in parallel


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
def _window(at, half, size):
    """First and last pixel nearer than ``half`` to a coordinate."""
    return max(int(np.ceil(at - half + 1e-6)), 0), min(int(np.floor(at + half - 1e-6)), size - 1)


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _shift(table, y, x, window, out):
    """Rows of the table at a window's pixels for a disk at (x, y), bilinear between fractions of a pixel."""
    r0, r1, c0, c1 = window
    half = table.shape[3] // 2 - 1
    fy, fx = (r0 - y + half) * FINE, (c0 - x + half) * FINE
    iy, ix = int(fy), int(fx)
    u, v = np.float32(fy - iy), np.float32(fx - ix)
    one = np.float32(1)
    a, b, c, d = (one - u) * (one - v), (one - u) * v, u * (one - v), u * v
    py, qy, px, qx = iy % FINE, (iy + 1) % FINE, ix % FINE, (ix + 1) % FINE
    n = c1 - c0 + 1
    for row in range(len(out)):
        for i in range(r1 - r0 + 1):
            y0, y1 = iy // FINE + i, (iy + 1) // FINE + i
            x0, x1 = ix // FINE, (ix + 1) // FINE
            first = table[row, py, px, y0, x0 : x0 + n]
            second = table[row, py, qx, y0, x1 : x1 + n]
            third = table[row, qy, px, y1, x0 : x0 + n]
            fourth = table[row, qy, qx, y1, x1 : x1 + n]
            to = out[row, i]
            for j in range(n):
                to[j] = a * first[j] + b * second[j] + c * third[j] + d * fourth[j]


@njit(cache=True, nogil=True)
def _levels(raw, weight, table, r, c):
    """Mean over the disk, level and variance around it, good pixels of both, mean height of a disk of 1.

    Last: whether no pixel of the window is missing.
    """
    half = table.shape[3] // 2 - 1
    inside = n_in = height = seen = 0.0
    total, square, count = np.zeros(SECTORS), 0.0, np.zeros(SECTORS)
    for i in range(max(r - half, 0), min(r + half + 1, raw.shape[0])):
        dy = i - r
        for j in range(max(c - half, 0), min(c + half + 1, raw.shape[1])):
            if weight[i, j] == 0:
                continue
            seen += 1
            dx = j - c
            disk = table[DISK, 0, 0, dy + half, dx + half]
            value = float(raw[i, j])
            if disk > 0.5:
                inside += value
                height += disk
                n_in += 1
            elif disk < 0.01 and dx * dx + dy * dy < half * half:
                sector = 4 * (dy > 0) + 2 * (dx > 0) + (abs(dx) > abs(dy))
                total[sector] += value
                count[sector] += 1
                square += value * value
    known = count > 0
    if n_in == 0 or not known.any():
        return 0.0, 0.0, 0.0, n_in, 0.0, 1.0, False
    n_out = count.sum()
    level = np.median(total[known] / count[known])  # neighbours fill some sectors
    spread = square / n_out - (total.sum() / n_out) ** 2
    return inside / n_in, level, spread, n_in, n_out, height / n_in, seen == (2 * half + 1) ** 2


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _slope(image, weight, table, x, y, curve, patch):
    """Derivatives of the correlation at (x, y), of what a level and a disk in place leave on good pixels.

    On whole windows that is the correlation with the template's derivative; where pixels are missing the
    derivative is made orthogonal to both, so the missing ones weigh nothing. ``curve``: heights of the disk
    after the transform, from 0 to 1; empty: as they are.
    """
    half = table.shape[3] // 2 - 1
    r0, r1 = _window(y, half, image.shape[0])
    c0, c1 = _window(x, half, image.shape[1])
    _shift(table, y, x, (r0, r1, c0, c1), patch)
    zero = np.float32(0)
    n = s = ss = f = fs = zero
    tx = ty = txs = tys = ftx = fty = zero
    for i in range(r1 - r0 + 1):
        disks, xs, ys = patch[DISK, i], patch[WEIGHT_X, i], patch[WEIGHT_Y, i]
        values, weights = image[r0 + i, c0 : c1 + 1], weight[r0 + i, c0 : c1 + 1]
        if len(curve):
            for j in range(c1 - c0 + 1):
                disks[j] = curve[min(max(int(disks[j] * GREYS + 0.5), 0), GREYS)]
        for j in range(c1 - c0 + 1):
            w = weights[j]
            disk, gx, gy, value = w * disks[j], w * xs[j], w * ys[j], values[j]
            n += w
            s += disk
            ss += disk * disks[j]
            f += w * value
            fs += value * disk
            tx += gx
            ty += gy
            txs += gx * disks[j]
            tys += gy * disks[j]
            ftx += value * gx
            fty += value * gy
    det = n * ss - s * s
    if det <= 0:
        return np.nan, np.nan
    level, height = (ss * f - s * fs) / det, (n * fs - s * f) / det
    return float(ftx - level * tx - height * txs), float(fty - level * ty - height * tys)


@njit(cache=True, nogil=True)
def _climb(image, weight, table, x, y, reach, curve, patch):
    """Where both derivatives vanish: a Newton search from the pixel; NaN where it runs away."""
    h = 0.3
    gx, gy = _slope(image, weight, table, x, y, curve, patch)
    ax, ay = _slope(image, weight, table, x + h, y, curve, patch)
    bx, by = _slope(image, weight, table, x, y + h, curve, patch)
    xx, yy, off = (ax - gx) / h, (by - gy) / h, 0.5 * (ay - gy + bx - gx) / h
    det = xx * yy - off * off
    if not (det > 0 and xx > 0):
        return np.nan, np.nan
    px, py = x, y
    for _ in range(STEPS):
        dx, dy = -(yy * gx - off * gy) / det, -(xx * gy - off * gx) / det
        size = max(abs(dx), abs(dy))
        if size > 0.6:
            dx, dy = dx * 0.6 / size, dy * 0.6 / size
        px, py = px + dx, py + dy
        if not (abs(px - x) < reach and abs(py - y) < reach):
            return np.nan, np.nan
        if size < 2e-3:
            break
        gx, gy = _slope(image, weight, table, px, py, curve, patch)
    return px, py


@njit(cache=True, nogil=True)
def _nodes(height, level, size):
    """Places in the noise tables of the greys of a disk."""
    nodes = np.empty(GREYS + 1, np.int64)
    for grey in range(GREYS + 1):
        mean = max(level + height * grey / GREYS, 0.0)
        nodes[grey] = min(int(np.log1p(mean) * NODES + 0.5), size - 1)
    return nodes


@njit(cache=True, nogil=True)
def _errors(weight, table, x, y, height, level, slope, variance):
    """1 sigma of both coordinates: Poisson noise of a disk of this height carried through the template.

    With g the derivatives of the template, d those of the disk and f the transform, a shift e changes the
    derivative of the correlation by H e, H = sum g (f' height d)ᵀ, and noise by V = sum g var(f) gᵀ:
    covariance = H⁻¹ V H⁻ᵀ.
    """
    half = table.shape[3] // 2 - 1
    nodes = _nodes(height, level, len(slope))
    hxx = hxy = hyx = hyy = vxx = vxy = vyy = 0.0
    row, col = int(np.round(y)), int(np.round(x))
    for r in range(max(row - half, 0), min(row + half + 1, weight.shape[0])):
        for c in range(max(col - half, 0), min(col + half + 1, weight.shape[1])):
            if weight[r, c] == 0:
                continue
            sample = table[:, 0, 0, r - row + half, c - col + half]
            node = nodes[min(max(int(sample[DISK] * GREYS + 0.5), 0), GREYS)]
            k, v = slope[node] * height, variance[node]
            gx, gy, dx, dy = sample[WEIGHT_X], sample[WEIGHT_Y], k * sample[DISK_X], k * sample[DISK_Y]
            hxx += gx * dx
            hxy += gx * dy
            hyx += gy * dx
            hyy += gy * dy
            vxx += gx * gx * v
            vxy += gx * gy * v
            vyy += gy * gy * v
    det = hxx * hyy - hxy * hyx
    if det <= 0:
        return np.nan, np.nan
    p, q, s, t = hyy / det, -hxy / det, -hyx / det, hxx / det
    return (
        np.sqrt(p * p * vxx + 2 * p * q * vxy + q * q * vyy),
        np.sqrt(s * s * vxx + 2 * s * t * vxy + t * t * vyy),
    )


@njit(cache=True, nogil=True)
def _curve(height, level, bent):
    """Heights from 0 to 1 after the transform for greys from 0 to 1, between the nodes of the table."""
    out = np.empty(GREYS + 1, np.float32)
    for grey in range(GREYS + 1):
        at = min(np.log1p(max(level + height * grey / GREYS, 0.0)) * NODES, len(bent) - 1.001)
        i = int(at)
        out[grey] = bent[i] + (at - i) * (bent[i + 1] - bent[i])
    return (out - out[0]) / (out[GREYS] - out[0])


@njit(inline="always")
def _vertex(before, at, after):
    """Offset of a parabola's maximum from the middle of three values."""
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


@njit(cache=True, nogil=True)
def measure(
    correlation, image, raw, weight, table, area, rows, cols, subpixel, counts, bent, slope, variance
) -> Floats:
    """(N, 5) x, y, x_err, y_err, height of the disks at ``rows, cols``; NaN rows for those that are none.

    ``weight`` (H, W) float32: 0 for bad pixels, else 1. ``counts``: ``raw`` is Poisson; without it no
    error is stated. ``bent, slope, variance``: see :class:`Noise`.
    """
    out = np.full((len(rows), 5), np.nan)
    patch = np.empty((6, table.shape[3], table.shape[4]), np.float32)
    for k in range(len(rows)):
        r, c = rows[k], cols[k]
        mean, level, spread, n_in, n_out, share, whole = _levels(raw, weight, table, r, c)
        if n_out == 0 or n_in * share < SEEN * area:
            continue
        floor = max(level, 1.0 / n_out) if counts else 0.0
        if not mean - level > SIGNIFICANT * np.sqrt(max(spread, floor) * (1.0 / n_in + 1.0 / n_out)):
            continue
        x, y = float(c), float(r)
        height = (mean - level) / share
        if subpixel == UPSAMPLED or not whole:  # a map that was filled in tells no place
            curve = np.empty(0, np.float32) if whole or not counts else _curve(height, level, bent)
            x, y = _climb(image, weight, table, x, y, REACH if whole else CUT_REACH, curve, patch)
            if np.isnan(x) and not whole:
                continue
        if (subpixel == PARABOLA and whole) or np.isnan(x):
            x, y = float(c), float(r)
            if 0 < c < raw.shape[1] - 1:
                x += _vertex(correlation[r, c - 1], correlation[r, c], correlation[r, c + 1])
            if 0 < r < raw.shape[0] - 1:
                y += _vertex(correlation[r - 1, c], correlation[r, c], correlation[r + 1, c])
        ex = ey = np.nan
        if counts:
            ex, ey = _errors(weight, table, x, y, height, level, slope, variance)
            if subpixel == NONE:
                ex, ey = np.sqrt(ex * ex + 1 / 12), np.sqrt(ey * ey + 1 / 12)
        out[k] = x, y, ex, ey, height
    return out

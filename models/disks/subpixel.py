"""Disks measured one by one: height over the surroundings, place to a fraction of a pixel, and its error."""

# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.disks.kernel import DISK, DISK_X, DISK_Y, FINE, PLAIN_X, PLAIN_Y, WEIGHT_X, WEIGHT_Y
from braggscope.models.disks.noise import balance, curve_of, grey_of, nodes_of
from braggscope.models.disks.survey import survey

Floats = NDArray[np.float64]

NONE, PARABOLA, UPSAMPLED = range(3)
STEPS, LEAP = 16, 0.6  # of the search for the maximum, and the longest, px
FRESH = 3  # steps after which second derivatives are taken again
REACH, CUT_REACH = 1.5, 4.0  # px the maximum may lie from that of the map; where pixels were filled in
_SUMS = {"reassoc", "contract", "nsz"}  # what lets the compiler add in parallel


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


@njit(cache=True, nogil=True, fastmath=_SUMS)
def _slope(image, weight, table, x, y, mix, curve, patch):
    """Derivatives of the correlation at (x, y), of what a level and a disk in place leave on good pixels.

    On whole windows that is the correlation with the template's derivative; where pixels are missing the
    derivative is made orthogonal to both, so the missing ones weigh nothing. ``mix``: shares of the disk's
    own derivative and of the template's. ``curve``: heights of the disk after the transform, from 0 to 1;
    empty: as they are.
    """
    half = table.shape[3] // 2 - 1
    r0, r1 = _window(y, half, image.shape[0])
    c0, c1 = _window(x, half, image.shape[1])
    _shift(table, y, x, (r0, r1, c0, c1), patch)
    zero, plain, stressed = np.float32(0), np.float32(mix[0]), np.float32(mix[1])
    n = s = ss = f = fs = zero
    tx = ty = txs = tys = ftx = fty = zero
    for i in range(r1 - r0 + 1):
        disks, xs, ys = patch[DISK, i], patch[WEIGHT_X, i], patch[WEIGHT_Y, i]
        own_xs, own_ys = patch[PLAIN_X, i], patch[PLAIN_Y, i]
        values, weights = image[r0 + i, c0 : c1 + 1], weight[r0 + i, c0 : c1 + 1]
        if len(curve):
            for j in range(c1 - c0 + 1):
                disks[j] = curve[grey_of(disks[j])]
        for j in range(c1 - c0 + 1):
            w = weights[j]
            disk, value = w * disks[j], values[j]
            gx, gy = w * (plain * own_xs[j] + stressed * xs[j]), w * (plain * own_ys[j] + stressed * ys[j])
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
def _bend(image, weight, table, x, y, mix, curve, patch, gx, gy):
    """Derivatives xx, xy, yy of what :func:`_slope` gave at (x, y)."""
    h = 0.3
    ax, ay = _slope(image, weight, table, x + h, y, mix, curve, patch)
    bx, by = _slope(image, weight, table, x, y + h, mix, curve, patch)
    return (ax - gx) / h, 0.5 * (ay - gy + bx - gx) / h, (by - gy) / h


@njit(cache=True, nogil=True)
def _climb(image, weight, table, x, y, reach, mix, curve, patch):
    """Where both derivatives vanish: a Newton search from the pixel; NaN where it runs away."""
    gx, gy = _slope(image, weight, table, x, y, mix, curve, patch)
    xx, off, yy = _bend(image, weight, table, x, y, mix, curve, patch, gx, gy)
    px, py = x, y
    for step in range(STEPS):
        det = xx * yy - off * off
        if not (det > 0 and xx > 0):
            break
        dx, dy = -(yy * gx - off * gy) / det, -(xx * gy - off * gx) / det
        size = max(abs(dx), abs(dy))
        if size > LEAP:
            dx, dy = dx * LEAP / size, dy * LEAP / size
        px, py = px + dx, py + dy
        if size < 2e-3:
            return px, py
        if not (abs(px - x) < reach and abs(py - y) < reach):
            break
        gx, gy = _slope(image, weight, table, px, py, mix, curve, patch)
        if step % FRESH == FRESH - 1:  # far from the start its second derivatives mislead
            xx, off, yy = _bend(image, weight, table, px, py, mix, curve, patch, gx, gy)
    return np.nan, np.nan


@njit(cache=True, nogil=True)
def _carried(hxx, hxy, hyx, hyy, vxx, vxy, vyy):
    """Square roots of the diagonal of H⁻¹ V H⁻ᵀ."""
    det = hxx * hyy - hxy * hyx
    if det <= 0:
        return np.nan, np.nan
    p, q, s, t = hyy / det, -hxy / det, -hyx / det, hxx / det
    return (
        np.sqrt(p * p * vxx + 2 * p * q * vxy + q * q * vyy),
        np.sqrt(s * s * vxx + 2 * s * t * vxy + t * t * vyy),
    )


@njit(cache=True, nogil=True)
def _errors(weight, table, x, y, height, level, mix, slope, variance):
    """1 sigma of both coordinates: Poisson noise of a disk of this height carried through the template.

    With g the derivatives of the template, d those of the disk and f the transform, a shift e changes the
    derivative of the correlation by H e, H = sum g (f' height d)ᵀ, and noise by V = sum g var(f) gᵀ:
    covariance = H⁻¹ V H⁻ᵀ.
    """
    half = table.shape[3] // 2 - 1
    nodes = nodes_of(height, level, len(slope))
    hxx = hxy = hyx = hyy = vxx = vxy = vyy = 0.0
    row, col = int(np.round(y)), int(np.round(x))
    for r in range(max(row - half, 0), min(row + half + 1, weight.shape[0])):
        for c in range(max(col - half, 0), min(col + half + 1, weight.shape[1])):
            if weight[r, c] == 0:
                continue
            sample = table[:, 0, 0, r - row + half, c - col + half]
            node = nodes[grey_of(sample[DISK])]
            k, v = slope[node] * height, variance[node]
            dx, dy = sample[DISK_X], sample[DISK_Y]
            gx = mix[0] * sample[PLAIN_X] + mix[1] * sample[WEIGHT_X]
            gy = mix[0] * sample[PLAIN_Y] + mix[1] * sample[WEIGHT_Y]
            dx, dy = k * dx, k * dy
            hxx += gx * dx
            hxy += gx * dy
            hyx += gy * dx
            hyy += gy * dy
            vxx += gx * gx * v
            vxy += gx * gy * v
            vyy += gy * gy * v
    return _carried(hxx, hxy, hyx, hyy, vxx, vxy, vyy)


@njit(cache=True, nogil=True)
def _errors_of_whole(sums, height, level, mix, slope, variance):
    """The same where no pixel of the window is missing, from sums over pixels of the same height."""
    nodes = nodes_of(height, level, len(slope))
    h, v = np.zeros(4), np.zeros(3)
    one, both, other = mix[0] * mix[0], mix[0] * mix[1], mix[1] * mix[1]
    for grey in range(len(sums)):
        k, noise = slope[nodes[grey]] * height, variance[nodes[grey]]
        row = sums[grey]
        for i in range(4):
            h[i] += k * (mix[0] * row[i] + mix[1] * row[4 + i])
        for i in range(3):
            v[i] += noise * (one * row[8 + i] + both * row[11 + i] + other * row[14 + i])
    return _carried(h[0], h[1], h[2], h[3], v[0], v[1], v[2])


@njit(inline="always")
def _vertex(before, at, after):
    """Offset of a parabola's maximum from the middle of three values."""
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


@njit(inline="always")
def _by_parabolas(correlation, r, c):
    """x, y of a maximum of the map, by its neighbours."""
    x, y = float(c), float(r)
    if 0 < c < correlation.shape[1] - 1:
        x += _vertex(correlation[r, c - 1], correlation[r, c], correlation[r, c + 1])
    if 0 < r < correlation.shape[0] - 1:
        y += _vertex(correlation[r - 1, c], correlation[r, c], correlation[r + 1, c])
    return x, y


@njit(cache=True, nogil=True)
def _stated(weight, table, place, light, subpixel, mix, noise, whole, sums):
    """Errors of a disk; ``place``: x, y; ``light``: height, level; ``noise``: slope, variance."""
    if whole:
        ex, ey = _errors_of_whole(sums, light[0], light[1], mix, noise[0], noise[1])
    else:
        ex, ey = _errors(weight, table, place[0], place[1], light[0], light[1], mix, noise[0], noise[1])
    if subpixel == NONE:
        ex, ey = np.sqrt(ex * ex + 1 / 12), np.sqrt(ey * ey + 1 / 12)
    return ex, ey


@njit(cache=True, nogil=True)
def measure(
    correlation, image, raw, weight, table, core, rows, cols, subpixel, counts, mixed, bent, slope, variance,
    swayed, sums,
) -> Floats:  # fmt: skip
    """(N, 5) x, y, x_err, y_err, height of the disks at ``rows, cols``; NaN rows for those that are none.

    ``weight`` (H, W) float32: 0 for bad pixels, else 1. ``counts``: ``raw`` is Poisson; without it no
    error is stated. ``mixed``: the edge is weighed by :func:`braggscope.models.disks.noise.balance`.
    """
    out = np.full((len(rows), 5), np.nan)
    patch = np.empty((7, table.shape[3], table.shape[4]), np.float32)
    around, is_disk, varied = survey(raw, weight, table, core, rows, cols, counts)
    for k in range(len(rows)):
        if not is_disk[k]:
            continue
        r, c = rows[k], cols[k]
        x, y = float(c), float(r)
        height, level, _, seen = around[k]
        whole, mix = seen > 0, (0.0, 1.0)
        if subpixel == UPSAMPLED or not whole:  # a map that was filled in tells no place
            if mixed:
                mix = balance(sums, height, level, slope, variance, varied, swayed)
            curve = np.empty(0, np.float32) if whole or not counts else curve_of(height, level, bent)
            reach = REACH if whole else CUT_REACH
            x, y = _climb(image, weight, table, x, y, reach, mix, curve, patch)
            if np.isnan(x) and not whole:  # on a part of a disk the plain template reaches further
                mix = (1.0, 0.0)
                x, y = _climb(image, weight, table, float(c), float(r), reach, mix, curve, patch)
                if np.isnan(x):
                    continue
        if (subpixel == PARABOLA and whole) or np.isnan(x):
            x, y = _by_parabolas(correlation, r, c)
            mix = (0.0, 1.0)
        ex = ey = np.nan
        if counts:
            light, noise = (height, level), (slope, variance)
            ex, ey = _stated(weight, table, (x, y), light, subpixel, mix, noise, whole, sums)
        out[k] = x, y, ex, ey, height
    return out

"""Start values: a scan over round widths, then one step of matched second moments.

The background is taken off the pixels first and fitted again with every width, so that the start does not
depend on it. ``space`` = (matrix, gradient, factor, scale, vector) is the room of the solver.
"""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

from numba import njit

from braggscope.models.fitting.kernels import (
    FAST,
    gaussian_values,
    ground_rows,
    ground_values,
    normal_equations,
    solve_scaled,
)

FIRST_SIGMA, SIGMA_RATIO, LAST_SIGMA = 0.7, 2.0, 0.4  # px, step of the scan, windows
START_ETA = 0.3


@njit(cache=True, nogil=True, fastmath=FAST)
def _height(row, centred, n, valid, heights):
    """:func:`_heights` of a single profile in closed form."""
    s, ss, sc = 0.0, 0.0, 0.0
    for t in range(n):
        s += row[t]
        ss += row[t] * row[t]
        sc += row[t] * centred[t]
    spread = ss - s * s / valid
    if not (spread > 1e-13 * ss and sc > 0.0):
        return -1.0
    heights[0] = sc / spread
    heights[1] = -heights[0] * s / valid
    return heights[0] * sc


@njit(cache=True, nogil=True)
def _heights(rows, count, ground, centred, n, valid, space):
    """Best positive heights over a background for the profiles in ``rows``; the sum of squares explained.

    ``centred`` has no background; its rows follow those of the profiles. Heights and what they add to the
    background are left in ``space``. The sum is -1 where a height is not positive.
    """
    matrix, gradient, factor, scale, heights = space
    if count == 1 and ground == 1:
        return _height(rows[0], centred, n, valid, heights)
    p = count + ground
    normal_equations(rows, centred, centred, centred, p, n, False, matrix, gradient)
    if not solve_scaled(matrix, gradient, p, 0.0, factor, scale, heights):
        return -1.0
    explained = 0.0
    for k in range(count):
        if not heights[k] > 0.0:
            return -1.0
        explained += heights[k] * gradient[k]
    return explained


@njit(cache=True, nogil=True, fastmath=FAST)
def _take_off_ground(ground, pixels, n, valid, rows, centred, space):
    """Least-squares background of the pixels; the rest is left in ``centred``. False where undetermined."""
    px, py, value, live = pixels
    matrix, gradient, factor, scale, level = space
    if ground == 1:
        total = 0.0
        for t in range(n):
            total += value[t]
        total /= valid
        level[0] = total
        for t in range(n):
            centred[t] = (value[t] - total) * live[t]
        return True
    normal_equations(rows, value, value, value, ground, n, False, matrix, gradient)
    if not solve_scaled(matrix, gradient, ground, 0.0, factor, scale, level):
        return False
    ground_values(level, 0, ground, px, py, live, n, centred)
    for t in range(n):
        centred[t] = value[t] - centred[t]
    return True


@njit(cache=True, nogil=True, fastmath=FAST)
def _matched_moments(row, sigma, height, base, centred, px, py, n):
    """Centre and form of an ellipse from moments weighted with a round Gaussian of about its size.

    The product of two Gaussians has the sum of their inverse covariances, so the weight can be taken
    off again. Returns (found, x, y, a, b, c), positions relative to the weight's centre.
    """
    s, sx, sy, sxx, sxy, syy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for t in range(n):
        w = row[t] * (centred[t] - base)
        s += w
        sx += w * px[t]
        sy += w * py[t]
        sxx += w * px[t] * px[t]
        sxy += w * px[t] * py[t]
        syy += w * py[t] * py[t]
    if not s > 0.1 * height:
        return False, 0.0, 0.0, 0.0, 0.0, 0.0
    mx, my = sx / s, sy / s
    vxx, vxy, vyy = sxx / s - mx * mx, sxy / s - mx * my, syy / s - my * my
    det = vxx * vyy - vxy * vxy
    if not (vxx > 0.0 and det > 1e-6):
        return False, 0.0, 0.0, 0.0, 0.0, 0.0
    weight = 1.0 / (sigma * sigma)
    a, b, c = vyy / det - weight, -vxy / det, vxx / det - weight
    form = a * c - b * b
    if not (a > 0.0 and c > 0.0 and form > 1e-3 * (a + c) * (a + c) and form > 0.1 * weight * (a + c)):
        return False, 0.0, 0.0, 0.0, 0.0, 0.0
    # The weight pulls the mean towards its own centre: mean = (Q + W)^-1 Q centre.
    ux, uy = (vyy * mx - vxy * my) / det, (vxx * my - vxy * mx) / det
    return True, (c * ux - b * uy) / form, (a * uy - b * ux) / form, a, b, c


@njit(cache=True, nogil=True)
def start_values(theta, shape, starts, side, pixels, n, valid, rows, centred, space):
    """Fill ``theta``. False where no shape with positive heights explains anything.

    ``shape`` = (count, stride, ground); ``starts`` (count, 2) x and y of the peaks' pixels relative to the
    middle; ``rows``, ``centred`` and ``space`` are overwritten.
    """
    px, py, _, live = pixels
    count, stride, ground = shape
    heights, last = space[4], count * stride
    ground_rows(ground, px, py, live, n, rows[count:])
    if not _take_off_ground(ground, pixels, n, valid, rows[count:], centred, space):
        return False
    level, rise, fall = heights[0], heights[1], heights[2]
    best, best_sigma, sigma = 0.0, 0.0, FIRST_SIGMA
    while sigma <= LAST_SIGMA * side:
        form = 1.0 / (sigma * sigma)
        for k in range(count):
            gaussian_values(starts[k, 0], starts[k, 1], form, 0.0, form, px, py, live, n, rows[k])
        explained = _heights(rows, count, ground, centred, n, valid, space)
        if explained > best:
            best, best_sigma = explained, sigma
            for k in range(count):
                o = k * stride
                theta[o], theta[o + 1], theta[o + 2] = heights[k], starts[k, 0], starts[k, 1]
                theta[o + 3], theta[o + 4], theta[o + 5] = form, 0.0, form
                if stride == 7:
                    theta[o + 6] = START_ETA
            for i in range(ground):
                theta[last + i] = heights[count + i]
        sigma *= SIGMA_RATIO
    if best <= 0.0:
        return False
    if count == 1:
        _refine(theta, ground, best, best_sigma, px, py, live, n, valid, rows, centred, space)
    theta[last] += level
    if ground == 3:
        theta[last + 1] += rise
        theta[last + 2] += fall
    return True


@njit(cache=True, nogil=True)
def _refine(theta, ground, best, sigma, px, py, live, n, valid, rows, centred, space):
    """Replace the round start of a single peak by the ellipse of its moments where that explains more."""
    heights, last, levelled = space[4], theta.size - ground, centred
    if ground == 3:
        levelled = rows[4]
        ground_values(theta, last, 3, px, py, live, n, levelled)
        for t in range(n):
            levelled[t] = centred[t] - levelled[t]
    form = 1.0 / (sigma * sigma)
    gaussian_values(theta[1], theta[2], form, 0.0, form, px, py, live, n, rows[0])
    base = theta[last] if ground == 1 else 0.0
    found, x, y, a, b, c = _matched_moments(rows[0], sigma, theta[0], base, levelled, px, py, n)
    if not found or not (abs(x) < 2.0 * sigma + 1.0 and abs(y) < 2.0 * sigma + 1.0):
        return
    gaussian_values(x, y, a, b, c, px, py, live, n, rows[0])
    if _heights(rows, 1, ground, centred, n, valid, space) > best:
        theta[0], theta[1], theta[2], theta[3], theta[4], theta[5] = heights[0], x, y, a, b, c
        for i in range(ground):
            theta[last + i] = heights[1 + i]

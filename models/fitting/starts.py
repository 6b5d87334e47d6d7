"""Start values: a scan over round widths, then one step of matched second moments."""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

from numba import njit

from braggscope.models.fitting.kernels import FAST, gaussian_values, normal_equations, solve_scaled

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
def _heights(rows, count, centred, n, valid, space):
    """Best positive heights over a constant for the profiles in ``rows``; the sum of squares explained.

    ``centred`` has zero mean; row ``count`` holds ones. The sum is -1 where a height is not positive.
    """
    matrix, gradient, factor, scale, heights = space
    if count == 1:
        return _height(rows[0], centred, n, valid, heights)
    normal_equations(rows, centred, centred, centred, count + 1, n, False, matrix, gradient)
    if not solve_scaled(matrix, gradient, count + 1, 0.0, factor, scale, heights):
        return -1.0
    explained = 0.0
    for k in range(count):
        if not heights[k] > 0.0:
            return -1.0
        explained += heights[k] * gradient[k]
    return explained


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
def start_values(theta, count, stride, starts, side, px, py, value, live, n, valid, rows, centred, space):
    """Fill ``theta``. False where no shape with positive heights explains anything.

    ``starts`` (count, 2) x and y of the peaks' pixels relative to the middle; ``rows`` and ``centred`` are
    overwritten; ``space`` = (matrix, gradient, factor, scale, heights) of the solver.
    """
    heights = space[4]
    mean = 0.0
    for t in range(n):
        mean += value[t]
    mean /= valid
    for t in range(n):
        centred[t] = (value[t] - mean) * live[t]
        rows[count, t] = live[t]
    best, best_sigma, sigma = 0.0, 0.0, FIRST_SIGMA
    while sigma <= LAST_SIGMA * side:
        for k in range(count):
            form = 1.0 / (sigma * sigma)
            gaussian_values(starts[k, 0], starts[k, 1], form, 0.0, form, px, py, live, n, rows[k])
        explained = _heights(rows, count, centred, n, valid, space)
        if explained > best:
            best, best_sigma = explained, sigma
            for k in range(count):
                o = k * stride
                theta[o], theta[o + 1], theta[o + 2] = heights[k], starts[k, 0], starts[k, 1]
                theta[o + 3], theta[o + 4], theta[o + 5] = form, 0.0, form
                if stride == 7:
                    theta[o + 6] = START_ETA
            theta[count * stride] = heights[count] + mean
        sigma *= SIGMA_RATIO
    if best <= 0.0:
        return False
    if count == 1:
        _refine(theta, best, best_sigma, mean, px, py, live, n, valid, rows, centred, space)
    return True


@njit(cache=True, nogil=True)
def _refine(theta, best, sigma, mean, px, py, live, n, valid, rows, centred, space):
    """Replace the round start of a single peak by the ellipse of its moments where that explains more."""
    heights = space[4]
    last = theta.size - 1
    form = 1.0 / (sigma * sigma)
    gaussian_values(theta[1], theta[2], form, 0.0, form, px, py, live, n, rows[0])
    found, x, y, a, b, c = _matched_moments(rows[0], sigma, theta[0], theta[last] - mean, centred, px, py, n)
    if not found or not (abs(x) < 2.0 * sigma + 1.0 and abs(y) < 2.0 * sigma + 1.0):
        return
    gaussian_values(x, y, a, b, c, px, py, live, n, rows[0])
    explained = _heights(rows, 1, centred, n, valid, space)
    if explained > best:
        theta[0], theta[1], theta[2], theta[3], theta[4], theta[5] = heights[0], x, y, a, b, c
        theta[last] = heights[1] + mean

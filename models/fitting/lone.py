"""Fast normal equations of the commonest fit: one Gaussian, unweighted.

Every element of JᵀJ is a combination of moments of g² up to the fourth order, and of g up to the second;
these are summed in one pass over the pixels, without storing a Jacobian. A plane adds two rows.
"""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

from numba import njit

from braggscope.models.fitting.kernels import FAST, gaussian_values


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def _residuals(amplitude, background, height, value, live, n, model, residual):
    for t in range(n):
        model[t] = amplitude * height[t] + background * live[t]
    for t in range(n):
        residual[t] = value[t] * live[t] - model[t]


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def _even_moments(x, y, px, py, height, n):
    """Sums of g² dx^i dy^j for i + j = 0, 2, 4."""
    s00 = s20 = s11 = s02 = s40 = s31 = s22 = s13 = s04 = 0.0
    for t in range(n):
        dx, dy, h = px[t] - x, py[t] - y, height[t] * height[t]
        hxx, hxy, hyy = h * dx * dx, h * dx * dy, h * dy * dy
        s00 += h
        s20 += hxx
        s11 += hxy
        s02 += hyy
        s40 += hxx * dx * dx
        s31 += hxx * dx * dy
        s22 += hxx * dy * dy
        s13 += hyy * dx * dy
        s04 += hyy * dy * dy
    return s00, s20, s11, s02, s40, s31, s22, s13, s04


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def _odd_moments(x, y, px, py, height, n):
    """Sums of g² dx^i dy^j for i + j = 1, 3."""
    s10 = s01 = s30 = s21 = s12 = s03 = 0.0
    for t in range(n):
        dx, dy, h = px[t] - x, py[t] - y, height[t] * height[t]
        hx, hy = h * dx, h * dy
        s10 += hx
        s01 += hy
        s30 += hx * dx * dx
        s21 += hx * dx * dy
        s12 += hx * dy * dy
        s03 += hy * dy * dy
    return s10, s01, s30, s21, s12, s03


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def _mixed_moments(x, y, px, py, height, residual, n):
    """Sums of g dx^i dy^j and of g r dx^i dy^j for i + j = 0, 1, 2."""
    t00 = t10 = t01 = t20 = t11 = t02 = 0.0
    u00 = u10 = u01 = u20 = u11 = u02 = 0.0
    for t in range(n):
        dx, dy, g = px[t] - x, py[t] - y, height[t]
        r = g * residual[t]
        gx, gy, rx, ry = g * dx, g * dy, r * dx, r * dy
        t00 += g
        t10 += gx
        t01 += gy
        t20 += gx * dx
        t11 += gx * dy
        t02 += gy * dy
        u00 += r
        u10 += rx
        u01 += ry
        u20 += rx * dx
        u11 += rx * dy
        u02 += ry * dy
    return (t00, t10, t01, t20, t11, t02), (u00, u10, u01, u20, u11, u02)


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def _sums(residual, live, n):
    total = squares = valid = 0.0
    for t in range(n):
        total += residual[t]
        squares += residual[t] * residual[t]
        valid += live[t]
    return total, squares, valid


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def evaluate_lone(theta, pixels, n, buffers, matrix, gradient):
    """Half the sum of squares at ``theta`` (7, or more); fills model, residuals and the normal equations."""
    px, py, value, live = pixels
    model, residual, _, height = buffers
    h, x, y, a, b, c = theta[0], theta[1], theta[2], theta[3], theta[4], theta[5]
    gaussian_values(x, y, a, b, c, px, py, live, n, height)
    _residuals(h, theta[6], height, value, live, n, model, residual)
    s00, s20, s11, s02, s40, s31, s22, s13, s04 = _even_moments(x, y, px, py, height, n)
    s10, s01, s30, s21, s12, s03 = _odd_moments(x, y, px, py, height, n)
    (t00, t10, t01, t20, t11, t02), (u00, u10, u01, u20, u11, u02) = _mixed_moments(
        x, y, px, py, height, residual, n
    )
    total, squares, valid = _sums(residual, live, n)
    hh = h * h
    matrix[0, 0] = s00
    matrix[1, 0], matrix[2, 0] = h * (a * s10 + b * s01), h * (b * s10 + c * s01)
    matrix[1, 1] = hh * (a * a * s20 + 2.0 * a * b * s11 + b * b * s02)
    matrix[2, 1] = hh * (a * b * s20 + (a * c + b * b) * s11 + b * c * s02)
    matrix[2, 2] = hh * (b * b * s20 + 2.0 * b * c * s11 + c * c * s02)
    matrix[3, 0], matrix[4, 0], matrix[5, 0] = -0.5 * h * s20, -h * s11, -0.5 * h * s02
    matrix[3, 1], matrix[3, 2] = -0.5 * hh * (a * s30 + b * s21), -0.5 * hh * (b * s30 + c * s21)
    matrix[4, 1], matrix[4, 2] = -hh * (a * s21 + b * s12), -hh * (b * s21 + c * s12)
    matrix[5, 1], matrix[5, 2] = -0.5 * hh * (a * s12 + b * s03), -0.5 * hh * (b * s12 + c * s03)
    matrix[3, 3], matrix[4, 3], matrix[4, 4] = 0.25 * hh * s40, 0.5 * hh * s31, hh * s22
    matrix[5, 3], matrix[5, 4], matrix[5, 5] = 0.25 * hh * s22, 0.5 * hh * s13, 0.25 * hh * s04
    matrix[6, 0], matrix[6, 1], matrix[6, 2] = t00, h * (a * t10 + b * t01), h * (b * t10 + c * t01)
    matrix[6, 3], matrix[6, 4], matrix[6, 5] = -0.5 * h * t20, -h * t11, -0.5 * h * t02
    matrix[6, 6] = valid
    gradient[0], gradient[1], gradient[2] = u00, h * (a * u10 + b * u01), h * (b * u10 + c * u01)
    gradient[3], gradient[4], gradient[5] = -0.5 * h * u20, -h * u11, -0.5 * h * u02
    gradient[6] = total
    return 0.5 * squares


@njit(cache=True, nogil=True, fastmath=FAST)
def _slope_row(row, at, theta, pixels, n, height, residual, matrix, gradient):
    """Row 7 or 8 of the normal equations; ``at``: the coordinate of every pixel that the slope multiplies."""
    px, py, _, live = pixels
    h, x, y, a, b, c = theta[0], theta[1], theta[2], theta[3], theta[4], theta[5]
    g0 = gx = gy = gxx = gxy = gyy = sum0 = sum1 = sum2 = product = 0.0
    for t in range(n):
        dx, dy, g = px[t] - x, py[t] - y, height[t] * at[t]
        g0 += g
        gx += g * dx
        gy += g * dy
        gxx += g * dx * dx
        gxy += g * dx * dy
        gyy += g * dy * dy
    for t in range(n):
        sum0 += at[t] * live[t]
        sum1 += at[t] * px[t]
        sum2 += at[t] * py[t]
        product += at[t] * residual[t]
    matrix[row, 0], matrix[row, 1], matrix[row, 2] = g0, h * (a * gx + b * gy), h * (b * gx + c * gy)
    matrix[row, 3], matrix[row, 4], matrix[row, 5] = -0.5 * h * gxx, -h * gxy, -0.5 * h * gyy
    matrix[row, 6], matrix[row, 7] = sum0, sum1
    if row == 8:
        matrix[8, 8] = sum2
    gradient[row] = product


@njit(cache=True, nogil=True, fastmath=FAST)
def _slopes(theta, px, py, value, n, slope, levelled):
    rise, fall = theta[7], theta[8]
    for t in range(n):
        slope[t] = rise * px[t] + fall * py[t]
    for t in range(n):
        levelled[t] = value[t] - slope[t]


@njit(cache=True, nogil=True, fastmath=FAST)
def evaluate_on_plane(theta, pixels, n, buffers, levelled, slope, matrix, gradient):
    """As :func:`evaluate_lone` with two slopes more, (9,); ``levelled`` and ``slope`` are overwritten."""
    px, py, value, live = pixels
    model, residual, _, height = buffers
    _slopes(theta, px, py, value, n, slope, levelled)
    objective = evaluate_lone(theta, (px, py, levelled, live), n, buffers, matrix, gradient)
    for t in range(n):
        model[t] += slope[t]
    _slope_row(7, px, theta, pixels, n, height, residual, matrix, gradient)
    _slope_row(8, py, theta, pixels, n, height, residual, matrix, gradient)
    return objective

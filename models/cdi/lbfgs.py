"""Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithms 7.4, 7.5 and 3.5)."""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Function = Callable[[Floats], tuple[float, Floats]]
MEMORY = 12
_ARMIJO, _CURVATURE = 1e-4, 0.9
_TRIES = 20
_FIRST = 1e-3  # length of the first step relative to the point


def minimise(function: Function, start: Floats, iterations: int) -> Iterator[tuple[Floats, float]]:
    """Yield (point, value) after every accepted step; ends early where no step lowers the value."""
    point = start.copy()
    value, gradient = function(point)
    pairs: deque[tuple[Floats, Floats, float]] = deque(maxlen=MEMORY)
    for _ in range(iterations):
        direction = -_times_inverse_hessian(gradient, pairs)
        slope = float(direction @ gradient)
        if slope >= 0:
            pairs.clear()
            direction, slope = -gradient, -float(gradient @ gradient)
        if slope == 0:
            return
        first = (
            1.0
            if pairs
            else _FIRST * max(float(np.linalg.norm(point)), 1e-30) / float(np.linalg.norm(direction))
        )
        found = _search(function, point, value, direction, slope, first)
        if found is None:
            if not pairs:
                return
            pairs.clear()
            continue
        new_point, new_value, new_gradient = found
        step, change = new_point - point, new_gradient - gradient
        curvature = float(step @ change)
        if curvature > 1e-10 * float(change @ change):
            pairs.append((step, change, curvature))
        point, value, gradient = new_point, new_value, new_gradient
        yield point, value


def _times_inverse_hessian(gradient: Floats, pairs: deque[tuple[Floats, Floats, float]]) -> Floats:
    q = gradient.copy()
    weights = []
    for step, change, curvature in reversed(pairs):
        weight = float(step @ q) / curvature
        weights.append(weight)
        q -= weight * change
    if pairs:
        _, change, curvature = pairs[-1]
        q *= curvature / float(change @ change)
    for (step, change, curvature), weight in zip(pairs, reversed(weights), strict=True):
        q += (weight - float(change @ q) / curvature) * step
    return q


def _search(
    function: Function, point: Floats, value: float, direction: Floats, slope: float, first: float
) -> tuple[Floats, float, Floats] | None:
    """A step with sufficient decrease and less slope (weak Wolfe, by bisection), or None."""
    low, high, length = 0.0, np.inf, first
    best: tuple[Floats, float, Floats] | None = None
    for _ in range(_TRIES):
        candidate = point + length * direction
        new_value, gradient = function(candidate)
        if not np.isfinite(new_value) or new_value > value + _ARMIJO * length * slope:
            high = length
        else:
            best = (candidate, new_value, gradient)
            if float(gradient @ direction) >= _CURVATURE * slope:
                return best
            low = length
        length = 2 * length if np.isinf(high) else (low + high) / 2
    return best

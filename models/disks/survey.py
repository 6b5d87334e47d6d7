"""What lies around the maxima of a correlation: which of them are disks, how high, how even inside."""

# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.disks.kernel import DISK
from braggscope.models.disks.noise import INNER

Floats = NDArray[np.float64]

SEEN = 0.6  # of a disk, where it is over half height, that must lie on good pixels
SIGNIFICANT = 5.5  # sigma by which a disk stands over its surroundings
SECTORS = 8


@njit(cache=True, nogil=True)
def _levels(raw, weight, table, r, c):
    """Mean over the disk, level and variance around it, good pixels of both, mean height of a disk of 1.

    Then whether no pixel of the window is missing, and mean and variance of the innermost pixels.
    """
    half = table.shape[3] // 2 - 1
    inside = n_in = height = seen = 0.0
    inner = inner_square = n_inner = 0.0
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
                if disk > INNER:
                    inner += value
                    inner_square += value * value
                    n_inner += 1
            elif disk < 0.01 and dx * dx + dy * dy < half * half:
                sector = 4 * (dy > 0) + 2 * (dx > 0) + (abs(dx) > abs(dy))
                total[sector] += value
                count[sector] += 1
                square += value * value
    known = count > 0
    if n_in == 0 or not known.any():
        return 0.0, 0.0, 0.0, n_in, 0.0, 1.0, False, 0.0, 0.0, 0.0
    n_out = count.sum()
    level = np.median(total[known] / count[known])  # neighbours fill some sectors
    spread = square / n_out - (total.sum() / n_out) ** 2
    whole = seen == (2 * half + 1) ** 2
    inner /= max(n_inner, 1.0)
    inner_square = (inner_square - n_inner * inner * inner) / max(n_inner - 1.0, 1.0)
    return inside / n_in, level, spread, n_in, n_out, height / n_in, whole, inner, inner_square, n_inner


@njit(cache=True, nogil=True)
def survey(
    raw, weight, table, core, rows, cols, counts
) -> tuple[Floats, NDArray[np.bool_], float]:  # fmt: skip
    """What is around each maximum: (N, 4) height, level, share, whole; is it a disk; brightness inside.

    The latter as relative variance beyond Poisson noise, the mean over the disks, weighted by how well each
    shows it.
    """
    out, is_disk = np.zeros((len(rows), 4)), np.zeros(len(rows), np.bool_)
    total, known = 0.0, 1e-12
    for k in range(len(rows)):
        mean, level, spread, n_in, n_out, share, whole, inner, square, n = _levels(
            raw, weight, table, rows[k], cols[k]
        )
        if n_out == 0 or n_in * share < SEEN * core:
            continue
        floor = max(level, 1.0 / n_out) if counts else 0.0
        if not mean - level > SIGNIFICANT * np.sqrt(max(spread, floor) * (1.0 / n_in + 1.0 / n_out)):
            continue
        is_disk[k] = True
        out[k] = (mean - level) / share, level, share, 1.0 if whole else 0.0
        if n > 3:
            noise = inner if counts else 0.0
            scale = (inner - level) ** 2
            trust = 1.0 / (0.05**2 + 2.0 / n * (noise**2 / max(scale, 1e-30)) ** 2)
            total += trust * (square - noise) / max(scale, 1e-30)
            known += trust
    return out, is_disk, max(total / known, 0.0)

"""Maxima of a correlation map, with their limits: height, share, spacing, number, edge."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@njit(cache=True, nogil=True)
def local_maxima(image: NDArray[np.float32], floor: float, margin: int) -> tuple[Integers, Integers]:
    """Rows and columns of pixels over ``floor``, no lower than their eight neighbours, by falling height.

    Of a plateau the first pixel counts. ``margin``: pixels left out along every side.
    """
    height, width = image.shape
    rows, cols = np.empty(256, np.int64), np.empty(256, np.int64)
    ridge = np.zeros(width, np.bool_)
    n = 0
    for r in range(margin, height - margin):
        line = image[r]
        for c in range(1, width - 1):  # without branches, so that many pixels are looked at in one go
            ridge[c] = (line[c] > floor) & (line[c] > line[c - 1]) & (line[c] >= line[c + 1])
        ridge[0], ridge[-1] = line[0] > floor and line[0] >= line[1], line[-1] > floor and line[-1] > line[-2]
        for c in range(margin, width - margin):
            if not ridge[c]:
                continue
            value = line[c]
            highest = True
            for i in (r - 1, r + 1):
                if 0 <= i < height:
                    for j in range(max(c - 1, 0), min(c + 2, width)):
                        if image[i, j] > value or (i < r and image[i, j] == value):
                            highest = False
            if highest:
                if n == len(rows):
                    rows = np.concatenate((rows, np.empty(n, np.int64)))
                    cols = np.concatenate((cols, np.empty(n, np.int64)))
                rows[n], cols[n] = r, c
                n += 1
    values = np.empty(n, np.float32)
    for k in range(n):
        values[k] = -image[rows[k], cols[k]]
    order = np.argsort(values, kind="mergesort")
    return rows[:n][order], cols[:n][order]


@njit(cache=True, nogil=True)
def apart(
    image: NDArray[np.float32], rows: Integers, cols: Integers, spacing: float, share: float, most: int
) -> Integers:
    """Which maxima stay, by falling height: none nearer than ``spacing`` px to a higher one that stays.

    None lower than ``share`` of the second (the first may be the direct disk), at most ``most``.
    """
    kept = np.empty(min(most, len(rows)), np.int64)
    n = 0
    for k in range(len(rows)):
        if n == most or (n >= 2 and image[rows[k], cols[k]] < share * image[rows[kept[1]], cols[kept[1]]]):
            break
        free = True
        for i in range(n):
            dr, dc = rows[k] - rows[kept[i]], cols[k] - cols[kept[i]]
            if dr * dr + dc * dc < spacing * spacing:
                free = False
                break
        if free:
            kept[n] = k
            n += 1
    return kept[:n]

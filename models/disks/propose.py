"""A first lattice from the disks themselves."""

import numpy as np
from scipy import ndimage

from braggscope.models.disks.bragg_map import difference_map
from braggscope.models.disks.results import Disks, Floats, Lattice

PATTERNS = 256  # looked at, spread over the scan
BLUR = 1.5  # px of the map of differences
STRONG = 0.3  # of the highest maximum: what a basis vector must reach
NEAR = 0.12  # of an index, within which a vector counts as explained
EXPLAINED = 0.4  # of the vectors that a lattice must explain
SHORT = 24  # candidates for basis vectors
NONE = "no lattice was found: "
ADVICE = (
    "see whether there is a crystal in the patterns, the probe has the size of its disks, and the threshold"
    " is low enough"
)  # where there are too few disks


def propose(disks: Disks, shape: tuple[int, int]) -> Lattice:
    """The lattice that most vectors between disks of a pattern belong to, with the largest cell that does.

    Maxima of the map of differences, which no wandering of the origin blurs, are paired; of the pairs that
    explain nearly as much as the best the one with the largest cell is taken, reduced (Gauss) and fitted to
    all maxima. a is the vector nearest to +x, b lies from it towards +y. The origin is the brightest node
    near the middle of the disks. Raises ValueError where there is no lattice.
    """
    few = _sample(disks)
    _, counts = np.unique(few.pattern, return_counts=True)
    if not len(counts) or np.median(counts) < 2:
        raise ValueError(f"{NONE}most patterns show one disk or none; {ADVICE}")
    image = ndimage.gaussian_filter(difference_map(few, shape), BLUR)
    vectors, heights = _maxima(image)
    basis = _best_pair(vectors, heights)
    a, b = _oriented(*_reduced(*_polished(basis, vectors, heights)))
    origin = _origin(few, a, b, shape)
    return Lattice(origin, (float(a[0]), float(a[1])), (float(b[0]), float(b[1])))


def _sample(disks: Disks) -> Disks:
    """Disks of some patterns, evenly over the scan."""
    known = np.unique(disks.pattern)
    if len(known) <= PATTERNS:
        return disks
    some = known[np.linspace(0, len(known) - 1, PATTERNS).astype(np.int64)]
    return disks.take(np.isin(disks.pattern, some))


def _maxima(image: Floats) -> tuple[Floats, Floats]:
    """(K, 2) x, y px of maxima in a half plane, and (K,) their heights."""
    highest = ndimage.maximum_filter(image, size=7) == image
    row, col = image.shape[0] // 2, image.shape[1] // 2
    rows, cols = np.nonzero(highest & (image > 0))
    away = np.hypot(rows - row, cols - col) > 3
    half = (rows > row) | ((rows == row) & (cols > col))
    rows, cols = rows[away & half], cols[away & half]
    heights = image[rows, cols]
    if not len(heights):
        raise ValueError(f"{NONE}no two disks lie beside each other")
    strong = heights > 0.5 * STRONG * heights.max()
    rows, cols, heights = rows[strong], cols[strong], heights[strong]
    places = np.array([_centre(image, r, c) for r, c in zip(rows, cols, strict=True)])
    return places - (col, row), heights


def _centre(image: Floats, row: int, col: int) -> tuple[float, float]:
    """x, y of the centre of mass of a maximum's neighbourhood."""
    r0, r1, c0, c1 = max(row - 3, 0), row + 4, max(col - 3, 0), col + 4
    part = image[r0:r1, c0:c1]
    y, x = ndimage.center_of_mass(part)
    return float(c0 + x), float(r0 + y)


def _best_pair(vectors: Floats, heights: Floats) -> Floats:
    """(2, 2) columns: a pair of short, strong vectors that explains the others."""
    size = np.hypot(*vectors.T)
    strong = np.flatnonzero(heights > STRONG * heights.max())
    short = strong[np.argsort(size[strong])][:SHORT]
    pairs: list[tuple[float, float, Floats]] = []
    for i, first in enumerate(short):
        for second in short[i + 1 :]:
            basis = np.column_stack((vectors[first], vectors[second]))
            area = abs(float(np.linalg.det(basis)))
            if area > 0.17 * size[first] * size[second]:  # over 10 degrees between them
                pairs.append((_explained(basis, vectors, heights), area, basis))
    if not pairs:
        raise ValueError(f"{NONE}all disks lie on one line")
    most = max(share for share, _, _ in pairs)
    if most < EXPLAINED:
        raise ValueError(f"{NONE}the vectors between disks repeat in no two directions")
    return max((pair for pair in pairs if pair[0] > most - 0.1), key=lambda pair: pair[1])[2]


def _explained(basis: Floats, vectors: Floats, heights: Floats) -> float:
    """Share of the heights at vectors that are whole combinations of the basis."""
    exact = np.linalg.solve(basis, vectors.T)
    good = (np.abs(exact - np.round(exact)) < NEAR).all(axis=0)
    return float(heights[good].sum() / heights.sum())


def _polished(basis: Floats, vectors: Floats, heights: Floats) -> tuple[Floats, Floats]:
    """Both vectors by weighted least squares over all maxima that they explain."""
    for _ in range(3):
        exact = np.linalg.solve(basis, vectors.T)
        whole = np.round(exact)
        good = (np.abs(exact - whole) < 2 * NEAR).all(axis=0)
        weight = np.sqrt(heights[good])[:, None]
        rows = whole[:, good].T
        if np.linalg.matrix_rank(rows) == 2:
            basis = np.linalg.lstsq(rows * weight, vectors[good] * weight, rcond=None)[0].T
    return basis[:, 0], basis[:, 1]


def _reduced(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The shortest basis of the same lattice (Gauss)."""
    while True:
        if a @ a > b @ b:
            a, b = b, a
        step = np.round((a @ b) / (a @ a))
        if step == 0:
            return a, b
        b = b - step * a


def _oriented(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """a: nearest to +x of all four; b: so that the way from a to b turns from +x towards +y."""
    four = [a, b, -a, -b]
    first = min(range(4), key=lambda k: abs(np.arctan2(four[k][1], four[k][0])) + 1e-9 * k)
    one, other = four[first], four[(first + 1) % 4]
    return one, other if one[0] * other[1] - one[1] * other[0] > 0 else -other


def _origin(disks: Disks, a: Floats, b: Floats, shape: tuple[int, int]) -> tuple[float, float]:
    """The brightest node, where it outshines all others; else the node nearest to the middle of the disks."""
    basis = np.column_stack((a, b))
    place = np.stack((disks.x, disks.y))
    phase = np.exp(2j * np.pi * np.linalg.solve(basis, place)).mean(axis=1)
    start = basis @ (np.angle(phase) / (2 * np.pi))
    whole = np.round(np.linalg.solve(basis, place - start[:, None])).astype(np.int64)
    nodes, owner = np.unique(whole, axis=1, return_inverse=True)
    light = np.bincount(owner.ravel(), disks.intensity)
    middle = place.mean(axis=1)
    chosen = int(np.argmax(light))
    if len(light) > 1 and light[chosen] < 2 * np.partition(light, -2)[-2]:
        chosen = int(np.argmin(np.hypot(*(basis @ nodes + (start - middle)[:, None]))))
    own = owner.ravel() == chosen
    x, y = np.median(place[:, own], axis=1)
    return float(x), float(y)

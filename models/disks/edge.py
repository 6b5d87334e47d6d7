"""The edge that all disks of a pattern share, and how smooth their insides are expected to be."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage, special

from braggscope.models.disks.results import Probe

Floats = NDArray[np.float64]

FINE = 4  # places of the table per pixel
REACH = 1  # px that a disk may lie from the middle of its window
EDGE_PER_SIGMA = 2 * 1.2815515655446004  # from 90 to 10 % of an error function
PATTERNED = 0.12  # rms of the probe's inside, share of its height, from which on it is taken as it is
DEGREE = 6
FREE = 2  # up to this degree the inside is as good as free
AMPLITUDES = (0.03, 0.1, 0.3, 1.0, 3.0)  # of what varies inside, share of the mean
LENGTH = 0.7  # radii over which it varies
LEVEL, SLOPES = 5.0, 10.0  # share of the mean: spread of the mean itself and of the free polynomials
BEYOND = 2.0  # px outside the radius where polynomials are still good


@dataclass(frozen=True, slots=True)
class Edge:
    """A disk of height 1: ``radius`` px and ``sigma`` px of its error function, the pixel included.

    ``blur``: share of sigma^2 that comes after the inside, from pixels and camera, and mixes it across the
    edge; the rest is the aperture's own softness. ``stretch`` (p, q): offsets (1 + p, q; q, 1 - p) r are
    round. ``image``: the probe itself, where it has a pattern; the rest is then not used.
    """

    radius: float
    sigma: float
    stretch: tuple[float, float] = (0.0, 0.0)
    blur: float = 0.75
    image: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, probe: Probe) -> "Edge":
        """The edge of a probe."""
        edge = cls(float(probe.radius), max(probe.edge / EDGE_PER_SIGMA, 0.35))
        size = len(probe.image)
        axis = np.arange(size) - size // 2
        y, x = np.meshgrid(axis, axis, indexing="ij")
        middle = np.hypot(x, y) <= max(probe.radius - probe.edge, 1.0)
        height = float(np.mean(probe.image[middle]))
        if not height > 0:
            raise ValueError("the probe is empty; take it from vacuum or from bright patterns")
        image = (probe.image / height).astype(np.float32)
        rough = np.sqrt(np.mean((image - edge.height(x, y))[np.hypot(x, y) < probe.radius] ** 2))
        return replace(edge, image=image) if rough > PATTERNED else edge

    def height(self, x: NDArray, y: NDArray) -> Floats:
        """Height 0-1 at offsets in px from the centre."""
        if self.image is not None:
            middle = len(self.image) // 2
            return ndimage.map_coordinates(self.image, (y + middle, x + middle), order=3, cval=0.0)
        p, q = self.stretch
        far = np.hypot((1 + p) * x + q * y, q * x + (1 - p) * y)
        return 0.5 * special.erfc((far - self.radius) / (np.sqrt(2) * self.sigma))

    def table(self, pixels: NDArray[np.int64], degree: int) -> NDArray[np.float32]:
        """(P, P, J, n): polynomials inside the aperture and blurred, on ``pixels`` (n, 2) x, y of a window.

        Axes 0, 1: y, x of the centre from -REACH to REACH px in steps of 1 / FINE. The blur mixes counts
        across the edge, so that an inside with a slope is not simply the edge times the inside.
        """
        reach = int(np.abs(pixels).max()) + REACH
        axis = np.arange(-reach * FINE, reach * FINE + 1) / FINE
        y, x = np.meshgrid(axis, axis, indexing="ij")
        after = 0.0 if self.image is not None else self.blur * self.sigma**2
        own = replace(self, sigma=max(np.sqrt(self.sigma**2 - after), 0.6 / FINE))
        aperture = own.height(x, y)
        across = chebyshev(axis / (self.radius + BEYOND), degree)
        images = np.stack([aperture * across[b][:, None] * across[a] for a, b in polynomial_order(degree)])
        if after:
            fall = np.exp(-0.5 * np.arange(len(axis)) ** 2 / (after * FINE**2))
            blur = linalg.toeplitz(fall).astype(np.float32) / np.float32(2 * fall.sum() - 1)
            images = blur @ images.astype(np.float32) @ blur
        images = images.astype(np.float32)
        phases = 2 * REACH * FINE + 1
        out = np.empty((phases, phases, len(images), len(pixels)), np.float32)
        for i in range(phases):
            for j in range(phases):
                columns = (pixels[:, 0] + reach + REACH) * FINE - j
                rows = (pixels[:, 1] + reach + REACH) * FINE - i
                out[i, j] = images[:, rows, columns]
        return out


def polynomial_order(degree: int) -> NDArray[np.int64]:
    """(J, 2): powers of x and y of the Chebyshev products, by rising degree."""
    return np.array([(a, d - a) for d in range(degree + 1) for a in range(d + 1)], np.int64)


def chebyshev(x: Floats, degree: int) -> Floats:
    """(degree + 1, n): T_a at x (n,), held at 1.3 beyond."""
    return np.asarray(np.polynomial.chebyshev.chebvander(np.clip(x, -1.3, 1.3), degree).T, np.float64)


def priors(radius: float, degree: int) -> tuple[Floats, Floats]:
    """Precisions (K, J, J) of the coefficients for a disk of mean 1, and their log determinants (K,).

    The inside is a smooth random field (squared-exponential covariance, Rasmussen and Williams 2006, eq.
    4.9) of each of the ``AMPLITUDES``, plus polynomials to degree ``FREE`` that are as good as free: slopes
    that all disks have in common would otherwise pull the lattice.
    """
    order = polynomial_order(degree)
    axis = np.linspace(-1, 1, 25) * (radius + 1)
    y, x = (g.ravel() for g in np.meshgrid(axis, axis, indexing="ij"))
    within = np.hypot(x, y) <= radius + 1
    x, y = x[within], y[within]
    across, down = chebyshev(x / (radius + BEYOND), degree), chebyshev(y / (radius + BEYOND), degree)
    project = np.linalg.pinv((across[order[:, 0]] * down[order[:, 1]]).T)
    squared = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    smooth = project @ np.exp(-0.5 * squared / (LENGTH * radius) ** 2) @ project.T
    total = order.sum(1)
    free = np.where(total == 0, LEVEL**2, np.where(total <= FREE, SLOPES**2, 1e-8))
    out = [np.linalg.inv(amplitude**2 * smooth + np.diag(free)) for amplitude in AMPLITUDES]
    return np.array(out), np.array([np.linalg.slogdet(one)[1] for one in out])

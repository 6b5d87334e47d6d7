"""What a solver is asked, what it answers, and the limits all solvers keep."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_COMPONENTS = 3
STRIDE = 7  # of a component in Solution.parameters: amplitude, x, y, a, b, c, eta
GROUND = MAX_COMPONENTS * STRIDE  # where the background begins there: at the middle pixel, slope x, slope y
MAX_ITERATIONS = 60
STEP_PX = 2e-6  # a shorter step ends the fit; what remains is then below 1e-7 px
SLACK = 100.0  # steps so many times longer are accepted when the iterations run out
STEP_SHAPE = 1e-4  # of the form, the amplitude and eta, relative
NARROWEST, WIDEST = 0.15, 2.0  # bounds of sigma: px, and windows
FIRST_DAMPING = 1e-4
SMALL_GAIN = 1e-7  # with a prior, a step that promises less, in units of the noise's variance, ends the fit


class Kind(NamedTuple):
    """What is fitted: a pseudo-Voigt or a Gaussian, counting statistics or none, a plane or a constant."""

    voigt: bool
    poisson: bool
    plane: bool

    @property
    def stride(self) -> int:
        """Parameters of a component."""
        return 7 if self.voigt else 6

    @property
    def ground(self) -> int:
        """Parameters of the background."""
        return 3 if self.plane else 1

    def parameters(self, count: int) -> int:
        """Parameters of ``count`` components over the background."""
        return count * self.stride + self.ground


class Solution(NamedTuple):
    """What a solver returns for N windows. Positions in px relative to the middle pixel."""

    parameters: NDArray[np.float64]  # (N, 24) three components of 7 and the background; unused ones are 0
    covariance: NDArray[np.float64]  # (N, 3) var x, var y, cov xy of the first component, px²; NaN: singular
    amplitude_err: NDArray[np.float64]  # (N, 3) counts; NaN if singular
    objective: NDArray[np.float64]  # (N,) half the sum of squares, or minus log-likelihood; priors included
    chi2: NDArray[np.float64]  # (N,) sum of r² / max(model, 1) over degrees of freedom
    converged: NDArray[np.bool_]  # (N,)


def blank_solution(n: int) -> Solution:
    """A solution in which nothing has converged."""
    unknown = np.full((5 + MAX_COMPONENTS, n), np.nan)  # one array is quicker than four
    return Solution(
        np.zeros((n, GROUND + 3)),
        unknown[:3].reshape(n, 3),
        unknown[3 : 3 + MAX_COMPONENTS].reshape(n, MAX_COMPONENTS),
        unknown[-2],
        unknown[-1],
        np.zeros(n, np.bool_),
    )


def store(result: Solution, at: NDArray, fitted: Solution, which: slice | NDArray = slice(None)) -> None:
    """Copy the entries ``which`` of ``fitted`` to the places ``at`` of ``result``."""
    for whole, piece in zip(result, fitted, strict=True):
        whole[at] = piece[which]

"""What becomes of each peak: the rules behind its status, before and after the fit."""

import numpy as np
from numpy.typing import NDArray

from braggscope.models.fitting.fits import Outcome
from braggscope.models.fitting.solution import Solution
from braggscope.models.fitting.windows import SIDES, Windows
from braggscope.models.profiles import FWHM_PER_SIGMA, axes_from_form
from braggscope.models.results import Status

ON_FRAME = 0.6  # of the window; less is EDGE
VALID = 0.5  # of the part on the frame; less is MASKED
CORE_BAD = 3  # bad pixels of the 3 x 3 around the peak that make it MASKED
HALF_WIDTH = 2.5  # of a window, in sigma of the long axis
FAR = 0.25  # of the window; a centre further from its pixel, or less certain, is FAILED


def on_frame(shape: tuple[int, ...], rows: NDArray, cols: NDArray) -> NDArray[np.bool_]:
    """(N,) bool: positions in px, whole or not, that lie on a pixel of a frame of ``shape``."""
    return np.asarray((rows >= -0.5) & (rows < shape[0] - 0.5) & (cols >= -0.5) & (cols < shape[1] - 0.5))


def prospect(cut: Windows, window: int, parameters: int) -> NDArray[np.uint8]:
    """(N,) status known from the pixels alone; OK where a fit of so many ``parameters`` can be tried."""
    status = np.full(len(cut.valid), Status.OK, np.uint8)
    few = (cut.valid < VALID * cut.on_frame) | (cut.valid <= 2 * parameters)
    status[few | (cut.core_bad >= CORE_BAD)] = Status.MASKED
    status[few & cut.core_saturated] = Status.SATURATED
    status[cut.on_frame < ON_FRAME * window * window] = Status.EDGE
    return status


def verdict(
    solution: Solution,
    count: NDArray[np.int64],
    hidden: NDArray[np.bool_],
    window: int,
    shape: tuple[int, ...],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """(N,) status after the fit. ``count`` components; ``hidden``: neighbours could not be told apart."""
    amplitude, x, y = solution.parameters[:, :3].T
    major, _, _ = axes_from_form(*solution.parameters[:, 3:6].T)
    limit = FAR * window
    with np.errstate(invalid="ignore"):
        sure = (solution.covariance[:, :2] <= limit * limit).all(axis=1)
        good = solution.converged & (amplitude > 0) & (np.hypot(x, y) <= limit) & sure
        broad = major > window
    status = np.where(good, Status.OK, Status.FAILED).astype(np.uint8)
    status[broad] = Status.BROAD
    status[(~good & (count > 1)) | hidden] = Status.OVERLAP
    status[solution.converged & ~on_frame(shape, rows + y, cols + x)] = Status.EDGE
    return status


def wanted_window(outcome: Outcome) -> NDArray[np.int64]:
    """(N,) px: the least of ``SIDES`` that holds each fitted peak.

    The middle one where the fit failed, the largest one round a saturated core.
    """
    major, _, _ = axes_from_form(*outcome.solution.parameters[:, 3:6].T)
    with np.errstate(invalid="ignore"):
        needed = 2.0 * HALF_WIDTH * major / FWHM_PER_SIGMA
        wanted = np.select([needed > SIDES[1], needed > SIDES[0]], SIDES[:0:-1], outcome.window)
    wanted[(outcome.status == Status.FAILED) & (wanted == SIDES[0])] = SIDES[1]
    wanted[outcome.components == 0] = SIDES[0]
    wanted[outcome.status == Status.SATURATED] = SIDES[-1]
    return wanted

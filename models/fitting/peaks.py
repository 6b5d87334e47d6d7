"""Fits of all peaks of a frame, each ending ok or with the reason why not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggscope.models import profiles
from braggscope.models.fitting import solver
from braggscope.models.fitting.solver import MAX_COMPONENTS, STRIDE, Solution
from braggscope.models.fitting.windows import Windows, cut_windows, find_neighbours
from braggscope.models.results import Status

Floats = NDArray[np.float64]
Model = Literal["gaussian", "pseudovoigt"]
Noise = Literal["uniform", "poisson"]
Solve = Callable[[Floats, Floats, bool, bool], Solution]

ON_FRAME = 0.6  # of the window; less is EDGE
VALID = 0.5  # of the part on the frame; less is MASKED
CORE_BAD = 3  # bad pixels of the 3 x 3 around the peak that make it MASKED
SIGNIFICANT = 3.0  # a neighbour of less than so many sigma of amplitude is dropped from the joint fit
CHUNK = 4096  # windows cut at a time, 4 MB at 11 px


@dataclass(frozen=True, slots=True)
class Fits:
    """Result of :func:`fit_peaks`, arrays of N entries; float64 unless said, positions in px of the frame.

    ``x, y, x_err, y_err`` (1 sigma), ``cov_xy`` (px²) are NaN unless ``status`` (uint8) is OK; amplitude and
    background in counts, ``fwhm_*`` in px, ``angle`` of the long axis in (-pi/2, pi/2] rad from +x towards +y,
    ``chi2`` reduced Pearson chi-square, ``eta`` (NaN for a Gaussian) are given wherever a fit was made.
    ``n_components`` int64: peaks fitted jointly, 0 without a fit. ``window`` int64 px.
    ``row, col`` int64: middle of the window. ``parameters`` (N, 22): three components of amplitude, x, y, a,
    b, c, eta with x, y relative to the middle and (a, b, c) of :mod:`braggscope.models.profiles`; background.
    """

    x: Floats
    y: Floats
    x_err: Floats
    y_err: Floats
    cov_xy: Floats
    amplitude: Floats
    background: Floats
    fwhm_major: Floats
    fwhm_minor: Floats
    angle: Floats
    chi2: Floats
    eta: Floats
    status: NDArray[np.uint8]
    n_components: NDArray[np.int64]
    window: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    parameters: Floats

    def __len__(self) -> int:
        return len(self.status)

    def model_patch(self, k: int) -> Floats:
        """(window, window) float64 counts: model of peak ``k`` with its neighbours. NaN without a fit."""
        half = int(self.window[k]) // 2
        dy, dx = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
        count = int(self.n_components[k])
        patch = np.full(dx.shape, self.parameters[k, -1] if count else np.nan)
        for amplitude, x, y, a, b, c, eta in self.parameters[k, : count * STRIDE].reshape(count, STRIDE):
            patch += amplitude * profiles.profile(profiles.quadratic(dx - x, dy - y, a, b, c), eta)
        return patch


def fit_peaks(
    image: NDArray,
    mask: NDArray[np.bool_] | None,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    *,
    window: int = 11,
    model: Model = "gaussian",
    noise: Noise = "uniform",
    saturation: float | None = None,
    device: str = "cpu",
) -> Fits:
    """Least-squares fits of rotated elliptical peaks over a constant background.

    ``image`` (H, W) counts; ``mask`` (H, W), True = bad; ``rows, cols`` (N,): the pixels of all peaks of the
    frame. Each peak is fitted in the window of ``window``² pixels around it, without pixels that are off the
    frame, masked, not finite or saturated. Up to two other peaks within ``window // 2 + 1`` px (the larger
    of row and column distance; the highest pixels first) are fitted with it; one whose amplitude comes out
    under 3 sigma is dropped again. ``noise`` "uniform": unweighted, covariance s² (JᵀJ)^-1; "poisson":
    weights 1 / max(model, 1) by Fisher scoring, covariance (JᵀWJ)^-1 times reduced chi-square.
    ``device`` other than "cpu": the same fit in torch, there.

    Status, the first that applies:

    - EDGE: under 60 % of the window is on the frame; or, after the fit, the centre is outside the frame;
    - SATURATED: one of the 3 x 3 pixels around the peak is at or above ``saturation``;
    - MASKED: 3 or more of these are bad, or under half of the window's pixels on the frame are valid, or
      these are too few for the parameters;
    - OVERLAP: more than two neighbours within half the reach above; or what would be FAILED in a joint fit;
    - BROAD: ``fwhm_major`` exceeds the window;
    - FAILED: no convergence; amplitude not positive; centre over a quarter of the window from its pixel, or
      its error as large; singular covariance.

    Raises ValueError for an even or too small window, and for arrays of the wrong shape.
    """
    image, rows, cols = _checked(image, mask, rows, cols, window)
    solve = _solver(device)
    voigt, poisson = model == "pseudovoigt", noise == "poisson"
    inside = (rows >= 0) & (rows < image.shape[0]) & (cols >= 0) & (cols < image.shape[1])
    neighbours, crowd = _neighbours(image, rows, cols, inside, window)
    status = np.zeros(len(rows), np.uint8)
    count = np.zeros(len(rows), np.int64)
    solution = solver.blank_solution(len(rows))
    for at in range(0, len(rows), CHUNK):
        part = slice(at, at + CHUNK)
        cut = cut_windows(image, mask, rows[part], cols[part], window, saturation)
        status[part] = _unfit(cut, inside[part], window, 8 if voigt else 7)
        starts = _starts(rows, cols, neighbours[part], part)
        todo = np.flatnonzero(status[part] == Status.OK)
        piece, count[part] = _fit_windows(cut.values, starts, todo, solve, voigt, poisson)
        for whole, some in zip(solution, piece, strict=True):
            whole[part] = some
    return _assemble(image.shape, rows, cols, window, voigt, status, count, solution, crowd)


def _checked(
    image: NDArray, mask: NDArray | None, rows: NDArray, cols: NDArray, window: int
) -> tuple[NDArray, NDArray[np.int64], NDArray[np.int64]]:
    if window < 5 or window % 2 == 0:
        raise ValueError(f"the window must be an odd number of pixels from 5 up, not {window}")
    if image.ndim != 2 or (mask is not None and mask.shape != image.shape):
        raise ValueError("image and mask must be two-dimensional arrays of one shape")
    rows, cols = np.asarray(rows, np.int64), np.asarray(cols, np.int64)
    if rows.ndim != 1 or rows.shape != cols.shape:
        raise ValueError("rows and cols must be one-dimensional and of one length")
    if image.dtype not in (np.float32, np.float64):
        image = image.astype(np.float64 if image.dtype.itemsize > 2 else np.float32)
    return image, rows, cols


def _solver(device: str) -> Solve:
    if device == "cpu":
        return solver.solve
    from braggscope.models.fitting.batched import solve_torch

    return lambda values, starts, voigt, poisson: solve_torch(values, starts, voigt, poisson, device)


def _neighbours(
    image: NDArray, rows: NDArray[np.int64], cols: NDArray[np.int64], inside: NDArray[np.bool_], window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """:func:`find_neighbours` among the peaks on the frame, indices into all of them."""
    known = np.flatnonzero(inside)
    height = image[rows[known], cols[known]].astype(np.float64)
    height[np.isnan(height)] = -np.inf
    found, crowded = find_neighbours(rows[known], cols[known], height, window)
    neighbours, crowd = np.full((len(rows), found.shape[1]), -1, np.int64), np.zeros(len(rows), np.int64)
    neighbours[known] = np.where(found >= 0, known[found] if len(known) else -1, -1)
    crowd[known] = crowded
    return neighbours, crowd


def _starts(
    rows: NDArray[np.int64], cols: NDArray[np.int64], neighbours: NDArray[np.int64], part: slice
) -> Floats:
    """(n, 3, 2) x, y of the peak and its neighbours from the middle of the window; NaN where there is none."""
    starts = np.zeros((len(neighbours), MAX_COMPONENTS, 2))
    for axis, place in enumerate((cols, rows)):
        offset = place[neighbours] - place[part][:, None]
        starts[:, 1:, axis] = np.where(neighbours >= 0, offset, np.nan)
    return starts


def _unfit(cut: Windows, inside: NDArray[np.bool_], window: int, parameters: int) -> NDArray[np.uint8]:
    """Reasons that are known before a fit."""
    status = np.full(len(inside), Status.OK, np.uint8)
    few = (cut.valid < VALID * cut.on_frame) | (cut.valid <= 2 * parameters)
    status[few | (cut.core_bad >= CORE_BAD)] = Status.MASKED
    status[cut.core_saturated] = Status.SATURATED
    status[~inside | (cut.on_frame < ON_FRAME * window * window)] = Status.EDGE
    return status


def _fit_windows(
    values: Floats, starts: Floats, todo: NDArray[np.int64], solve: Solve, voigt: bool, poisson: bool
) -> tuple[Solution, NDArray[np.int64]]:
    """Fit the windows ``todo`` with their neighbours, then again without those that are insignificant."""
    starts = starts.copy()
    result = solver.blank_solution(len(values))
    count = np.zeros(len(values), np.int64)
    while len(todo):
        count[todo] = 1 + np.isfinite(starts[todo, 1:, 0]).sum(axis=1)
        again = []
        for k in range(1, MAX_COMPONENTS + 1):
            some = todo[count[todo] == k]
            if not len(some):
                continue
            fitted = solve(values[some], np.ascontiguousarray(starts[some, :k]), voigt, poisson)
            for whole, piece in zip(result, fitted, strict=True):
                whole[some] = piece
            if k > 1:
                again.append(some[_drop_insignificant(fitted, k, starts, some)])
        todo = np.concatenate(again) if again else np.empty(0, np.int64)
    return result, count


def _drop_insignificant(
    fitted: Solution, k: int, starts: Floats, some: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Remove the least significant neighbour from ``starts`` where it is under 3 sigma. Returns where."""
    amplitude = fitted.parameters[:, STRIDE : k * STRIDE : STRIDE]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = amplitude / fitted.amplitude_err[:, 1:k]
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    weakest = np.argmin(ratio, axis=1)
    drop = ratio[np.arange(len(some)), weakest] < SIGNIFICANT
    for i in np.flatnonzero(drop):
        others = np.delete(starts[some[i], 1:], weakest[i], axis=0)
        starts[some[i], 1:] = np.concatenate((others, [[np.nan, np.nan]]))
    return drop


def _assemble(
    shape: tuple[int, ...],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    window: int,
    voigt: bool,
    status: NDArray[np.uint8],
    count: NDArray[np.int64],
    solution: Solution,
    crowd: NDArray[np.int64],
) -> Fits:
    raw = np.where((count > 0)[:, None], solution.parameters, np.nan)
    x, y = cols + raw[:, 1], rows + raw[:, 2]
    major, minor, angle = profiles.axes_from_form(raw[:, 3], raw[:, 4], raw[:, 5])
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(solution.covariance[:, :2])
        far = window / 4
        failed = ~solution.converged | ~(raw[:, 0] > 0) | ~(np.hypot(raw[:, 1], raw[:, 2]) <= far)
        failed |= ~(errors <= far).all(axis=1)
        outside = (
            ~((x > -0.5) & (x < shape[1] - 0.5) & (y > -0.5) & (y < shape[0] - 0.5)) & solution.converged
        )
        broad = major > window
    verdict = np.full(len(rows), Status.OK, np.uint8)
    verdict[failed] = Status.FAILED
    verdict[broad] = Status.BROAD
    verdict[(failed & (count > 1)) | (crowd > 2)] = Status.OVERLAP
    verdict[outside] = Status.EDGE
    status = np.where(status == Status.OK, verdict, status).astype(np.uint8)
    placed = np.where(status == Status.OK, 1.0, np.nan)
    return Fits(
        x=x * placed, y=y * placed, x_err=errors[:, 0] * placed, y_err=errors[:, 1] * placed,
        cov_xy=solution.covariance[:, 2] * placed, amplitude=raw[:, 0], background=raw[:, -1],
        fwhm_major=major, fwhm_minor=minor, angle=angle, chi2=solution.chi2,
        eta=raw[:, 6] if voigt else np.full(len(rows), np.nan), status=status, n_components=count,
        window=np.full(len(rows), window, np.int64), row=rows, col=cols, parameters=raw,
    )  # fmt: skip

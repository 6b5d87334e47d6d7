"""Fits of all peaks of a frame, each ending ok or with the reason why not."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggscope.models import profiles
from braggscope.models.fitting.grounds import Background, fit_on_background
from braggscope.models.fitting.joint import Problem, swallowed
from braggscope.models.fitting.solution import (
    GROUND,
    MAX_COMPONENTS,
    STRIDE,
    Kind,
    Solution,
    blank_solution,
    store,
)
from braggscope.models.fitting.solver import solve
from braggscope.models.fitting.verdicts import on_frame, prospect, verdict
from braggscope.models.fitting.windows import MARGIN, add_cores, cut_windows, find_neighbours
from braggscope.models.results import Status

Floats = NDArray[np.float64]
Model = Literal["gaussian", "pseudovoigt"]
Noise = Literal["uniform", "poisson"]

CHUNK = 2048  # windows cut at a time, 2 MB at 11 px


@dataclass(frozen=True, slots=True)
class Fits:
    """Result of :func:`fit_peaks`, arrays of N entries; float64 unless said, positions in px of the frame.

    ``x, y, x_err, y_err`` (1 sigma), ``cov_xy`` (px²) are NaN unless ``status`` (uint8) is OK. Given wherever
    a fit was made: ``amplitude`` and ``background`` (at the centre) in counts, its slopes ``slope_x`` and
    ``slope_y`` in counts/px (NaN: constant), ``fwhm_*`` in px, ``angle`` of the long axis in rad from +x
    towards +y in (-pi/2, pi/2], ``chi2`` reduced Pearson chi-square, ``eta`` (NaN: Gaussian). ``plane`` bool:
    fitted over a plane. ``n_components`` int64: peaks fitted jointly, 0 without a fit. ``window`` int64 px.
    ``row, col`` int64: middle of the window. ``parameters`` (N, 24): three components of amplitude, x, y, a,
    b, c, eta with x, y relative to the middle and (a, b, c) of :mod:`braggscope.models.profiles`; background
    at the middle and its slopes.
    """

    x: Floats
    y: Floats
    x_err: Floats
    y_err: Floats
    cov_xy: Floats
    amplitude: Floats
    background: Floats
    slope_x: Floats
    slope_y: Floats
    fwhm_major: Floats
    fwhm_minor: Floats
    angle: Floats
    chi2: Floats
    eta: Floats
    status: NDArray[np.uint8]
    plane: NDArray[np.bool_]
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
        level, rise, fall = self.parameters[k, GROUND:]
        patch = level + rise * dx + fall * dy
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
    background: Background = "constant",
    saturation: float | None = None,
    only: int | None = None,
    device: str = "cpu",
) -> Fits:
    """Least-squares fits of rotated elliptical peaks over a constant or a plane.

    ``image`` (H, W) counts; ``mask`` (H, W), True = bad; ``rows, cols`` (N,): the pixels of all peaks of the
    frame. Each peak is fitted in the window of ``window``² pixels around it, without pixels that are off the
    frame, masked, not finite or saturated. Up to two other peaks within ``window // 2 + 1`` px (the larger
    of row and column distance; the highest pixels first) are fitted with it, the 5 x 5 around each taking
    part; one for which the data give no evidence is left out again (:func:`fit_windows`).
    ``background`` "auto": for each peak a plane where the Bayesian information criterion prefers one, else a
    constant (:func:`fit_on_background`). ``only``: the first so many peaks are fitted, N is their number; all
    are neighbours. ``noise`` "uniform": unweighted, covariance s² (JᵀJ)^-1; "poisson":
    weights 1 / max(model, 1) by Fisher scoring, covariance (JᵀWJ)^-1 times reduced chi-square.
    ``device`` other than "cpu": the same fit in torch, there.

    Status, the first that applies:

    - EDGE: under 60 % of the window is on the frame; or, after the fit, the centre is outside the frame;
    - SATURATED: one of the 3 x 3 pixels around the peak is at or above ``saturation``;
    - MASKED: 3 or more of these are bad, or under half of the window's pixels on the frame are valid, or
      these are too few for the parameters;
    - OVERLAP: more than two neighbours within half the reach above; or a higher neighbour, left out, lies
      above half of the fitted peak's height; or what would be FAILED in a joint fit;
    - BROAD: ``fwhm_major`` exceeds the window;
    - FAILED: no convergence; amplitude not positive; centre over a quarter of the window from its pixel, or
      its error as large; singular covariance.

    Raises ValueError for an even or too small window, and for arrays of the wrong shape.
    """
    if device != "cpu":
        return fit_peaks_torch(
            image, mask, rows, cols, device,
            window=window, model=model, noise=noise, background=background, saturation=saturation,
            only=only,
        )  # fmt: skip
    problem = Problem(solve, _kind(model, noise, background))
    return _fit_all(problem, background, image, mask, rows, cols, window, saturation, only)


def fit_peaks_torch(
    image: NDArray,
    mask: NDArray[np.bool_] | None,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    device: str,
    *,
    window: int = 11,
    model: Model = "gaussian",
    noise: Noise = "uniform",
    background: Background = "constant",
    saturation: float | None = None,
    only: int | None = None,
) -> Fits:
    """As :func:`fit_peaks`, solved in torch on any of its devices, "cpu" included."""
    from braggscope.models.fitting.batched import solve_torch

    problem = Problem(partial(solve_torch, device=device), _kind(model, noise, background))
    return _fit_all(problem, background, image, mask, rows, cols, window, saturation, only)


def _kind(model: Model, noise: Noise, background: Background) -> Kind:
    return Kind(model == "pseudovoigt", noise == "poisson", background == "plane")


def _fit_all(
    problem: Problem,
    background: Background,
    image: NDArray,
    mask: NDArray[np.bool_] | None,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    window: int,
    saturation: float | None,
    only: int | None,
) -> Fits:
    image, rows, cols = _checked(image, mask, rows, cols, window)
    starts, crowded = _starts(image, rows, cols, window)
    starts, crowded, rows, cols = starts[:only], crowded[:only], rows[:only], cols[:only]
    status, plane = np.zeros(len(rows), np.uint8), np.zeros(len(rows), np.bool_)
    count = np.zeros(len(rows), np.int64)
    solution = blank_solution(len(rows))
    for at in range(0, len(rows), CHUNK):
        part = np.arange(at, min(at + CHUNK, len(rows)))
        cut = cut_windows(image, mask, rows[part], cols[part], window, saturation)
        status[part] = prospect(cut, window, problem.kind.parameters(1))
        possible = status[part] == Status.OK
        joint = np.isfinite(starts[part, 1, 0])
        for some in (possible & ~joint, possible & joint):
            chosen, values = part[some], cut.values if some.all() else cut.values[some]
            if joint[some].any():
                wide = window + 2 * MARGIN
                values = cut_windows(image, mask, rows[chosen], cols[chosen], wide, saturation).values
                add_cores(values, starts[chosen, :, :2])
            order = starts[chosen]
            piece, count[chosen], plane[chosen] = fit_on_background(problem, background, values, order)
            hidden = crowded[chosen] | swallowed(piece, order, count[chosen])
            status[chosen] = verdict(
                piece, count[chosen], hidden, window, image.shape, rows[chosen], cols[chosen]
            )
            store(solution, chosen, piece)
    return _assemble(rows, cols, window, problem.kind.voigt, status, count, plane, solution)


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


def _starts(
    image: NDArray, rows: NDArray[np.int64], cols: NDArray[np.int64], window: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """(N, 3, 3) x, y from the middle, height, of each peak and its neighbours or NaN; (N,) crowded."""
    starts = np.full((len(rows), MAX_COMPONENTS, 3), np.nan)
    crowded = np.zeros(len(rows), np.bool_)
    known = np.flatnonzero(on_frame(image.shape, rows, cols))
    if not len(known):
        return starts, crowded
    place = np.stack((cols[known], rows[known], image[rows[known], cols[known]]), axis=1).astype(np.float64)
    height = np.nan_to_num(place[:, 2], nan=-np.inf)
    found, inner = find_neighbours(rows[known], cols[known], height, window)
    starts[known, 0] = place
    starts[known, 1:] = np.where(found[..., None] >= 0, place[found], np.nan)
    starts[known, :, :2] -= place[:, None, :2]
    crowded[known] = inner > MAX_COMPONENTS - 1
    return starts, crowded


def _assemble(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    window: int,
    voigt: bool,
    status: NDArray[np.uint8],
    count: NDArray[np.int64],
    plane: NDArray[np.bool_],
    solution: Solution,
) -> Fits:
    raw = np.where((count > 0)[:, None], solution.parameters, np.nan)
    major, minor, angle = profiles.axes_from_form(raw[:, 3], raw[:, 4], raw[:, 5])
    placed = np.where(status == Status.OK, 1.0, np.nan)
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(solution.covariance[:, :2]) * placed[:, None]
    return Fits(
        x=(raw[:, 1] + cols.astype(np.float64)) * placed,
        y=(raw[:, 2] + rows.astype(np.float64)) * placed,
        x_err=errors[:, 0],
        y_err=errors[:, 1],
        cov_xy=solution.covariance[:, 2] * placed,
        amplitude=raw[:, 0],
        background=raw[:, GROUND] + raw[:, GROUND + 1] * raw[:, 1] + raw[:, GROUND + 2] * raw[:, 2],
        slope_x=np.where(plane, raw[:, GROUND + 1], np.nan),
        slope_y=np.where(plane, raw[:, GROUND + 2], np.nan),
        fwhm_major=major,
        fwhm_minor=minor,
        angle=angle,
        chi2=solution.chi2,
        eta=raw[:, 6] if voigt else np.full(len(rows), np.nan),
        status=status,
        plane=plane & (count > 0),
        n_components=count,
        window=np.full(len(rows), window, np.int64),
        row=rows,
        col=cols,
        parameters=raw,
    )

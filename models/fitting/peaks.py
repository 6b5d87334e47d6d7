"""Fits of all peaks of a frame, each ending ok or with the reason why not."""

from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.models.fitting.fits import Fits, Floats, Outcome, assemble
from braggscope.models.fitting.grounds import Background, fit_on_background
from braggscope.models.fitting.joint import Problem, swallowed
from braggscope.models.fitting.solution import GROUND, MAX_COMPONENTS, Kind, store
from braggscope.models.fitting.solver import solve
from braggscope.models.fitting.verdicts import on_frame, prospect, verdict, wanted_window
from braggscope.models.fitting.windows import (
    MARGIN,
    SIDES,
    Pixels,
    add_cores,
    cut_windows,
    find_neighbours,
    taken_off,
)
from braggscope.models.results import Status

Model = Literal["gaussian", "pseudovoigt"]
Noise = Literal["uniform", "poisson"]
Window = int | Literal["auto"]

CHUNK = 2048  # windows cut at a time, 2 MB at 11 px


class Task(NamedTuple):
    """What is to be fitted how: all peaks of a frame, of which some are fitted."""

    problem: Problem
    background: Background
    pixels: Pixels
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


def fit_peaks(
    image: NDArray,
    mask: NDArray[np.bool_] | None,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    *,
    window: Window = 11,
    model: Model = "gaussian",
    noise: Noise = "uniform",
    background: Background = "constant",
    saturation: float | None = None,
    saturated: NDArray[np.bool_] | None = None,
    subtracted: NDArray | None = None,
    only: int | None = None,
    device: str = "cpu",
) -> Fits:
    """Least-squares fits of rotated elliptical peaks over a constant or a plane.

    ``image`` (H, W) counts; ``mask`` (H, W), True = bad; ``rows, cols`` (N,): the pixels of all peaks of the
    frame. Each peak is fitted in the window of ``window``² pixels around it, without pixels that are off the
    frame, masked, not finite, or saturated: at or above ``saturation``, or True in ``saturated`` (H, W).
    ``window`` "auto": 11 px, and again in 15 or 21 px, the least with half a width of 2.5 sigma of the long
    axis fitted at 11 px (15 px where that fails), unless only the smaller one gives an answer. Up to two
    other peaks within ``window // 2 + 1`` px (the larger of row and column distance; the highest pixels
    first) are fitted with it, the 5 x 5 around each taking part; one for which the data give no evidence is
    left out again (:func:`fit_windows`).
    ``background`` "auto": for each peak a plane where the Bayesian information criterion prefers one, else a
    constant (:func:`fit_on_background`). ``only``: the first so many peaks are fitted, N is their number; all
    are neighbours. ``noise`` "uniform": unweighted, covariance s² (JᵀJ)^-1; "poisson":
    weights 1 / max(model, 1) by Fisher scoring, covariance (JᵀWJ)^-1 times reduced chi-square. ``subtracted``
    (H, W): counts that were taken off the image; they are noisy nonetheless, and counted in the weights and
    in chi-square, not in ``background``.
    ``device`` other than "cpu": the same fit in torch, there.

    Status, the first that applies:

    - EDGE: under 60 % of the window is on the frame; or, after the fit, the centre is outside the frame;
    - MASKED: 3 or more of the 3 x 3 pixels around the peak are bad, or under half of the window's pixels on
      the frame are valid, or these are too few for the parameters;
    - SATURATED: one of the 3 x 3 is saturated, and the rest of the window does not suffice for that reason,
      or its fit ends with one of the reasons below. Else the flanks give the centre, with the error that
      belongs to them, and the amplitude is extrapolated;
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
            saturated=saturated, subtracted=subtracted, only=only,
        )  # fmt: skip
    problem = Problem(solve, _kind(model, noise, background))
    pixels = Pixels(image, mask, saturation, saturated, subtracted)
    return _fit_frame(problem, background, pixels, rows, cols, window, only)


def fit_peaks_torch(
    image: NDArray,
    mask: NDArray[np.bool_] | None,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    device: str,
    *,
    window: Window = 11,
    model: Model = "gaussian",
    noise: Noise = "uniform",
    background: Background = "constant",
    saturation: float | None = None,
    saturated: NDArray[np.bool_] | None = None,
    subtracted: NDArray | None = None,
    only: int | None = None,
) -> Fits:
    """As :func:`fit_peaks`, solved in torch on any of its devices, "cpu" included."""
    from braggscope.models.fitting.batched import solve_torch

    problem = Problem(partial(solve_torch, device=device), _kind(model, noise, background))
    pixels = Pixels(image, mask, saturation, saturated, subtracted)
    return _fit_frame(problem, background, pixels, rows, cols, window, only)


def _kind(model: Model, noise: Noise, background: Background) -> Kind:
    return Kind(model == "pseudovoigt", noise == "poisson", background == "plane")


def _fit_frame(
    problem: Problem,
    background: Background,
    pixels: Pixels,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    window: Window,
    only: int | None,
) -> Fits:
    pixels, rows, cols = _checked(pixels, rows, cols, window)
    task = Task(problem, background, pixels, rows, cols)
    everyone = np.arange(len(rows))[:only]
    outcome = _fit(task, SIDES[0] if window == "auto" else window, everyone)
    if window == "auto":
        wanted = wanted_window(outcome)
        for side in SIDES[1:]:
            some = np.flatnonzero(wanted == side)
            larger = _fit(task, side, everyone[some])
            better = (larger.status == Status.OK) | (outcome.status[some] != Status.OK)
            outcome.take_over(some[better], larger, better)
    return assemble(rows[everyone], cols[everyone], problem.kind.voigt, outcome)


def _fit(task: Task, window: int, some: NDArray[np.int64]) -> Outcome:
    """Fit the peaks ``some`` in windows of one size."""
    outcome = Outcome.blank(len(some), window)
    if not len(some):
        return outcome
    starts, crowded = _starts(task.pixels, task.rows, task.cols, window)
    starts, crowded = starts[some], crowded[some]
    joint = np.isfinite(starts[:, 1, 0])
    for at in range(0, len(some), CHUNK):
        part = np.arange(at, min(at + CHUNK, len(some)))
        rows, cols = task.rows[some[part]], task.cols[some[part]]
        cut = cut_windows(task.pixels, rows, cols, window)
        outcome.status[part] = prospect(cut, window, task.problem.kind.parameters(1))
        possible = outcome.status[part] == Status.OK
        for which in (possible & ~joint[part], possible & joint[part]):
            chosen, values = part[which], cut.values if which.all() else cut.values[which]
            if joint[chosen].any():
                values = cut_windows(task.pixels, rows[which], cols[which], window + 2 * MARGIN).values
                add_cores(values, starts[chosen, :, :2])
            order, level = starts[chosen], taken_off(task.pixels, rows[which], cols[which])
            values = values + level[:, None] if level.any() else values
            piece, count, plane = fit_on_background(task.problem, task.background, values, order)
            piece.parameters[:, GROUND] -= level
            hidden = crowded[chosen] | swallowed(piece, order, count)
            shape = task.pixels.image.shape
            status = verdict(piece, count, hidden, window, shape, rows[which], cols[which])
            status[(status != Status.OK) & cut.core_saturated[which]] = Status.SATURATED
            store(outcome.solution, chosen, piece)
            outcome.status[chosen], outcome.components[chosen], outcome.plane[chosen] = status, count, plane
    return outcome


def _checked(
    pixels: Pixels, rows: NDArray, cols: NDArray, window: Window
) -> tuple[Pixels, NDArray[np.int64], NDArray[np.int64]]:
    if window != "auto" and (window < 5 or window % 2 == 0):
        raise ValueError(f"the window must be an odd number of pixels from 5 up, not {window}")
    image = pixels.image
    maps = pixels.mask, pixels.saturated, pixels.subtracted
    if image.ndim != 2 or any(m is not None and m.shape != image.shape for m in maps):
        raise ValueError("image and mask must be two-dimensional arrays of one shape")
    rows, cols = np.asarray(rows, np.int64), np.asarray(cols, np.int64)
    if rows.ndim != 1 or rows.shape != cols.shape:
        raise ValueError("rows and cols must be one-dimensional and of one length")
    if image.dtype not in (np.float32, np.float64):
        pixels = pixels._replace(image=image.astype(np.float64 if image.dtype.itemsize > 2 else np.float32))
    return pixels, rows, cols


def _starts(
    pixels: Pixels, rows: NDArray[np.int64], cols: NDArray[np.int64], window: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """(N, 3, 3) x, y from the middle, height, of each peak and its neighbours or NaN; (N,) crowded."""
    image = pixels.image
    starts = np.full((len(rows), MAX_COMPONENTS, 3), np.nan)
    crowded = np.zeros(len(rows), np.bool_)
    known = np.flatnonzero(on_frame(image.shape, rows, cols))
    if not len(known):
        return starts, crowded
    _, first, again = np.unique(
        rows[known] * image.shape[1] + cols[known], return_index=True, return_inverse=True
    )
    lone = known[first]  # the same pixel twice is one neighbour
    place = np.stack((cols[lone], rows[lone], image[rows[lone], cols[lone]]), axis=1).astype(np.float64)
    if pixels.mask is not None:
        place[pixels.mask[rows[lone], cols[lone]], 2] = np.nan  # is no neighbour
    height = np.nan_to_num(place[:, 2], nan=-np.inf)
    found, inner = find_neighbours(rows[lone], cols[lone], height, window)
    order = np.concatenate((place[:, None], np.where(found[..., None] >= 0, place[found], np.nan)), axis=1)
    order[..., :2] -= place[:, None, :2]
    starts[known], crowded[known] = order[again], inner[again] > MAX_COMPONENTS - 1
    return starts, crowded

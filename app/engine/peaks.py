"""The peak pipeline of one prepared frame: candidates, selection, fits, networks, one table."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.components import Further, further_peaks, none_beside, with_further
from braggscope.app.engine.networks import Networks, braggnn_columns, look, net_columns
from braggscope.models.combine import combine
from braggscope.models.fitting.fits import Fits
from braggscope.models.fitting.hidden import Hidden, find_hidden
from braggscope.models.fitting.peaks import fit_peaks
from braggscope.models.parameters import Localization, Parameters
from braggscope.models.peaks.detect import reference_peaks, select
from braggscope.models.peaks.persistence import Workspace, find_candidates
from braggscope.models.prepare import Prepared
from braggscope.models.results import Background, Candidates, Model, PeakTable, Selection, Status


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds spent on one frame, by step."""

    find: float = 0.0
    fit: float = 0.0
    braggnn: float = 0.0
    net: float = 0.0


@dataclass(frozen=True, slots=True)
class Analysis:
    """Candidates and peak table of one frame."""

    candidates: Candidates
    selection: Selection
    table: PeakTable
    timing: Timing


def find(
    prepared: Prepared, parameters: Parameters, workspace: Workspace | None = None, floor: float | None = None
) -> Candidates:
    """Candidates of a prepared frame down to ``floor`` (default ``minval``), by the chosen detector."""
    detect = parameters.detect
    if detect.detector == "findpeaks":
        return reference_peaks(prepared.image, prepared.excluded, detect.minval, 0.0)
    floor = detect.minval if floor is None else floor
    return find_candidates(prepared.image, prepared.excluded, floor, workspace)


def analyse(
    prepared: Prepared,
    frame: int,
    parameters: Parameters,
    networks: Networks | None,
    *,
    device: str = "cpu",
    workspace: Workspace | None = None,
    check: Callable[[], None] = lambda: None,
) -> Analysis:
    """Everything about one frame. ``check`` raises to stop between two chunks of work."""
    start = time.perf_counter()
    candidates = find(prepared, parameters, workspace)
    selection = select(candidates, parameters.detect.minval, parameters.detect.minscore)
    found = time.perf_counter()
    table = blank_table(candidates, selection, frame)
    table, timing = localize(prepared, table, parameters, networks, device=device, check=check)
    timing = replace(timing, find=(found - start) * 1e3)
    return Analysis(candidates, selection, table, timing)


def blank_table(candidates: Candidates, selection: Selection, frame: int) -> PeakTable:
    """Selected peaks with nothing measured yet."""
    chosen = selection.candidate
    return PeakTable.blank(
        len(chosen),
        frame=frame,
        peak=np.arange(len(chosen)),
        row=candidates.row[chosen],
        col=candidates.col[chosen],
        birth=candidates.birth[chosen],
        death=selection.death,
        score=selection.score,
        status=int(Status.PENDING),
    )


def localize(
    prepared: Prepared,
    table: PeakTable,
    parameters: Parameters,
    networks: Networks | None,
    *,
    device: str = "cpu",
    check: Callable[[], None] = lambda: None,
    limit: int | None = None,
) -> tuple[PeakTable, Timing]:
    """Fill in fits and network outputs. Peaks beyond ``limit`` stay pending, but are neighbours in fits.

    Networks answer whatever becomes of the fit, those that are ready. Peaks that only the localiser network
    sees are neighbours in fits. :mod:`braggscope.models.combine` says how the combined answer comes about.
    Behind a peak come rows for those fitted with it that were not detected (``component`` 1, 2 …); the
    given rows are all detected ones.
    """
    settings, networks = parameters.localize, networks or Networks()
    todo = table if limit is None else table.take(slice(0, limit))
    times = [time.perf_counter()]
    columns: dict[str, NDArray] = {}
    if networks.braggnn is not None and "braggnn" in settings.methods:
        minval = parameters.detect.minval if settings.patch == "thresholded" else None
        columns |= braggnn_columns(prepared, todo, minval, networks.braggnn, check)
    times.append(time.perf_counter())
    net = networks.net if "net" in settings.methods else None
    answer, rows, cols = look(prepared, table["row"], table["col"], len(todo), net, check)
    if answer is not None:
        columns |= net_columns(answer)
    times.append(time.perf_counter())
    n, detected = len(todo), len(table)  # what only the network sees comes behind the detected ones
    order = np.r_[:n, detected : len(rows), n:detected]
    place, seen = (rows[order], cols[order]), len(rows) - detected
    own, further, beside = _measure(prepared, place, n, seen, settings, device, check)
    columns |= own
    columns |= combine(columns, None if answer is None else answer.overlap)
    times.append(time.perf_counter())
    by_braggnn, by_net, by_fit = (1e3 * np.diff(times)).tolist()
    full = {name: _padded(values, table[name]) for name, values in columns.items()}
    table = with_further(table.with_columns(**full), further, beside)
    return table, Timing(0.0, by_fit, by_braggnn, by_net)


def _padded(values: NDArray, old: NDArray) -> NDArray:
    out = old.copy()
    out[: len(values)] = values
    return out


def _measure(
    prepared: Prepared,
    place: tuple[NDArray, NDArray],
    n: int,
    seen: int,
    settings: Localization,
    device: str,
    check: Callable[[], None],
) -> tuple[dict[str, NDArray], Further, dict[str, NDArray]]:
    """Columns of the first ``n`` peaks, and the further ones beside them with theirs.

    ``place``: rows and columns of all; behind the first come ``seen`` that only a network sees.
    """
    if "fit" not in settings.methods:
        status = np.full(n, Status.OK, np.uint8)
        if prepared.saturated is not None:
            status[_touches(prepared.saturated, place[0][:n], place[1][:n])] = Status.SATURATED
        return {"status": status}, none_beside(n), {}
    check()
    found = fit_window_peaks(prepared, *place, settings, device, n + seen)
    check()
    further = further_peaks(found, n)
    own, beside = (
        _fit_columns(found.fits.take(some), settings.model) for some in (further.own, further.entry)
    )
    return own, further, beside


def _fit_columns(fits: Fits, model: str) -> dict[str, NDArray]:
    """Columns of the peak table that a fit fills."""
    ok, fitted = fits.status == Status.OK, fits.n_components > 0
    columns: dict[str, NDArray] = {
        "status": fits.status,
        "window": fits.window,
        "n_components": fits.n_components,
        "model": np.where(fitted, Model[model.upper()], Model.NONE),
        "background_model": np.select(
            [fits.plane, fitted], [Background.PLANE, Background.CONSTANT], Background.NONE
        ),
    }
    for name, values in (
        ("x_fit", fits.x), ("y_fit", fits.y), ("x_fit_err", fits.x_err), ("y_fit_err", fits.y_err),
        ("cov_xy", fits.cov_xy), ("amplitude", fits.amplitude), ("background", fits.background),
        ("fwhm_major", fits.fwhm_major), ("fwhm_minor", fits.fwhm_minor), ("angle", fits.angle),
        ("chi2", fits.chi2), ("eta", fits.eta), ("slope_x", fits.slope_x), ("slope_y", fits.slope_y),
    ):  # fmt: skip
        columns[name] = np.where(ok, values, np.nan)
    return columns


def fit_window_peaks(
    prepared: Prepared,
    rows: NDArray,
    cols: NDArray,
    settings: Localization,
    device: str = "cpu",
    only: int | None = None,
) -> Hidden:
    """The classical fit of all peaks of one frame, or the first ``only``, with the given settings.

    A second spot that was not detected but shows in the fit of a lone one is fitted with it.
    """
    frame = prepared.image, prepared.mask, rows, cols
    options: dict[str, Any] = {
        "window": settings.window,
        "model": settings.model,
        "noise": settings.noise,
        "background": settings.background,
        "saturated": prepared.saturated,
        "subtracted": prepared.background,
        "device": device,
    }
    fits = fit_peaks(*frame, only=only, **options)
    return find_hidden(*frame, fits, **options)


def _touches(bad: NDArray[np.bool_], rows: NDArray, cols: NDArray) -> NDArray[np.bool_]:
    """(N,) bool: whether any of the 3 x 3 pixels around each peak is bad."""
    padded = np.pad(bad, 1)
    hit = np.zeros(len(rows), bool)
    for dy in range(3):
        for dx in range(3):
            hit |= padded[rows + dy, cols + dx]
    return hit

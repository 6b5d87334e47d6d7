"""The peak pipeline of one prepared frame: candidates, selection, fits, networks, one table."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from braggscope.models.fitting.peaks import Fits, fit_peaks
from braggscope.models.parameters import Localization, Parameters
from braggscope.models.peaks.detect import reference_peaks, select
from braggscope.models.peaks.patches import cut_patches, normalise
from braggscope.models.peaks.persistence import Workspace, find_candidates
from braggscope.models.prepare import Prepared
from braggscope.models.results import Background, Candidates, Model, PeakTable, Selection, Source, Status

CHUNK = 256  # peaks between two looks at the cancel flag: about 10 ms of work


class PatchLocalizer(Protocol):
    """What the pipeline needs of BraggNN. ``window``: px, side of its patches."""

    window: int

    def locate(self, patches: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, S, S) patches scaled to 0..1 -> (N, 2) (x, y) in px of the patch."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds spent on one frame, by step."""

    find: float = 0.0
    fit: float = 0.0
    braggnn: float = 0.0


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
    localizer: PatchLocalizer | None,
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
    table, timing = localize(prepared, table, parameters, localizer, device=device, check=check)
    timing = Timing((found - start) * 1e3, timing.fit, timing.braggnn)
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
    localizer: PatchLocalizer | None,
    *,
    device: str = "cpu",
    check: Callable[[], None] = lambda: None,
    limit: int | None = None,
) -> tuple[PeakTable, Timing]:
    """Fill in fits and network outputs. Peaks beyond ``limit`` stay pending, but are neighbours in fits.

    BraggNN answers whatever became of the fit. The combined answer is the fit where it is ok, else
    BraggNN, else none.
    """
    settings = parameters.localize
    todo = table if limit is None else table.take(slice(0, limit))
    start = time.perf_counter()
    columns = _fit_columns(prepared, table, len(todo), settings, device, check)
    fitted = time.perf_counter()
    if localizer is not None and "braggnn" in settings.methods:
        minval = parameters.detect.minval if settings.patch == "thresholded" else None
        columns |= _braggnn_columns(prepared, todo, minval, localizer, check)
    columns |= _combined_columns(columns)
    done = time.perf_counter()
    full = {name: _padded(values, table[name]) for name, values in columns.items()}
    return table.with_columns(**full), Timing(0.0, (fitted - start) * 1e3, (done - fitted) * 1e3)


def _padded(values: NDArray, old: NDArray) -> NDArray:
    out = old.copy()
    out[: len(values)] = values
    return out


def _fit_columns(
    prepared: Prepared,
    table: PeakTable,
    n: int,
    settings: Localization,
    device: str,
    check: Callable[[], None],
) -> dict[str, NDArray]:
    """Columns of the first ``n`` peaks."""
    if "fit" not in settings.methods:
        status = np.full(n, Status.OK, np.uint8)
        if prepared.saturated is not None:
            status[_touches(prepared.saturated, table["row"][:n], table["col"][:n])] = Status.SATURATED
        return {"status": status}
    check()
    fits = fit_window_peaks(prepared, table["row"], table["col"], settings, device, n)
    check()
    ok = fits.status == Status.OK
    columns: dict[str, NDArray] = {
        "status": fits.status,
        "window": fits.window,
        "n_components": fits.n_components,
    }
    fitted = fits.n_components > 0
    columns["model"] = np.where(fitted, Model[settings.model.upper()], Model.NONE)
    columns["background_model"] = np.select(
        [fits.plane, fitted], [Background.PLANE, Background.CONSTANT], Background.NONE
    )
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
) -> Fits:
    """The classical fit of all peaks of one frame, or the first ``only``, with the given settings."""
    return fit_peaks(
        prepared.image,
        prepared.mask,
        rows,
        cols,
        window=settings.window,
        model=settings.model,
        noise=settings.noise,
        background=settings.background,
        saturated=prepared.saturated,
        only=only,
        device=device,
    )


def _touches(bad: NDArray[np.bool_], rows: NDArray, cols: NDArray) -> NDArray[np.bool_]:
    """(N,) bool: whether any of the 3 x 3 pixels around each peak is bad."""
    padded = np.pad(bad, 1)
    hit = np.zeros(len(rows), bool)
    for dy in range(3):
        for dx in range(3):
            hit |= padded[rows + dy, cols + dx]
    return hit


def network_patches(
    prepared: Prepared, rows: NDArray, cols: NDArray, window: int, minval: float | None
) -> NDArray[np.float32]:
    """(N, window, window) what BraggNN is given: cut, thresholded if ``minval`` is given, scaled to 0..1."""
    patches, valid = cut_patches(prepared.image, prepared.mask, rows, cols, window)
    return normalise(patches, valid, threshold=minval)


def _braggnn_columns(
    prepared: Prepared,
    table: PeakTable,
    minval: float | None,
    localizer: PatchLocalizer,
    check: Callable[[], None],
) -> dict[str, NDArray]:
    n = len(table)
    position = np.full((n, 2), np.nan)
    for start in range(0, n, CHUNK):
        check()
        part = slice(start, start + CHUNK)
        rows, cols = table["row"][part], table["col"][part]
        patches = network_patches(prepared, rows, cols, localizer.window, minval)
        corner = np.stack([cols, rows], axis=1) - localizer.window // 2
        position[part] = localizer.locate(patches) + corner
    return {"x_braggnn": position[:, 0], "y_braggnn": position[:, 1]}


def _combined_columns(columns: dict[str, NDArray]) -> dict[str, NDArray]:
    n = len(columns["status"])
    nothing = np.full(n, np.nan)
    x_fit, y_fit = columns.get("x_fit", nothing), columns.get("y_fit", nothing)
    x_net, y_net = columns.get("x_braggnn", nothing), columns.get("y_braggnn", nothing)
    fitted, answered = np.isfinite(x_fit), np.isfinite(x_net)
    return {
        "distance": np.hypot(x_fit - x_net, y_fit - y_net),
        "x": np.where(fitted, x_fit, x_net),
        "y": np.where(fitted, y_fit, y_net),
        "x_err": columns.get("x_fit_err", nothing),
        "y_err": columns.get("y_fit_err", nothing),
        "method": np.select([fitted, answered], [Source.FIT, Source.BRAGGNN], Source.NONE).astype(np.uint8),
    }

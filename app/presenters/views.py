"""From results to what widgets show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.views import LIVE_LIMIT, Measured
from braggscope.app.presenters.desk import Desk
from braggscope.app.state.session import PeakKey, Session
from braggscope.models.parameters import Localization
from braggscope.models.results import PeakTable, Status
from braggscope.widgets.marks import Marks
from braggscope.widgets.patch_view import MethodRow, PatchContent
from braggscope.widgets.threshold_panel import ThresholdPanel

if TYPE_CHECKING:
    from braggscope.app.engine.patch import PatchDetail

FARTHEST = 2**31  # px: no frame reaches so far, whatever a session file says


def marks_of(table: PeakTable, state: Session) -> Marks:
    """Marks of a frame's peaks, hand-rejected ones included."""
    fitted = np.isfinite(table["x_fit"])
    return Marks(
        x=np.where(fitted, table["x_fit"], table["col"]),
        y=np.where(fitted, table["y_fit"], table["row"]),
        score=np.where(table.detected, table["score"], table["amplitude"]),  # the size of its mark
        status=with_rejected(table, state.rejected)["status"],
        x_braggnn=table["x_braggnn"],
        y_braggnn=table["y_braggnn"],
        selected=None if state.selected is None else state.selected.index_in(table),
        labels=None,
        net=np.stack((table["x_net"], table["y_net"]), axis=1),
    )


def show_count(desk: Desk, panel: ThresholdPanel) -> None:
    """How many of the image's candidates are peaks, and whether all of them are measured."""
    found = desk.found
    if found is None or desk.table is None:
        return
    known = desk.landscape
    total = known.total if known is not None and known.key.same_image(found.key) else found.candidates
    cut = isinstance(found, Measured) and bool(np.any(found.table["status"] == Status.PENDING))
    count = int(found.table.detected.sum())
    panel.set_count(count, max(total, count), f"first {LIVE_LIMIT:,} measured" if cut else "")


def with_rejected(table: PeakTable, rejected: frozenset[PeakKey]) -> PeakTable:
    """Table in which the peaks rejected by hand have that status."""
    if not rejected or not len(table):
        return table
    known = _by_frame(rejected)
    frames, place = np.unique(table["frame"], return_inverse=True)
    row, col = table["row"], table["col"]
    high, wide = int(row.max()) + 1, int(col.max()) + 1
    codes = []  # frame, row and column as one number: all keys are sought at once
    for k, frame in enumerate(frames.tolist()):
        if frame in known:
            y, x = known[frame][(known[frame] < (high, wide)).all(axis=1)].T
            codes.append((k * high + y) * wide + x)
    if not codes:
        return table
    hit = np.isin((place * high + row) * wide + col, np.concatenate(codes))
    return table.with_columns(status=np.where(hit, np.uint8(Status.REJECTED), table["status"]))


@lru_cache(maxsize=2)
def _by_frame(rejected: frozenset[PeakKey]) -> dict[int, NDArray[np.int64]]:
    """(n, 2) row and column of the keys of each frame: once per set, and not at every frame that is shown."""
    found: dict[int, list[tuple[int, int]]] = {}
    for key in rejected:
        if 0 <= key.row < FARTHEST and 0 <= key.col < FARTHEST:
            found.setdefault(key.frame, []).append((key.row, key.col))
    return {frame: np.array(places) for frame, places in found.items()}


def patch_content(detail: PatchDetail, settings: Localization) -> PatchContent:
    """What the patch view shows of one peak."""
    row = {name: values[0] for name, values in detail.row.columns.items()}
    title = {"gaussian": "Gaussian", "pseudovoigt": "Pseudo-Voigt"}[settings.model]
    size = ""
    if np.isfinite(row["fwhm_major"]):
        size = f"{row['fwhm_major']:.2f} × {row['fwhm_minor']:.2f}"
    nan = float("nan")
    rows = []
    if "fit" in settings.methods:
        rows.append(
            MethodRow("fit", title, row["x_fit"], row["y_fit"], row["x_fit_err"], row["y_fit_err"],
                      size, row["chi2"], detail.fit_ms)
        )  # fmt: skip
    beside = detail.further
    for k in range(len(beside)):
        x, y, x_err, y_err = (float(beside[name][k]) for name in ("x", "y", "x_err", "y_err"))
        width = f"{beside['fwhm_major'][k]:.2f} × {beside['fwhm_minor'][k]:.2f}"
        rows.append(MethodRow("fit", f"{title} {k + 2}", x, y, x_err, y_err, width, beside["chi2"][k]))
    if detail.network_input is not None:
        rows.append(
            MethodRow("braggnn", "BraggNN", row["x_braggnn"], row["y_braggnn"], nan, nan, "", nan,
                      detail.braggnn_ms)
        )  # fmt: skip
    if "net" in settings.methods and np.isfinite(detail.net_ms):
        rows.append(
            MethodRow("net", "Network", row["x_net"], row["y_net"], row["x_net_err"], row["y_net_err"],
                      "", nan, detail.net_ms)
        )  # fmt: skip
    if np.isfinite(row["distance"]):
        dx, dy = row["x_fit"] - row["x_braggnn"], row["y_fit"] - row["y_braggnn"]
        rows.append(MethodRow("distance", "Distance", dx, dy, size_text=f"{row['distance']:.3f} px"))
    return PatchContent(
        peak=int(row["peak"]),
        frame=int(row["frame"]),
        origin=detail.origin,
        data=detail.data,
        valid=detail.valid,
        network_input=detail.network_input,
        model=detail.model,
        rows=tuple(rows),
        status=int(row["status"]),
        note="",
    )


def watched(
    tables: Iterable[tuple[int, PeakTable]], frames: list[int], rejected: frozenset[PeakKey], context: Context
) -> Iterator[tuple[int, PeakTable]]:
    """Tables of the given frames with hand-rejected peaks marked, reporting progress on the way."""
    wanted = set(frames)
    for done, (frame, table) in enumerate(tables):
        if done % 50 == 0:
            context.progress(min(done, len(frames)), len(frames))
        if frame in wanted:
            yield frame, with_rejected(table, rejected) if rejected else table

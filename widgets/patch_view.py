"""One peak from close by: data, network input, model and residual, and the numbers of every method."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from braggscope.models.results import Status
from braggscope.widgets import theme
from braggscope.widgets.icons import icon
from braggscope.widgets.method_grid import MethodGrid, MethodRow
from braggscope.widgets.patch_panels import Mark, Panel, PatchPanels

__all__ = ["MethodRow", "PatchContent", "PatchView", "panels_of"]

TITLES = ("data", "BraggNN", "fit", "residual")
REASONS = {
    Status.REJECTED: "Rejected by hand.",
    Status.EDGE: "Not fitted: too much of the window lies outside the frame.",
    Status.OVERLAP: "Not fitted: its neighbours in the window could not be told apart.",
    Status.MASKED: "Not fitted: bad pixels cover the core.",
    Status.SATURATED: "Not fitted: the core is saturated.",
    Status.BROAD: "Not fitted: the peak is wider than the window can hold.",
    Status.FAILED: "Not fitted: the fit did not converge within its window.",
    Status.PENDING: "Not computed yet.",
}
_NOTHING = (MethodRow("fit", "fit", math.nan, math.nan), MethodRow("braggnn", "BraggNN", math.nan, math.nan))


@dataclass(frozen=True, slots=True)
class PatchContent:
    """What is shown of one peak.

    ``origin`` (x0, y0): pixel of the frame at patch pixel (0, 0). ``data`` (S, S) counts, ``valid`` (S, S)
    True = good, ``network_input`` (S, S) min-max normalised, ``model`` (S, S) counts.
    """

    peak: int
    frame: int
    origin: tuple[float, float]
    data: NDArray
    valid: NDArray[np.bool_]
    network_input: NDArray | None
    model: NDArray | None
    rows: tuple[MethodRow, ...]
    status: int
    note: str = ""


def panels_of(content: PatchContent) -> tuple[Panel, ...]:
    """The four images; data and model on one scale, the residual symmetric about 0."""
    valid = np.asarray(content.valid, bool)
    x0, y0 = content.origin
    everything = tuple(
        Mark(row.name, row.x - x0, row.y - y0, row.x_err, row.y_err)
        for row in content.rows
        if row.name != "distance" and math.isfinite(row.x + row.y)
    )
    chosen = {name: tuple(mark for mark in everything if mark.kind == name) for name in ("fit", "braggnn")}
    good = np.asarray(content.data, np.float64)[valid & np.isfinite(content.data)]
    limits = (float(good.min()), float(good.max())) if good.size else (0.0, 1.0)
    scale = f"{_counts(limits[0])} – {_counts(limits[1])}"
    network, model = content.network_input, content.model
    left_over, spread = None, 1.0
    if model is not None:
        left_over = np.where(valid, content.data - np.asarray(model, np.float64), np.nan)
        finite = np.abs(left_over[np.isfinite(left_over)])
        spread = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    return (
        Panel(TITLES[0], content.data, valid, limits, scale, marks=everything),
        Panel(TITLES[1], network, None, (0.0, 1.0), "no input" if network is None else "0 – 1",
              marks=chosen["braggnn"]),
        Panel(TITLES[2], model, None, limits, "no fit" if model is None else scale, marks=chosen["fit"]),
        Panel(TITLES[3], left_over, valid, (-spread, spread),
              "no fit" if model is None else f"± {_counts(spread)}", diverging=True),
    )  # fmt: skip


def _counts(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:.3g}k"
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"


MIN_WIDTH = 312  # px; narrower, positions with five digits and their errors would be cut


class PatchView(QWidget):
    """Data, BraggNN's input, the fit and its residual for one peak, over an aligned grid of numbers."""

    next_requested = pyqtSignal()
    previous_requested = pyqtSignal()
    reject_toggled = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumWidth(MIN_WIDTH)
        self.caption = QLabel(self)
        self.caption.setProperty("role", "caption")
        self.previous = self._button("step_back", "Previous peak")
        self.next = self._button("step_forward", "Next peak")
        self.reject = self._button("reject", "Reject this peak, or take it back")
        self.reject.setCheckable(True)
        self.panels = PatchPanels(TITLES, "Click a peak to see it here", self)
        self.grid = MethodGrid(self)
        self.sentence = QLabel(self)
        self.sentence.setWordWrap(True)
        self._status = Status.OK
        self._blank = False
        self._arrange()
        self.previous.clicked.connect(lambda _: self.previous_requested.emit())
        self.next.clicked.connect(lambda _: self.next_requested.emit())
        self.reject.clicked.connect(self.reject_toggled)
        theme.on_change(self._restyle)
        self.set_content(None)

    def set_content(self, content: PatchContent | None) -> None:
        """Show a peak, or nothing."""
        if content is None and self._blank:
            return
        self._blank = content is None
        for button in (self.previous, self.next, self.reject):
            button.setEnabled(content is not None)
        self._status = Status.OK if content is None else Status(content.status)
        self.reject.setChecked(self._status is Status.REJECTED)
        note = "" if content is None else content.note
        self.sentence.setText(" ".join(filter(None, (REASONS.get(self._status, ""), note))))
        self.sentence.setVisible(bool(self.sentence.text()))
        self._restyle(theme.current())
        if content is None:
            self.caption.setText("NO PEAK SELECTED")
            self.panels.set_panels(())
            self.grid.set_rows(_NOTHING)
        else:
            self.caption.setText(f"PEAK {content.peak} · FRAME {content.frame}")
            self.panels.set_panels(panels_of(content))
            self.grid.set_rows(content.rows)

    def _button(self, glyph: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setIcon(icon(glyph))
        button.setAutoRaise(True)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(2)
        head.addWidget(self.caption, 1)
        for button in (self.previous, self.next, self.reject):
            head.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(head)
        column.addWidget(self.panels)
        column.addWidget(self.grid)
        column.addWidget(self.sentence)
        column.addStretch(1)

    def _restyle(self, colours: theme.Theme) -> None:
        quiet = self._status in (Status.OK, Status.PENDING, Status.REJECTED)
        sheet = f"color: {colours.muted if quiet else colours.warning}"
        if sheet != self.sentence.styleSheet():  # Qt would lay everything out again
            self.sentence.setStyleSheet(sheet)

"""The simulation bench: one drawn patch with every answer, and the errors of many draws beside the bound."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPixmap
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from braggscope.models.bench_settings import BOUND, BenchSettings, Outcome
from braggscope.widgets import theme
from braggscope.widgets.bench_controls import BenchControls
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.patch_panels import Mark, Panel, PatchPanels, mark_colour
from braggscope.widgets.plotting import log_ticks, make_plot
from braggscope.widgets.small_table import dress

HEADINGS = ("method", "median / px", "95 % / px", "Δx / px", "Δy / px", "coverage", "failed", "µs")
TIPS = (
    "", "half of the draws are nearer to the truth", "19 of 20 draws are nearer to the truth",
    "mean error along x", "mean error along y", "share of x and y within their 1 σ; 0.683 is right",
    "draws without an answer", "CPU time of one draw",
)  # fmt: skip
BELOW = "the bound is that of unbiased methods; with little signal, a network may err less"
NONE = "–"
_WHOLE, _MIDDLE = "one draw", "its middle, 3 × 3 px"
_SHARES = (0.5, 0.95)  # of the draws, where the bound has its lines
_STROKES = {BOUND: Qt.PenStyle.DashLine, "voigt": Qt.PenStyle.DotLine}  # they lie on others
_LEAST = 1e-4  # px, left end of the errors


@dataclass(frozen=True, slots=True)
class BenchPatch:
    """One draw: ``data`` (S, S) counts, ``valid`` (S, S), and the answers as marks in patch pixels."""

    data: NDArray
    valid: NDArray[np.bool_]
    marks: tuple[Mark, ...]


class BenchView(QWidget):
    """Settings on the left, patch and distribution on the right, numbers below.

    ``settings_changed(BenchSettings)``: by a gesture; ``copy_requested``: as Python. Setters never emit.
    """

    settings_changed = pyqtSignal(object)
    copy_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._outcomes: list[Outcome] = []
        self._draws = 0
        self.controls = BenchControls(self)
        self.panels = PatchPanels((_WHOLE, _MIDDLE), "drawing …", self)
        self.plot = make_plot("error / px", "share of the draws", parent=self)
        self.curves: dict[str, pg.PlotDataItem] = {}
        self.lines = [pg.InfiniteLine(angle=90, label=f"{share:.0%}") for share in _SHARES]
        self.table = QTableWidget(0, len(HEADINGS), self)
        self.progress = QProgressBar(self)
        self.note = ElidedLabel("", "muted", self)
        self.copy = QPushButton("Copy as Python", self)
        self._prepare_plot()
        self._prepare_table()
        self._arrange()
        self.controls.settings_changed.connect(self.settings_changed)
        self.copy.clicked.connect(lambda _: self.copy_requested.emit())
        theme.on_change(self._restyle)

    def minimumSizeHint(self) -> QSize:
        """Small: other pages, which share its place, must not grow with it."""
        return QSize(560, 380)

    # ---- values in ----

    def set_settings(self, settings: BenchSettings) -> None:
        """Show other settings."""
        self.controls.set_settings(settings)

    def set_patch(self, patch: BenchPatch | None) -> None:
        """Show one draw with its truth and every answer."""
        if patch is None:
            self.panels.set_panels(())
            return
        good = np.asarray(patch.data, np.float64)[patch.valid]
        limits = (float(good.min()), float(good.max())) if good.size else (0.0, 1.0)
        legend = f"{limits[0]:,.0f} – {limits[1]:,.0f} counts"
        first = patch.data.shape[0] // 2 - 1
        part = slice(first, first + 3)
        near = tuple(replace(mark, x=mark.x - first, y=mark.y - first) for mark in patch.marks)
        data, valid = patch.data[part, part], patch.valid[part, part]
        self.panels.set_panels(
            (
                Panel(_WHOLE, patch.data, patch.valid, limits, legend, marks=patch.marks),
                Panel(_MIDDLE, data, valid, limits, "× = truth", marks=near),
            )
        )

    def set_outcomes(self, outcomes: Sequence[Outcome], draws: int) -> None:
        """Show what is measured so far, the bound among it."""
        self._outcomes, self._draws = list(outcomes), draws
        self.note.setText(f"{draws:,} draws · {BELOW}" if outcomes else "")
        self._fill_table()
        self._draw_curves()

    def set_progress(self, done: int, total: int) -> None:
        """How many methods are measured; the bar goes when all are."""
        self.progress.setRange(0, max(total, 1))
        self.progress.setValue(done)
        self.progress.setVisible(done < total)

    def texts(self) -> list[list[str]]:
        """The table as it is shown."""
        items = [[self.table.item(r, c) for c in range(len(HEADINGS))] for r in range(self.table.rowCount())]
        return [["" if item is None else item.text() for item in row] for row in items]

    # ---- drawing ----

    def _fill_table(self) -> None:
        self.table.setRowCount(len(self._outcomes))
        for row, outcome in enumerate(self._outcomes):
            for column, text in enumerate(_cells(outcome)):
                item = QTableWidgetItem(text)
                side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
                item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
                if column == 0:
                    item.setData(Qt.ItemDataRole.DecorationRole, _swatch(_ink(outcome.key)))
                self.table.setItem(row, column, item)

    def _draw_curves(self) -> None:
        for curve in self.curves.values():
            curve.setData([], [])
        highest = _LEAST
        for outcome in self._outcomes:
            n = len(outcome.errors)
            known = outcome.errors[np.isfinite(outcome.errors)]
            if not len(known):
                continue
            share = np.arange(1, len(known) + 1) / n
            if outcome.key not in self.curves:
                self.curves[outcome.key] = self.plot.plot(antialias=True)
            curve = self.curves[outcome.key]
            curve.setData(np.log10(np.maximum(known, _LEAST)), share)
            style = _STROKES.get(outcome.key, Qt.PenStyle.SolidLine)
            curve.setPen(pg.mkPen(_ink(outcome.key), width=2, style=style))
            highest = max(highest, float(known[min(int(0.99 * len(known)), len(known) - 1)]))
        bound = next((o for o in self._outcomes if o.key == BOUND), None)
        for line, part in zip(self.lines, _SHARES, strict=True):
            value = math.inf if bound is None else bound.quantile(part)
            line.setVisible(math.isfinite(value))
            if math.isfinite(value):
                line.setValue(math.log10(max(value, _LEAST)))
        if bound is not None and math.isfinite(bound.quantile(0.05)):
            low = math.log10(max(bound.quantile(0.05), _LEAST)) - 0.2
            self.plot.setXRange(low, max(math.log10(highest), low + 1.0) + 0.1, padding=0)

    def _prepare_plot(self) -> None:
        item = self.plot.getPlotItem()
        log_ticks(item.getAxis("bottom"))
        item.getViewBox().disableAutoRange()
        self.plot.setYRange(0.0, 1.02, padding=0)
        self.plot.setXRange(-3.0, 0.5, padding=0)
        for line in self.lines:
            line.setVisible(False)
            line.label.setPosition(0.04)
            self.plot.addItem(line, ignoreBounds=True)

    def _prepare_table(self) -> None:
        table = self.table
        dress(table, HEADINGS, TIPS)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        columns = table.horizontalHeader()
        if columns is not None:
            columns.setMinimumSectionSize(40)
            columns.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
            columns.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        table.setFixedHeight(34 + 24 * 6)

    def _arrange(self) -> None:
        settings = QScrollArea(self)
        settings.setWidgetResizable(True)
        settings.setFrameShape(QFrame.Shape.NoFrame)
        settings.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        settings.setWidget(self.controls)
        settings.setFixedWidth(404)
        self.panels.setFixedWidth(360)
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(self.panels, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self.plot, 1)
        foot = QHBoxLayout()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(160)
        foot.addWidget(self.note)
        foot.addWidget(self.progress)
        foot.addStretch(1)
        foot.addWidget(self.copy)
        right = QVBoxLayout()
        right.setContentsMargins(4, 10, 12, 10)
        right.setSpacing(8)
        right.addLayout(top, 1)
        right.addWidget(self.table)
        right.addLayout(foot)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(settings)
        row.addLayout(right, 1)

    def _restyle(self, colours: theme.Theme) -> None:
        for line in self.lines:
            line.setPen(pg.mkPen(colours.muted, width=1, style=Qt.PenStyle.DotLine))
            line.label.setColor(QColor(colours.muted))
        self.set_outcomes(self._outcomes, self._draws)


def _ink(key: str) -> QColor:
    return mark_colour(key, theme.current())


def _cells(outcome: Outcome) -> tuple[str, ...]:
    median, p95 = (outcome.quantile(share) for share in _SHARES)
    bound = outcome.key == BOUND
    return (
        outcome.name,
        _number(median, ".4f"),
        _number(p95, ".4f"),
        "" if bound else _number(outcome.bias[0], "+.4f"),
        "" if bound else _number(outcome.bias[1], "+.4f"),
        _number(outcome.coverage, ".3f"),
        "" if bound else f"{outcome.failed:,}",
        "" if bound else _number(outcome.us, ".0f"),
    )


def _number(value: float, form: str) -> str:
    return format(value, form).replace("-", "−") if math.isfinite(value) else NONE


def _swatch(colour: QColor) -> QPixmap:
    pixmap = QPixmap(10, 10)
    pixmap.fill(colour)
    return pixmap

"""The numbers of several methods under each other, digits aligned."""

import math
from dataclasses import dataclass

from PyQt6.QtCore import QPointF, QSize, Qt
from PyQt6.QtGui import QFont, QPainter, QPixmap, QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QLabel, QWidget

from braggscope.widgets import theme
from braggscope.widgets.patch_panels import paint_mark

HEADINGS = ("", "x / px", "y / px", "FWHM", "χ²", "ms")
_EXPENDABLE = (5, 4)  # columns given up where the width is short, in this order
NONE = "–"
_MARK = 14  # px, side of the mark before a method's name


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One line of numbers. ``name``: ``fit``, ``braggnn``, ``net`` (these are marked) or ``distance``.

    ``x y`` px of the whole frame with 1 sigma errors; for ``distance`` the signed differences in px.
    NaN where there is no number. ``ms``: time per peak.
    """

    name: str
    label: str
    x: float
    y: float
    x_err: float = math.nan
    y_err: float = math.nan
    size_text: str = ""
    chi2: float = math.nan
    ms: float = math.nan


def concise(value: float, error: float = math.nan, decimals: int = 3) -> str:
    """A number with its 1 sigma uncertainty in the last digits: 143.214(8), 9.31(12), 120(30)."""
    if not math.isfinite(value):
        return NONE
    if not (math.isfinite(error) and error > 0):
        return f"{value:.{decimals}f}"
    mantissa, exponent = f"{error:.0e}".split("e")
    power = int(exponent) - (mantissa == "1")  # a leading 1 keeps a second digit
    places = max(-power, 0)
    digits = round(error / 10.0**power) * (1 if power <= 0 else 10**power)
    shown = round(value, -power) if power > 0 else value
    return f"{shown:.{places}f}({digits:.0f})"


def cells(row: MethodRow) -> tuple[str, ...]:
    """The texts of one line, in the order of HEADINGS."""
    if row.name == "distance":
        signed = [f"{v:+.3f}".replace("-", "−") if math.isfinite(v) else NONE for v in (row.x, row.y)]
        return (row.label, *signed, row.size_text, "", "")
    numbers = [f"{v:.2f}" if math.isfinite(v) else "" for v in (row.chi2, row.ms)]
    return (row.label, concise(row.x, row.x_err), concise(row.y, row.y_err), row.size_text, *numbers)


class MethodGrid(QWidget):
    """A grid of labels: one line per :class:`MethodRow`, numbers to the right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: tuple[MethodRow, ...] = ()
        self._headings: list[QLabel] = []
        self._marks: list[QLabel] = []
        self._lines: list[list[QLabel]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(0)
        self._grid.setSizeConstraint(QGridLayout.SizeConstraint.SetNoConstraint)
        self._grid.setVerticalSpacing(3)
        for k, heading in enumerate(HEADINGS):
            self._headings.append(self._label(k, "muted", heading))
            self._grid.addWidget(self._headings[k], 0, k + 1)
            self._grid.setColumnStretch(k + 1, 0 if k == 0 else 1)
        theme.on_change(self._paint_marks)

    def set_rows(self, rows: tuple[MethodRow, ...]) -> None:
        """Show these lines."""
        while len(self._lines) < len(rows):
            self._add_line()
        names_changed = [row.name for row in rows] != [row.name for row in self._rows]
        self._rows = rows
        for k, line in enumerate(self._lines):
            texts = cells(rows[k]) if k < len(rows) else ("",) * len(HEADINGS)
            for label, text in zip(line, texts, strict=True):
                label.setText(text)
            self._marks[k].setVisible(k < len(rows))
        self._fit_width()
        if names_changed:
            self._paint_marks(theme.current())

    def minimumSizeHint(self) -> QSize:
        """Narrow: columns are given up rather than clipped."""
        return QSize(200, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Give up columns, or take them back."""
        self._fit_width()

    def _fit_width(self) -> None:
        columns = [[heading, *(line[k] for line in self._lines)] for k, heading in enumerate(self._headings)]
        widths = [max(label.sizeHint().width() for label in column) for column in columns]
        hidden: set[int] = set()
        for k in _EXPENDABLE:
            if _MARK + 4 + sum(w for c, w in enumerate(widths) if c not in hidden) > self.width():
                hidden.add(k)
        for k, column in enumerate(columns):
            for row, label in enumerate(column):
                label.setVisible(k not in hidden and row <= len(self._rows))

    def texts(self) -> list[list[str]]:
        """What is shown, line by line."""
        return [[label.text() for label in line] for line in self._lines[: len(self._rows)]]

    def _add_line(self) -> None:
        at = len(self._lines) + 1
        mark = QLabel(self)
        mark.setFixedSize(_MARK + 4, _MARK)
        self._grid.addWidget(mark, at, 0)
        line = [self._label(k, "muted" if k == 0 else "value", "") for k in range(len(HEADINGS))]
        for k, label in enumerate(line):
            self._grid.addWidget(label, at, k + 1)
        self._marks.append(mark)
        self._lines.append(line)

    def _label(self, column: int, role: str, text: str) -> QLabel:
        label = QLabel(text, self)
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() - 1.0)
        label.setFont(font)
        label.setProperty("role", role)
        side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
        label.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        label.setContentsMargins(0 if column == 0 else 8, 0, 0, 0)
        if role == "value":
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    def _paint_marks(self, colours: theme.Theme) -> None:
        for row, label in zip(self._rows, self._marks, strict=False):
            if row.name not in ("fit", "braggnn", "net"):
                label.clear()
                continue
            ratio = self.devicePixelRatioF()
            pixmap = QPixmap(round(_MARK * ratio), round(_MARK * ratio))
            pixmap.setDevicePixelRatio(ratio)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint_mark(
                painter,
                row.name,
                QPointF(_MARK / 2, _MARK / 2),
                5.0 if row.name == "net" else 3.0 if row.name == "fit" else 6.5,
                False,
            )
            painter.end()
            label.setPixmap(pixmap)

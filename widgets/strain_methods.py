"""The methods that measure disks: their names, colours and lines, the same in every widget."""

from collections.abc import Mapping
from typing import NamedTuple

from PyQt6.QtCore import QPointF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from braggscope.widgets import theme


class MethodStyle(NamedTuple):
    """``role``: colour of the theme; ``line``: so that they differ without colours, too.

    ``advice``: when to take another one.
    """

    title: str
    role: str
    line: Qt.PenStyle
    tip: str
    advice: str


METHODS: Mapping[str, MethodStyle] = {
    "network": MethodStyle("Network", "fit", Qt.PenStyle.SolidLine,
                           "A network finds the disks; best where they are not evenly bright",
                           "The first choice: needs no lattice. Where one runs through the whole scan, the"
                           " lattice fit is more exact; Refine, beside the maps, adds it."),
    "correlation": MethodStyle("Correlation", "braggnn", Qt.PenStyle.DashLine,
                               "Correlation with the probe; fast, best for even disks",
                               "The fastest, and exact while disks are evenly bright inside; not for thick"
                               " crystals."),
    "lattice": MethodStyle("Lattice fit", "net", Qt.PenStyle.DotLine,
                           "One lattice is fitted to all disks at once; precise, needs a regular lattice",
                           "The most exact, fast as the network; for scans through which one lattice runs."),
}  # fmt: skip


class Swatch(QWidget):
    """The line of a method."""

    def __init__(self, method: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._style = METHODS[method]
        self.setFixedSize(20, 14)
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: one short line."""
        return self.size()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: a piece of the line that goes around the disks."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(getattr(theme.current(), self._style.role)), 2, self._style.line))
        painter.drawLine(QPointF(1, 7), QPointF(19, 7))

    def _recolour(self, _: theme.Theme) -> None:
        self.update()

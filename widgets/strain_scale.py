"""The colour bar of maps of one scale, with what its ends mean."""

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.widgets import theme
from braggscope.widgets.levels_track import colours_of
from braggscope.widgets.plotting import tick_font

WIDE = 12  # px of the bar itself


class ColourBar(QWidget):
    """Upright; the largest value is at the top."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.low, self.high, self.unit = 0.0, 1.0, ""
        self._colormap = "gray"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setFixedWidth(WIDE + self.fontMetrics().horizontalAdvance("−0.00"))
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: as high as the map beside it."""
        return QSize(self.width(), 100)

    def set_scale(self, low: float, high: float, colormap: str, unit: str) -> None:
        """Show the range of a colour map; ``unit`` is written over the bar."""
        self.low, self.high, self.unit, self._colormap = low, high, unit, colormap
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: bar, ends, middle, unit."""
        painter, font, colours = QPainter(self), tick_font(), theme.current()
        painter.setFont(font)
        line = painter.fontMetrics().height()
        bar = QRectF(1, line + 4, WIDE - 2, max(self.height() - 2 * line - 4, 10))
        lut = colours_of(self._colormap)[::-1].copy()
        image = QImage(lut.tobytes(), 1, 256, 4, QImage.Format.Format_RGB32)
        painter.drawImage(bar, image)
        painter.setPen(QPen(QColor(colours.line)))
        painter.drawRect(bar)
        painter.setPen(QColor(colours.muted))
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, 0, self.width(), line), int(left), self.unit)
        middle = (self.low + self.high) / 2
        for value, y in (
            (self.high, bar.top() + 4),
            (middle, bar.center().y()),
            (self.low, bar.bottom() - 4),
        ):
            text = signed(value)
            room = QRectF(WIDE + 3, y - line / 2, self.width() - WIDE - 3, line)
            painter.drawText(room, int(left), text)

    def _recolour(self, _: theme.Theme) -> None:
        self.update()


def signed(value: float) -> str:
    """Short number with a true minus: ``−3``, ``0``, ``0.05``."""
    text = f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"
    return text.replace("-", "−") if float(text) else "0"

"""What the colours of a slice mean."""

import math

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.models.cdi.layers import Layer
from braggscope.widgets import theme
from braggscope.widgets.levels_track import colours_of
from braggscope.widgets.plotting import tick_font

_TEXT = 52  # px for a number at either end


class SliceScale(QWidget):
    """A bar of colours with its ends."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer: Layer | None = None
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: one line."""
        return QSize(230, 20)

    def set_layer(self, layer: Layer | None) -> None:
        """Show the scale of a layer."""
        self._layer = layer
        self.setToolTip("" if layer is None else f"{layer.quantity} {layer.unit}".strip())
        self.update()

    def ends(self) -> tuple[str, str]:
        """The texts at both ends."""
        layer = self._layer
        if layer is None:
            return "", ""
        if layer.quantity == "data":
            return number_text(10**layer.low), number_text(10**layer.high)
        if layer.quantity == "phase":
            return "−π", "π rad"
        high = number_text(layer.high)
        return number_text(layer.low), f"{high} {layer.unit}".rstrip()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: bar and ends."""
        if self._layer is None:
            return
        painter, colours = QPainter(self), theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar = QRectF(_TEXT, 6, self.width() - 2 * _TEXT, 8)
        gradient = QLinearGradient(bar.left(), 0, bar.right(), 0)
        lut = colours_of(self._layer.colormap)
        for k in range(0, 256, 15):
            gradient.setColorAt(k / 255, QColor.fromRgb(int(lut[k])))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(gradient)
        painter.drawRoundedRect(bar, 2, 2)
        painter.setFont(tick_font())
        painter.setPen(QColor(colours.muted))
        low, high = self.ends()
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, 0, _TEXT - 5, 20), middle | Qt.AlignmentFlag.AlignRight, low)
        painter.drawText(QRectF(self.width() - _TEXT + 5, 0, _TEXT - 5, 20), middle, high)

    def _recolour(self, _: theme.Theme) -> None:
        self.update()


def number_text(value: float) -> str:
    """Three digits: ``0.5``, ``1e6``, ``−2.1e-4``."""
    if value == 0:
        return "0"
    if not 1e-2 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.1e}".split("e")
        digits = mantissa.removesuffix(".0")
        return f"{digits}e{int(exponent)}".replace("-", "−")
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return (
        f"{value:.{min(places, 3)}f}".rstrip("0").rstrip(".").replace("-", "−")
        if places
        else f"{value:,.0f}".replace("-", "−")
    )

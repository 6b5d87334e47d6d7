"""One spot through time: its patches in a row, and its profile against frame."""

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent

from braggscope.widgets import theme
from braggscope.widgets.patch_panels import Panel, to_image
from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.plotting import make_plot

Floats = NDArray[np.float64]
EMPTY = "Select a track to see its spot through time."
CELL = 64  # px, side of a patch in the row of patches
BAND_PX = 5.0  # half the width of the band of which the profile is taken
_GAP = 4


@dataclass(frozen=True, slots=True)
class WaterfallContent:
    """A spot: ``frames`` (n,), ``patches`` (n, S, S) counts, NaN where bad, all of one place of the frame.

    ``corner`` (x, y) px: centre of the first pixel; ``pixel`` px: side of a pixel. ``track`` (m, 3): frame,
    x, y of the smoothed track.
    """

    name: str
    colour: str
    frames: NDArray[np.int64]
    patches: NDArray[np.float32]
    corner: tuple[float, float]
    pixel: int
    track: Floats


class FilmStrip(QWidget):
    """Patches of equally spaced frames; a click goes to the frame."""

    frame_clicked = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._content: WaterfallContent | None = None
        self._limits = (0.0, 1.0)
        self._frame = -1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.on_change(self._recolour)

    def _recolour(self, _: theme.Theme) -> None:
        self.update()

    def sizeHint(self) -> QSize:
        """One row of patches."""
        return QSize(6 * (CELL + _GAP), CELL + self.fontMetrics().height() + 4)

    def minimumSizeHint(self) -> QSize:
        """One patch."""
        return QSize(CELL, self.sizeHint().height())

    def set_content(self, content: WaterfallContent | None, limits: tuple[float, float]) -> None:
        """Show another spot."""
        self._content, self._limits = content, limits
        self.update()

    def set_frame(self, frame: int) -> None:
        """Frame on screen."""
        self._frame = frame
        self.update()

    def shown(self) -> list[int]:
        """Positions in the content of the patches that fit in."""
        if self._content is None or not len(self._content.frames):
            return []
        room = max(1, (self.width() + _GAP) // (CELL + _GAP))
        count = min(room, len(self._content.frames))
        return np.unique(np.linspace(0, len(self._content.frames) - 1, count).round().astype(int)).tolist()

    def _cells(self) -> list[tuple[int, QRectF]]:
        which = self.shown()
        pitch = self.width() / max(len(which), 1)
        pitch = min(pitch, 1.5 * (CELL + _GAP))
        return [(k, QRectF(i * pitch, 0.0, CELL, CELL)) for i, k in enumerate(which)]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Patches with their frames below."""
        content = self._content
        if content is None:
            return
        painter, colours = QPainter(self), theme.current()
        cells = self._cells()
        nearest = min(cells, key=lambda cell: abs(content.frames[cell[0]] - self._frame), default=None)
        for k, box in cells:
            image = to_image(Panel("", content.patches[k], None, self._limits, ""))
            painter.drawImage(box, image)
            current = nearest is not None and nearest[0] == k
            painter.setPen(QPen(QColor(colours.accent if current else colours.line), 2.0 if current else 1.0))
            painter.drawRect(box)
            painter.setPen(QColor(colours.text if current else colours.muted))
            text = QRectF(box.left() - _GAP, CELL + 1, CELL + 2 * _GAP, self.fontMetrics().height() + 2)
            painter.drawText(text, Qt.AlignmentFlag.AlignHCenter, str(int(content.frames[k])))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to a frame."""
        if event is None or self._content is None or event.button() != Qt.MouseButton.LeftButton:
            return
        for k, box in self._cells():
            if box.contains(event.position()):
                self.frame_clicked.emit(int(self._content.frames[k]))


class WaterfallView(QWidget):
    """The row of patches over the profile (largest value across) of the spot against frame.

    ``frame_clicked(int)``: a click on either. Setters never emit.
    """

    frame_clicked = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._content: WaterfallContent | None = None
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self.title = QLabel(self)
        self.title.setProperty("role", "muted")
        self.along = QComboBox(self)
        self.along.addItem("along x", 0)
        self.along.addItem("along y", 1)
        self.along.setToolTip("Direction of the profile; across it the largest value near the spot is taken")
        self.film = FilmStrip(self)
        self.plot = make_plot("frame", "x / px", parent=self)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.way = pg.PlotCurveItem(connect="finite", antialias=True)
        self.cursor_line = pg.InfiniteLine(angle=90)
        self.plot.addItem(self.image)
        self.plot.addItem(self.way)
        self.plot.addItem(self.cursor_line, ignoreBounds=True)
        self.hint = PlotHint(EMPTY, self.plot)
        self._arrange()
        self.plot.recoloured(self._restyle)
        self.along.activated.connect(lambda _: self._show_profile())
        self.film.frame_clicked.connect(self.frame_clicked)
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self.set_content(None)

    def set_content(self, content: WaterfallContent | None) -> None:
        """Show a spot, or the hint."""
        self._content = content
        limits = (0.0, 1.0)
        if content is not None and np.isfinite(content.patches).any():
            low, high = np.nanpercentile(content.patches, [5.0, 99.8])
            limits = (float(low), max(float(high), float(low) + 1e-6))
        self._limits = limits
        self.title.setText("" if content is None else f"Track {content.name}")
        self.film.set_content(content, limits)
        self.film.setVisible(content is not None)
        self.hint.cover(content is None or not len(content.frames))
        self._show_profile()

    def set_hint(self, text: str) -> None:
        """What to say while there is no spot."""
        self.hint.setText(text or EMPTY)

    def set_frame(self, frame: int) -> None:
        """Mark the frame on screen."""
        self.cursor_line.setValue(frame)
        self.film.set_frame(frame)

    def _show_profile(self) -> None:
        content = self._content
        if content is None or not len(content.frames):
            self.image.clear()
            self.way.setData([], [])
            return
        axis = int(self.along.currentData())
        floor = np.float32(self._limits[0])
        profile = self._profile(content, axis, floor)
        frames = content.frames
        first, last = int(frames[0]), int(frames[-1])
        every = np.arange(first, last + 1)
        nearest = np.abs(frames[None, :] - np.linspace(first, last, min(len(every), 4096))[:, None]).argmin(
            axis=1
        )
        self.image.setImage(np.sqrt(np.maximum(profile[nearest] - floor, 0)).T, autoLevels=True)
        size, corner = content.patches.shape[1] * content.pixel, content.corner[axis] - content.pixel / 2
        self.image.setRect(QRectF(first - 0.5, corner, last - first + 1, size))
        self.way.setData(content.track[:, 0], content.track[:, 1 + axis])
        self.way.setPen(pg.mkPen(content.colour, width=1.5))
        self.plot.setLabel("left", "y / px" if axis else "x / px")
        self.plot.getPlotItem().getViewBox().invertY(bool(axis))

    def _profile(self, content: WaterfallContent, axis: int, floor: np.float32) -> NDArray[np.float32]:
        """(n, S) largest value across a band that follows the spot, so that its neighbours stay out."""
        size, other = content.patches.shape[1], 1 - axis
        middle = np.interp(content.frames, content.track[:, 0], content.track[:, 1 + other])
        place = (middle - content.corner[other]) / content.pixel
        inside = np.abs(np.arange(size)[None, :] - place[:, None]) <= max(BAND_PX / content.pixel, 1.0)
        band = inside[:, :, None] if axis == 0 else inside[:, None, :]
        known = np.isfinite(content.patches) & band
        return np.where(known, content.patches, floor).max(axis=1 + axis)

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(8, 4, 8, 0)
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.along)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(head)
        column.addWidget(self.film)
        column.addWidget(self.plot, 1)

    def _restyle(self, colours: theme.Theme) -> None:
        self.cursor_line.setPen(pg.mkPen(colours.accent, width=1))
        self.image.setColorMap(pg.colormap.get("inferno"))

    def _on_click(self, event: MouseClickEvent) -> None:
        box = self.plot.getPlotItem().getViewBox()
        inside = box.sceneBoundingRect().contains(event.scenePos())
        if event.button() == Qt.MouseButton.LeftButton and inside and self._content is not None:
            self._go_to(box.mapSceneToView(event.scenePos()))

    def _go_to(self, at: QPointF) -> None:
        content = self._content
        if content is not None and len(content.frames):
            frame = int(np.clip(round(at.x()), content.frames[0], content.frames[-1]))
            self.frame_clicked.emit(frame)

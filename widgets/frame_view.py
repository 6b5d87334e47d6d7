"""The frame with its overlays, or what to do while there is none."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from braggscope.models.regions import Region
from braggscope.widgets import icons, theme
from braggscope.widgets.frame_canvas import FrameCanvas
from braggscope.widgets.frame_overlay import LAYERS, Curve, LegendRow, Paintable, mask_image
from braggscope.widgets.frame_tools import ToolName
from braggscope.widgets.marks import Marks
from braggscope.widgets.orientation import Orientation

WELCOME = "Nothing open yet"
ADVICE = (
    "Drop a series here: HDF5 or NeXus, a TIFF stack, a folder of images, npy.\n"
    "Or look around in the demo series first."
)


class EmptyState(QWidget):
    """Says what to do next."""

    open_requested = pyqtSignal()
    demo_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.detail, self._picture = QLabel(), QLabel(), QLabel()
        self.title.setProperty("role", "title")
        self.detail.setProperty("role", "muted")
        self.detail.setWordWrap(True)
        for label in (self._picture, self.title, self.detail):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.open_button = QPushButton(icons.icon("open", "on_accent"), "Open…")
        self.open_button.setProperty("role", "primary")
        self.demo_button = QPushButton(icons.icon("demo"), "Open demo")
        self.open_button.clicked.connect(self.open_requested)
        self.demo_button.clicked.connect(self.demo_requested)
        buttons = QHBoxLayout()
        buttons.setSpacing(10)
        buttons.addStretch()
        for button in (self.open_button, self.demo_button):
            button.setIconSize(QSize(18, 18))
            buttons.addWidget(button)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.addStretch(2)
        layout.addWidget(self._picture)
        layout.addSpacing(10)
        layout.addWidget(self.title)
        layout.addSpacing(4)
        layout.addWidget(self.detail)
        layout.addSpacing(16)
        layout.addLayout(buttons)
        layout.addStretch(3)
        theme.on_change(self._recolour)

    def _recolour(self, _: theme.Theme) -> None:
        self._picture.setPixmap(icons.icon("target", "muted").pixmap(QSize(72, 72), 2.0))


class FrameView(QWidget):
    """Image, marks, mask, regions, rings and trails; every position is in raw pixel coordinates.

    ``hovered``: (x, y) or None. ``region_drawn``: a Region. ``line_drawn``: x0, y0, x1, y1.
    ``context_requested``: global QPoint. ``tool_dismissed``: Escape with nothing half drawn.
    ``step_changed``: whole image pixels per screen pixel, so that the renderer can max-pool; also sent
    when a resize or a frame of another shape changes it. Other signals come from gestures only.
    """

    hovered = pyqtSignal(object)
    clicked = pyqtSignal(float, float)
    double_clicked = pyqtSignal(float, float)
    region_drawn = pyqtSignal(object)
    line_drawn = pyqtSignal(float, float, float, float)
    step_changed = pyqtSignal(int)
    tool_dismissed = pyqtSignal()
    open_requested = pyqtSignal()
    demo_requested = pyqtSignal()
    context_requested = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = FrameCanvas(self)
        self.empty = EmptyState(self)
        self._mask: NDArray[np.uint32] | None = None  # the overlay's image only borrows it
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.canvas)
        for name in ("hovered", "clicked", "double_clicked", "step_changed", "tool_dismissed"):
            getattr(self.canvas, name).connect(getattr(self, name))
        self.canvas.context_requested.connect(self.context_requested)
        self.canvas.drawn_shape.connect(self._shape_drawn)
        self.empty.open_requested.connect(self.open_requested)
        self.empty.demo_requested.connect(self.demo_requested)
        self.clear()

    # ---- the frame ----

    def set_frame(self, rgb: NDArray[np.uint32], shape: tuple[int, int]) -> None:
        """Show (h, w) uint32 0xFFRRGGBB pixels of a frame of ``shape`` (H, W), pooled or not."""
        if rgb.ndim != 2 or not rgb.size:
            raise ValueError(f"a frame to show is a non-empty (h, w) array, got shape {rgb.shape}")
        self._stack.setCurrentWidget(self.canvas)
        self.canvas.set_pixels(rgb, (int(shape[0]), int(shape[1])))

    def clear(self, message: str = "", detail: str = "") -> None:
        """Show no frame but a sentence, what to do next, and the buttons to do it."""
        self.set_marks(None)
        self.set_mask(None)
        self.empty.title.setText(message or WELCOME)
        self.empty.detail.setText(detail or ADVICE)
        self._stack.setCurrentWidget(self.empty)

    @property
    def step(self) -> int:
        """Whole image pixels per screen pixel, at least 1."""
        return self.canvas.step

    @property
    def drawn(self) -> int:
        """How many marks are drawn; fewer than given if there are more than MAX_MARKS."""
        return self.canvas.drawn

    # ---- overlays ----

    def set_marks(self, marks: Marks | None) -> None:
        """Mark peaks."""
        self.canvas.set_marks(marks)

    def set_mask(self, pixels: NDArray[np.uint32] | None) -> None:
        """Lay (H, W) uint32 premultiplied 0xAARRGGBB pixels over the frame: a tint where pixels are bad."""
        if pixels is not self._mask:
            kept = None if pixels is None else np.ascontiguousarray(pixels, dtype=np.uint32)
            self.canvas.overlays.mask = None if kept is None else mask_image(kept)
            self._mask = kept
            self.canvas.update()

    def set_regions(self, regions: Sequence[Region], masked: Sequence[Region]) -> None:
        """Outline regions of interest, and shapes masked by hand."""
        self.canvas.overlays.regions, self.canvas.overlays.masked = tuple(regions), tuple(masked)
        self.canvas.update()

    def set_rings(self, rings: Sequence[tuple[str, Curve]]) -> None:
        """Draw labelled curves of (N, 2) points; a NaN row breaks a curve."""
        self.canvas.overlays.rings = tuple(rings)
        self.canvas.update()

    def set_trails(self, trails: Sequence[Curve]) -> None:
        """Draw the paths (N, 2) of spots through the series."""
        self.canvas.overlays.trails = tuple(trails)
        self.canvas.update()

    def set_missed(self, points: Curve) -> None:
        """Cross the positions (N, 2) of peaks that another list holds and ours does not."""
        self.canvas.overlays.missed = points
        self.canvas.update()

    def set_disks(self, disks: Paintable | None) -> None:
        """Draw disks, detector and lattice of the Strain workspace."""
        self.canvas.overlays.disks = disks
        self.canvas.update()

    def set_layer_visible(self, layer: str, visible: bool) -> None:
        """Show or hide one of LAYERS."""
        if layer not in LAYERS:
            raise ValueError(f"no layer is called {layer!r}")
        self.canvas.overlays.visible[layer] = visible
        self.canvas.update()

    def hold_overlays(self, held: bool) -> None:
        """Hide all overlays as long as a key is held."""
        self.canvas.overlays.held = held
        self.canvas.update()

    def set_legend(self, rows: Sequence[LegendRow]) -> None:
        """Explain symbols: (plus | circle | square | hatch | line, colour role or hex, text)."""
        self.canvas.legend = tuple(rows)
        self.canvas.update()

    def set_title(self, title: str) -> None:
        """One short line over the frame."""
        self.canvas.title = title
        self.canvas.update()

    # ---- the view ----

    def set_orientation(self, orientation: Orientation) -> None:
        """Turn the display; positions stay raw."""
        view = self.canvas.viewport
        if orientation != view.orientation:
            view.orientation = orientation
            view.fit()
            self.canvas.view_moved()

    def set_tool(self, name: ToolName | None) -> None:
        """Draw with ``rectangle``, ``ellipse``, ``polygon`` or ``line``; None selects and pans again."""
        self.canvas.set_tool(name)

    def zoom_to_fit(self) -> None:
        """Show the whole frame, also after a resize."""
        self.canvas.viewport.fit()
        self.canvas.view_moved()

    def zoom_one_to_one(self) -> None:
        """One image pixel per pixel of the screen."""
        self.canvas.viewport.set_scale(1.0 / self.canvas.devicePixelRatioF())
        self.canvas.view_moved()

    def zoom_by(self, factor: float) -> None:
        """Zoom about the middle."""
        self.canvas.viewport.set_scale(self.canvas.viewport.scale * factor)
        self.canvas.view_moved()

    def centre_on(self, x: float, y: float) -> None:
        """Bring a raw position to the middle of a magnified view; a fitted frame stays as it is."""
        if not self.canvas.viewport.fitted:
            self.canvas.viewport.centre_on(QPointF(x, y))
            self.canvas.view_moved()

    def _shape_drawn(self, shape: object) -> None:
        if isinstance(shape, Region):
            self.region_drawn.emit(shape)
        elif isinstance(shape, tuple):
            self.line_drawn.emit(*shape)

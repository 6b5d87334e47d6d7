"""The page of the Coherent workspace: slices of data and of the crystal, and its surface."""

from typing import Literal

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QSlider,
    QSpinBox,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from braggscope.models.cdi.layers import Quantity
from braggscope.models.cdi.scene import Clip
from braggscope.widgets import icons
from braggscope.widgets.frame_view import EmptyState
from braggscope.widgets.prepare_fields import Segmented, small_button
from braggscope.widgets.slices_view import SlicesView
from braggscope.widgets.surface_view import SurfaceView

Show = Literal["data", "object", "both"]
WELCOME = "No crystal yet"
ADVICE = (
    "Drop the rocking curve of one Bragg peak here: a folder of TIFFs, HDF5, NeXus, CXI, npy or npz.\n"
    "Or look at a simulated gold crystal first."
)
QUANTITIES: tuple[tuple[Quantity, str], ...] = (
    ("modulus", "Amplitude"),
    ("phase", "Phase"),
    ("displacement", "Displacement"),
    ("strain", "Strain"),
)
FRAMES = {"measured": "As measured", "laboratory": "Laboratory", "crystal": "Crystal"}


class CoherentView(QWidget):
    """Values in, gestures out.

    ``show_changed``: data, object or both. ``quantity_changed``, ``frame_changed``: of the crystal.
    ``brush_changed``: radius (0 = none), erase. ``clip_changed``: a Clip or None. ``picture_requested``,
    ``movie_requested``: of the surface.
    """

    show_changed = pyqtSignal(str)
    quantity_changed = pyqtSignal(str)
    frame_changed = pyqtSignal(str)
    clip_changed = pyqtSignal(object)
    picture_requested = pyqtSignal()
    movie_requested = pyqtSignal()
    open_requested = pyqtSignal()
    demo_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.show_mode: Show = "data"
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # before its buttons, when focus has to go somewhere
        self.empty = EmptyState(self)
        self.empty.demo_button.setText("Open demo crystal")
        self.empty.open_requested.connect(self.open_requested)
        self.empty.demo_requested.connect(self.demo_requested)
        self.data, self.object = SlicesView(self), SlicesView(self)
        self.surface = SurfaceView(self)
        self._surface_bar = self._make_surface_bar()
        self.corner = QWidget(self)
        corner = QVBoxLayout(self.corner)
        corner.setContentsMargins(0, 0, 0, 0)
        corner.setSpacing(0)
        corner.addWidget(self.surface, 1)
        corner.addWidget(self._surface_bar)
        self._top = self._make_top()
        body = QWidget(self)
        self._body = QVBoxLayout(body)
        self._body.setContentsMargins(0, 0, 0, 0)
        self._body.setSpacing(2)
        self._body.addWidget(self.data, 1)
        self._body.addWidget(self.object, 1)
        work = QWidget(self)
        column = QVBoxLayout(work)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._top)
        column.addWidget(body, 1)
        self._work = work
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.empty)
        self._stack.addWidget(work)
        self.set_empty()
        self.set_show("data")
        self.set_quantities(("modulus", "phase"), "phase")
        self.set_frames(("measured",), "measured")
        self.set_object_known(False)

    def minimumSizeHint(self) -> QSize:
        """Small: other pages, which share its place, must not grow with it."""
        return QSize(420, 300)

    # ---- building ----

    def _make_top(self) -> QWidget:
        bar = QWidget(self)
        row = QHBoxLayout(bar)
        row.setContentsMargins(8, 6, 8, 2)
        row.setSpacing(8)
        self.shown = Segmented((("data", "Data"), ("object", "Crystal"), ("both", "Both")), "Show", bar)
        self.shown.chosen.connect(lambda value: self.show_changed.emit(str(value)))
        self.quantity = QComboBox(bar)
        self.quantity.setAccessibleName("Quantity")
        self.quantity.setMinimumWidth(136)  # of the longest
        self.quantity.setToolTip("What the slices of the crystal and the colours of its surface show")
        self.quantity.activated.connect(lambda i: self.quantity_changed.emit(self.quantity.itemData(i)))
        self.frame = QComboBox(bar)
        self.frame.setAccessibleName("Frame")
        self.frame.setToolTip("Axes of the crystal: of the stack, of the laboratory, or z along Q")
        self.frame.activated.connect(lambda i: self.frame_changed.emit(self.frame.itemData(i)))
        self.brush = QToolButton(bar)
        self.brush.setIcon(icons.icon("edit"))
        self.brush.setToolTip("Brush: mask alien peaks by hand, in any of the three slices of the data")
        self.brush.setAccessibleName("Brush")
        self.eraser = QToolButton(bar)
        self.eraser.setIcon(icons.icon("eraser"))
        self.eraser.setToolTip("Take strokes of the brush away")
        self.eraser.setAccessibleName("Eraser")
        self.radius = QSpinBox(bar)
        self.radius.setRange(1, 50)
        self.radius.setValue(3)
        self.radius.setSuffix(" px")
        self.radius.setToolTip("Radius of the brush")
        self.radius.setAccessibleName("Radius of the brush")
        self.radius.valueChanged.connect(lambda _: self._brush_changed())
        for button in (self.brush, self.eraser):
            button.setCheckable(True)
            button.clicked.connect(lambda on, button=button: self._take_brush(button, on))
        row.addWidget(self.shown)
        row.addSpacing(6)
        row.addWidget(self.quantity)
        row.addWidget(self.frame)
        row.addStretch(1)
        for widget in (self.brush, self.eraser, self.radius):
            row.addWidget(widget)
        return bar

    def _make_surface_bar(self) -> QWidget:
        bar = QWidget(self)
        row = QHBoxLayout(bar)
        row.setContentsMargins(8, 0, 6, 4)
        row.setSpacing(6)
        self.clipped = QCheckBox("Cut", bar)
        self.clipped.setToolTip("Open the crystal with a plane")
        self.clip_axis = QComboBox(bar)
        self.clip_axis.setAccessibleName("Axis of the cut")
        for axis, name in ((2, "x"), (1, "y"), (0, "z")):
            self.clip_axis.addItem(name, axis)
        self.clip_at = QSlider(Qt.Orientation.Horizontal, bar)
        self.clip_at.setRange(2, 98)
        self.clip_at.setValue(50)
        self.clip_at.setMinimumWidth(40)
        self.clip_at.setAccessibleName("Place of the cut")
        self.camera = small_button("camera", "Save a picture of the surface…", bar)
        self.film = small_button("film", "Save a turntable movie…", bar)
        self.camera.clicked.connect(lambda: self.picture_requested.emit())
        self.film.clicked.connect(lambda: self.movie_requested.emit())
        self.clipped.clicked.connect(lambda _: self._clip_changed())
        self.clip_axis.activated.connect(lambda _: self._clip_changed())
        self.clip_at.valueChanged.connect(lambda _: self._clip_changed())
        row.addWidget(self.clipped)
        row.addWidget(self.clip_axis)
        row.addWidget(self.clip_at, 1)
        row.addWidget(self.camera)
        row.addWidget(self.film)
        self._enable_clip()
        return bar

    # ---- values in ----

    def set_empty(self, title: str = "", detail: str = "") -> None:
        """Say what to do next instead of showing anything."""
        self.empty.title.setText(title or WELCOME)
        self.empty.detail.setText(detail or ADVICE)
        self._stack.setCurrentWidget(self.empty)

    def set_working(self) -> None:
        """Show the slices."""
        self._stack.setCurrentWidget(self._work)

    @property
    def working(self) -> bool:
        """Whether slices are shown."""
        return self._stack.currentWidget() is self._work

    def set_show(self, show: Show) -> None:
        """Data, crystal, or both."""
        self.show_mode = show
        self.shown.set_value(show)
        self.data.setVisible(show != "object")
        self.object.setVisible(show != "data")
        self.data.arrange(square=show == "data", corner=self.corner if show == "data" else None)
        self.object.arrange(square=show == "object", corner=self.corner if show == "object" else None)
        self.corner.setVisible(show != "both")
        for widget in (self.brush, self.eraser, self.radius):
            widget.setVisible(show != "object")

    def set_object_known(self, known: bool) -> None:
        """Whether there is a crystal to look at."""
        for value in ("object", "both"):
            self.shown.button(value).setEnabled(known)
        for widget in (self.quantity, self.frame, self.camera, self.film, self.clipped):
            widget.setEnabled(known)
        self._enable_clip()

    def set_quantities(self, quantities: tuple[Quantity, ...], chosen: Quantity) -> None:
        """What can be shown of the crystal, and what is."""
        self.quantity.clear()
        for key, title in QUANTITIES:
            if key in quantities:
                self.quantity.addItem(title, key)
        self.quantity.setCurrentIndex(max(0, self.quantity.findData(chosen)))

    def set_frames(self, frames: tuple[str, ...], chosen: str) -> None:
        """Frames that can be shown, and the one that is."""
        self.frame.clear()
        for key in frames:
            self.frame.addItem(FRAMES[key], key)
        self.frame.setCurrentIndex(max(0, self.frame.findData(chosen)))

    def put_brush_down(self) -> None:
        """No brush is in hand."""
        self.brush.setChecked(False)
        self.eraser.setChecked(False)
        self._brush_changed()

    def clip(self) -> Clip | None:
        """The plane that opens the crystal, as it is set."""
        if not self.clipped.isChecked():
            return None
        return Clip(int(self.clip_axis.currentData()), self.clip_at.value() / 100)

    # ---- gestures ----

    def _take_brush(self, button: QToolButton, on: bool) -> None:
        other = self.eraser if button is self.brush else self.brush
        other.setChecked(False)
        button.setChecked(on)
        self._brush_changed()

    def _brush_changed(self) -> None:
        held = self.brush.isChecked() or self.eraser.isChecked()
        self.data.set_brush(self.radius.value() if held else 0.0, self.eraser.isChecked())
        self.radius.setEnabled(held)

    def _clip_changed(self) -> None:
        self._enable_clip()
        self.clip_changed.emit(self.clip())

    def _enable_clip(self) -> None:
        on = self.clipped.isChecked() and self.clipped.isEnabled()
        self.clip_axis.setEnabled(on)
        self.clip_at.setEnabled(on)

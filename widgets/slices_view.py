"""Three linked slices of one volume."""

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from braggscope.models.cdi.layers import EMPTY, Box, Layer
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.slices_canvas import AXES, Place, SliceCanvas
from braggscope.widgets.slices_scale import SliceScale, number_text

_AROUND = 0.25  # of the extent of what has values, shown around it


class SlicesView(QWidget):
    """Title, colour scale, and the slices across z, y and x through one voxel.

    ``place_changed``: (z, y, x) by a gesture. ``stroke_drawn``: voxels, by the brush. Setters never emit.
    In a square the fourth place is free for ``corner``.
    """

    place_changed = pyqtSignal(tuple)
    stroke_drawn = pyqtSignal(tuple)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvases = tuple(SliceCanvas(axis, self) for axis in range(3))
        self.title = ElidedLabel("", "value", self)
        self.readout = ElidedLabel("", "muted", self)
        self.scale = SliceScale(self)
        self._layer: Layer | None = None
        self._place: Place = (0, 0, 0)
        self._corner: QWidget | None = None
        head = QHBoxLayout()
        head.setContentsMargins(10, 2, 6, 0)
        head.setSpacing(10)
        head.addWidget(self.title, 1)
        head.addWidget(self.readout, 2)
        head.addWidget(self.scale)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addLayout(self._grid, 1)
        for canvas in self.canvases:
            canvas.placed.connect(self._placed)
            canvas.stroked.connect(self.stroke_drawn)
            canvas.stepped.connect(lambda step, axis=canvas.axis: self._step(axis, step))
            canvas.zoomed.connect(self._zoom)
            canvas.hovered.connect(self._hovered)
        self.arrange(square=True)

    # ---- values in ----

    def arrange(self, *, square: bool, corner: QWidget | None = None) -> None:
        """In a square with ``corner`` in the fourth place, or in a row."""
        for widget in (*self.canvases, self._corner):
            if widget is not None:
                self._grid.removeWidget(widget)
        self._corner = corner if square else None
        across_z, across_y, across_x = self.canvases
        if square:
            places = ((across_z, 0, 0), (across_x, 0, 1), (across_y, 1, 0))
            if corner is not None:
                self._grid.addWidget(corner, 1, 1)
                corner.show()
        else:
            places = ((across_z, 0, 0), (across_x, 0, 1), (across_y, 0, 2))
        for widget, row, column in places:
            self._grid.addWidget(widget, row, column)
        for k in range(3):
            self._grid.setColumnStretch(k, 1 if k < (2 if square else 3) else 0)
            self._grid.setRowStretch(k, 1 if k < (2 if square else 1) else 0)

    def set_layer(self, layer: Layer | None, *, y_up: bool = False, keep: bool = False) -> None:
        """Show another volume; the view is kept where ``keep`` and the shape allow."""
        old, self._layer = self._layer, layer
        self.scale.set_layer(layer)
        for canvas in self.canvases:
            canvas.y_up = y_up
            canvas.set_layer(layer)
        if layer is None:
            self.readout.setText("")
        elif not keep or old is None or old.index.shape != layer.index.shape:
            self.show_all()
        else:
            self._tell(self._place)

    def set_title(self, text: str) -> None:
        """What is shown, in a few words."""
        self.title.setText(text)

    def set_place(self, place: Place) -> None:
        """Go to a voxel."""
        self._place = place
        for canvas in self.canvases:
            canvas.set_place(place)
        self._tell(place)

    def set_brush(self, radius: float, erase: bool = False) -> None:
        """Take the brush in hand, radius in voxels; 0 puts it down."""
        for canvas in self.canvases:
            canvas.brush, canvas.erase = radius, erase
            canvas.update()

    @property
    def place(self) -> Place:
        """The voxel under the cross-hair."""
        return self._place

    @property
    def layer(self) -> Layer | None:
        """What is shown."""
        return self._layer

    def show_all(self) -> None:
        """Everything that has a value, with some room around it, and its middle under the cross-hair."""
        layer = self._layer
        if layer is None:
            return
        shape, whole = layer.index.shape, []
        for (first, last), n in zip(layer.box, shape, strict=True):
            more = int(_AROUND * (last - first)) + 1
            whole.append((max(0, first - more), min(n - 1, last + more)))
        self._set_region((whole[0], whole[1], whole[2]))
        z, y, x = (n // 2 for n in shape)
        self.set_place((z, y, x))

    # ---- gestures ----

    def _set_region(self, region: Box) -> None:
        self._region = region
        for canvas in self.canvases:
            canvas.set_region(region)

    def _placed(self, place: Place) -> None:
        self.set_place(place)
        self.place_changed.emit(place)

    def _step(self, axis: int, step: int) -> None:
        if self._layer is None:
            return
        place = list(self._place)
        place[axis] = min(max(place[axis] + step, 0), self._layer.index.shape[axis] - 1)
        self._placed((place[0], place[1], place[2]))

    def _zoom(self, factor: float) -> None:
        """About the cross-hair."""
        if self._layer is None:
            return
        made = []
        for at, (first, last), n in zip(self._place, self._region, self._layer.index.shape, strict=True):
            length = min(max(8, round((last - first + 1) * factor)), n)
            start = min(max(0, round(at - (at - first) * length / (last - first + 1))), n - length)
            made.append((start, start + length - 1))
        self._set_region((made[0], made[1], made[2]))

    def _hovered(self, place: Place | None) -> None:
        self._tell(self._place if place is None else place)

    def _tell(self, place: Place) -> None:
        layer = self._layer
        if layer is None or any(not 0 <= p < n for p, n in zip(place, layer.index.shape, strict=True)):
            return
        where = f"({', '.join(AXES)}) = ({', '.join(map(str, place))})"
        if layer.index[place] == EMPTY:
            said = "masked" if layer.quantity == "data" else "outside"
        else:
            said = f"{number_text(float(layer.values[place]))} {layer.unit}".rstrip()
        self.readout.setText(f"{where}   {said}")

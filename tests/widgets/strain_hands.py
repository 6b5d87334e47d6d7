"""What the tests of the strain panels have in common: ears, hands, a map."""

from braggscope.widgets.strain_map_row import MapPicture
from braggscope.widgets.strain_maps import COMPONENTS


def heard(signal):
    said = []
    signal.connect(lambda *values: said.append(values[0] if len(values) == 1 else values))
    return said


def shown(qtbot, widget, width, height):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    widget.show()
    return widget


def type_in(field, text):
    field.setText(text)
    field.editingFinished.emit()


def picture(key, values, errors=None, unit="%", high=3.0):
    return MapPicture(key, COMPONENTS.get(key, key), values, errors, unit, -high, high)

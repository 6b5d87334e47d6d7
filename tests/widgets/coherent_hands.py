"""What the tests of the panels of the Coherent workspace have in common: a widget on screen, a hand."""

from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest


def maker(qtbot):
    def shown(kind, width=320, height=700):
        widget = kind()
        qtbot.addWidget(widget)
        widget.resize(width, height)
        widget.show()
        return widget

    return shown


def typed(field, text):
    field.setFocus()
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Delete)
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)

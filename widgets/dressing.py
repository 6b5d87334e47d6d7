"""Other colours for all widgets at the cost of those on screen.

Qt undresses and dresses every widget there is when a style sheet changes, and lays all of them out anew.
Between two sheets that differ in their colours alone no size changes, and most widgets are on workspaces that
nobody sees: these are dressed when they are shown.
"""

from collections.abc import Iterable

from PyQt6 import sip
from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QApplication, QWidget

_POLISHED = Qt.WidgetAttribute.WA_WState_Polished
_OWN_STYLE = Qt.WidgetAttribute.WA_SetStyle


class _Late(QObject):
    """Dresses a widget and all within it at the moment it is shown, once."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt: before the first painting."""
        if isinstance(watched, QWidget) and event is not None and event.type() == QEvent.Type.Show:
            watched.removeEventFilter(self)
            _dress((watched, *watched.findChildren(QWidget)))
        return False


_late: _Late | None = None


def recolour(app: QApplication, palette: QPalette, style_sheet: str) -> None:
    """Set a palette and a style sheet that differs from the present one in colours alone."""
    dressed = [widget for widget in app.allWidgets() if widget.testAttribute(_POLISHED)]
    following = [widget for widget in dressed if not widget.testAttribute(_OWN_STYLE)]
    for widget in dressed:  # so Qt passes them by
        widget.setAttribute(_POLISHED, False)
    for widget in following:
        widget.setAttribute(_OWN_STYLE)
    try:
        app.setStyleSheet("")  # forgets what was derived from the old sheet
        app.setPalette(palette)
        app.setStyleSheet(style_sheet)
    finally:
        dressed = [widget for widget in dressed if not sip.isdeleted(widget)]
        for widget in following:
            if not sip.isdeleted(widget):
                widget.setAttribute(_OWN_STYLE, False)
        for widget in dressed:
            widget.setAttribute(_POLISHED)
    seen = [widget for widget in dressed if widget.isVisible()]
    _dress(seen)
    for widget in seen:
        widget.update()
    _dress_when_shown(app, (widget for widget in dressed if not widget.isVisible()))


def _dress_when_shown(app: QApplication, hidden: Iterable[QWidget]) -> None:
    global _late
    if _late is None or sip.isdeleted(_late):
        _late = _Late(app)
    for widget in hidden:
        above = None if widget.isWindow() else widget.parentWidget()
        if above is None or above.isVisible():
            widget.installEventFilter(_late)


def _dress(widgets: Iterable[QWidget]) -> None:
    for widget in widgets:
        style = widget.style()
        if style is not None and widget.testAttribute(_POLISHED):
            style.polish(widget)

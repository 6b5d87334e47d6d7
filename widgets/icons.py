"""Icons by meaning, painted in the colours of the theme in use, also after the theme has changed.

They are glyphs of the Material Design Icons, whose font comes with QtAwesome. Its files are read here
directly: the package would wrap all of Qt once more and load eleven other fonts, a fifth of a second of every
start.
"""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PyQt6.QtCore import QPoint, QRect, QSize, Qt
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap

from braggscope.widgets import theme

GLYPHS: dict[str, str] = {
    "open": "folder-open-outline", "folder": "folder-outline", "file": "file-outline",
    "tree": "file-tree-outline", "save": "content-save-outline", "export": "export-variant",
    "download": "download", "play": "play", "pause": "pause", "step_back": "step-backward",
    "step_forward": "step-forward", "first": "skip-previous", "last": "skip-next", "stop": "stop",
    "mask": "checkerboard", "undo": "undo", "redo": "redo", "palette": "apple-keyboard-command",
    "command": "console-line", "help": "help-circle-outline", "settings": "cog-outline",
    "follow": "access-point", "select": "cursor-default-outline", "rectangle": "vector-rectangle",
    "ellipse": "vector-ellipse", "polygon": "vector-polygon", "line": "vector-line",
    "threshold": "tune-vertical", "eraser": "eraser", "camera": "camera-outline", "rings": "circle-double",
    "peaks": "plus", "contrast": "contrast-circle", "auto": "auto-fix", "colours": "palette-outline",
    "cancel": "close", "close": "close", "check": "check", "warning": "alert-outline",
    "error": "alert-circle-outline", "info": "information-outline", "add": "plus", "remove": "minus",
    "delete": "trash-can-outline", "copy": "content-copy", "film": "filmstrip", "table": "table",
    "image": "image-outline", "reset": "restore", "refresh": "refresh", "home": "home-outline",
    "fit": "fit-to-page-outline", "one_to_one": "numeric-1-box-outline", "target": "crosshairs",
    "search": "magnify", "more": "dots-vertical", "menu": "menu", "edit": "pencil-outline",
    "rotate": "rotate-right", "flip_h": "flip-horizontal", "flip_v": "flip-vertical",
    "layers": "layers-outline", "regions": "selection", "trails": "vector-polyline",
    "split": "call-split", "join": "call-merge",
    "show": "eye-outline", "hide": "eye-off-outline", "lock": "lock-outline", "unlock": "lock-open-outline",
    "chart": "chart-line", "histogram": "chart-histogram", "scatter": "chart-scatter-plot",
    "profile": "chart-bell-curve", "log": "text-box-outline", "jobs": "progress-clock",
    "history": "history", "bug": "bug-outline", "theme": "theme-light-dark", "keyboard": "keyboard-outline",
    "layout": "view-dashboard-outline", "series": "animation-outline", "strain": "grid",
    "coherent": "cube-outline", "network": "graph-outline", "device": "chip", "demo": "flask-outline",
    "reject": "close-circle-outline", "hot_pixels": "dots-grid", "python": "language-python",
    "chevron_down": "chevron-down", "chevron_right": "chevron-right",
}  # fmt: skip
SHARE = 0.875  # of its square that a glyph fills: 14 px of 16


@cache
def _font() -> tuple[str, dict[str, str]]:
    """Family of the icon font, and the code points (hexadecimal) of its glyphs by name."""
    package = find_spec("qtawesome")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("QtAwesome, which brings the icons, is not installed.")
    fonts = Path(package.origin).parent / "fonts"
    (file,) = fonts.glob("materialdesignicons6-webfont-*.ttf")
    (codes,) = fonts.glob("materialdesignicons6-webfont-charmap-*.json")
    family = QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(file)))[0]
    return family, json.loads(codes.read_text("utf-8"))


class _ThemedEngine(QIconEngine):
    """Asks for the theme when it paints, so no icon needs to be told of a change."""

    def __init__(self, name: str, role: str) -> None:
        super().__init__()
        self._name, self._role = name, role

    def paint(self, painter: QPainter | None, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        if painter is None or rect.isEmpty():
            return
        colours = theme.current()
        role = {QIcon.Mode.Disabled: "disabled", QIcon.Mode.Selected: "on_accent"}.get(mode, self._role)
        if state is QIcon.State.On and role == "text":
            role = "accent"
        if role == "disabled":  # on buttons that are filled, the line is the colour of the ground
            role = "muted" if self._role == "on_accent" else "line"
        colour = getattr(colours, role)
        family, codes = _font()
        font = QFont(family)
        font.setPixelSize(max(round(SHARE * rect.height()), 1))
        painter.save()
        painter.setPen(QColor(colour))
        painter.setFont(font)
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, chr(int(codes[GLYPHS[self._name]], 16)))
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        if pixmap.isNull():  # asked for while a layout still has no room
            return pixmap
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _ThemedEngine(self._name, self._role)


def icon(name: str, role: str = "text") -> QIcon:
    """Icon of a meaning (a key of :data:`GLYPHS`) in a colour role of the theme. KeyError if unknown."""
    if name not in GLYPHS:
        raise KeyError(f"no icon is called {name!r}")
    return QIcon(_ThemedEngine(name, role))

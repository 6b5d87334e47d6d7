"""Colour tokens and the style sheet, light and dark. Every widget takes its colours from here."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from types import MethodType
from typing import Literal
from weakref import WeakMethod

from PyQt6 import sip
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PyQt6.QtWidgets import QApplication

from braggscope.widgets.dressing import recolour

Name = Literal["dark", "light"]


@dataclass(frozen=True, slots=True)
class Theme:
    """Hex colours by role. Mark colours follow Okabe and Ito, readable for colour-blind people."""

    name: Name
    window: str  # behind everything
    panel: str  # docks, tables
    raised: str  # buttons, inputs
    line: str  # separators, frames
    text: str
    muted: str  # captions, axis labels
    accent: str  # selection, primary button, cursor
    on_accent: str  # text on accent
    fit: str  # marks and curves of the classical fit
    braggnn: str
    net: str
    reject: str  # peaks without a fit
    warning: str
    error: str
    good: str
    progress: str  # bars under text


DARK = Theme(
    "dark", "#15181c", "#1c2025", "#272c33", "#343b44", "#e3e7ec", "#97a1ad", "#4db8ff", "#06121c",
    "#56c1ff", "#ffb000", "#3ddbb0", "#b3bac2", "#f0c04f", "#ff7a6b", "#52d29a", "#22577d",
)  # fmt: skip
LIGHT = Theme(
    "light", "#f3f5f7", "#ffffff", "#e8ecf0", "#ccd3da", "#1b2026", "#5c6772", "#0b72b9", "#ffffff",
    "#0072b2", "#c05a00", "#00795c", "#5c6772", "#9a6a00", "#c0392b", "#1d7f4e", "#a9d3ee",
)  # fmt: skip
SERIES_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#a89a00", "#0072b2", "#999999")

Listener = Callable[[Theme], None]

_current = DARK
_begun = False  # whether style and font are set
_listeners: list[Callable[[], Listener | None]] = []


def current() -> Theme:
    """The theme in use."""
    return _current


def on_change(listener: Listener) -> None:
    """Call ``listener(theme)`` now and whenever the theme changes.

    Methods are held weakly: a widget that is gone, in Python or in Qt, is dropped by itself. Plain
    functions are held until :func:`forget`. Raises TypeError for methods of anything but Qt's objects, which
    would outlive the widgets that they paint.
    """
    if isinstance(listener, MethodType):
        if not isinstance(listener.__self__, sip.simplewrapper):
            raise TypeError(f"{type(listener.__self__).__name__} is no object of Qt's")
        _listeners.append(WeakMethod(listener, _drop))
    else:
        _listeners.append(lambda: listener)
    listener(_current)


def forget(listener: Listener) -> None:
    """Stop calling a listener; unknown ones are ignored."""
    _listeners[:] = [reference for reference in _listeners if reference() not in (None, listener)]


def _drop(reference: Callable[[], Listener | None]) -> None:
    with suppress(ValueError):
        _listeners.remove(reference)


def _living() -> list[Listener]:
    """Listeners that still exist; the others are dropped."""
    living = []
    for reference in list(_listeners):
        listener = reference()
        owner = getattr(listener, "__self__", None)
        if listener is None or (isinstance(owner, sip.simplewrapper) and sip.isdeleted(owner)):
            _drop(reference)
        else:
            living.append(listener)
    return living


def begin(app: QApplication, theme: Theme) -> None:
    """Set style, font and palette, in which widgets are then built; :func:`apply` dresses them.

    A window that stands is dressed in a fraction of the time that its parts take one by one. Nothing is done
    where widgets wear a style sheet already.
    """
    if not app.styleSheet():
        _begin(app, theme)


def _begin(app: QApplication, theme: Theme) -> None:
    global _current, _begun
    _current, _begun = theme, True
    app.setStyle("Fusion")
    app.setFont(_font())
    app.setPalette(_palette(theme))


def apply(app: QApplication, theme: Theme, style_sheet: str) -> None:
    """Set palette, font and style sheet, each only if it changes: every widget there is is dressed anew.

    ``style_sheet`` names tokens as ``@panel``.
    """
    global _current
    sheet, worn, changed = _filled(style_sheet, theme), app.styleSheet(), theme != _current or not _begun
    if not changed and worn == sheet:
        return
    if worn and worn == _filled(style_sheet, _current):
        _current = theme
        recolour(app, _palette(theme), sheet)
    else:
        if changed:
            _begin(app, theme)
        app.setStyleSheet(sheet)
    if changed:
        for listener in _living():
            listener(theme)


def _filled(style_sheet: str, theme: Theme) -> str:
    for token in sorted((f.name for f in fields(theme)), key=len, reverse=True):
        style_sheet = style_sheet.replace(f"@{token}", getattr(theme, token))
    return style_sheet


def _font() -> QFont:
    families = set(QFontDatabase.families())
    family = next((f for f in ("Inter", "Noto Sans", "Segoe UI", "DejaVu Sans") if f in families), "")
    font = QFont(family) if family else QFont()
    font.setPointSizeF(9.5)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for which, colour in (
        (role.Window, theme.window), (role.WindowText, theme.text), (role.Base, theme.panel),
        (role.AlternateBase, theme.raised), (role.Text, theme.text), (role.Button, theme.raised),
        (role.ButtonText, theme.text), (role.ToolTipBase, theme.raised), (role.ToolTipText, theme.text),
        (role.Highlight, theme.accent), (role.HighlightedText, theme.on_accent),
        (role.PlaceholderText, theme.muted), (role.Link, theme.accent), (role.BrightText, theme.error),
    ):  # fmt: skip
        palette.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(theme.muted))
    return palette

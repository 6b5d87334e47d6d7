"""Preferences: theme, device, threads, memory."""

from __future__ import annotations

import os
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

import psutil
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from braggscope.app.engine.cache import default_bytes
from braggscope.app.presenters.desk import Desk
from braggscope.resources.files import style_sheet
from braggscope.widgets import theme
from braggscope.widgets.preferences import Machine, Preferences, PreferencesDialog

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow
    from braggscope.app.presenters.sessions import SessionPresenter


class PreferencesPresenter:
    """Applies preferences at once and keeps them in the settings."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._window: MainWindow | None = None
        self._sessions: SessionPresenter | None = None
        known = {entry.name for entry in fields(Preferences)}
        saved = {k: v for k, v in desk.settings.preferences.items() if k in known}
        self.value = _checked(saved)
        self._apply_engine()

    def attach(self, window: MainWindow, sessions: SessionPresenter) -> None:
        """The window is there now."""
        self._window = window
        self._sessions = sessions
        sessions.enabled = self.value.autosave
        hints = QGuiApplication.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(self._follow_system)

    def close(self) -> None:
        """Stop listening to the system's colours."""
        hints = QGuiApplication.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.disconnect(self._follow_system)

    def _follow_system(self, _: object) -> None:
        self.apply_theme()

    def ask(self) -> None:
        """Show the dialog."""
        machine = Machine(os.cpu_count() or 1, psutil.virtual_memory().total // 1_000_000)
        dialog = PreferencesDialog(self.value, self._window, machine=machine, defaults=defaults())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted_preferences.connect(self.set)
        dialog.open()

    def set(self, preferences: Preferences) -> None:
        """Take over new preferences."""
        self.value = preferences
        self._desk.settings.preferences = asdict(preferences)
        if self._sessions is not None:
            self._sessions.enabled = preferences.autosave
            self._sessions.keep_settings()
        self._apply_engine()
        self.apply_theme()

    def switch_theme(self) -> None:
        """Light becomes dark and dark light."""
        dark = theme.current().name == "dark"
        self.set(replace(self.value, theme="light" if dark else "dark"))

    def begin_theme(self) -> None:
        """Style, font and palette, before there are widgets."""
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.begin(app, self._theme())

    def apply_theme(self) -> None:
        """Style sheet and palette."""
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, self._theme(), style_sheet())

    def _theme(self) -> theme.Theme:
        """By preference or by the system."""
        name = self.value.theme
        if name == "system":
            hints = QGuiApplication.styleHints()
            light = hints is not None and hints.colorScheme() == Qt.ColorScheme.Light
            name = "light" if light else "dark"
        return theme.LIGHT if name == "light" else theme.DARK

    def _apply_engine(self) -> None:
        desk, value = self._desk, self.value
        desk.workers = value.threads
        desk.memory = value.memory_mb * 1_000_000
        desk.timeout_s = float(value.reader_timeout_s)
        if desk.engine is not None:
            desk.engine.resize(desk.memory)
        if desk.device_choice != value.device:
            desk.device_choice = value.device
            desk.device_changed.emit()


def defaults() -> Preferences:
    """What suits this machine."""
    return Preferences(threads=os.cpu_count() or 1, memory_mb=default_bytes() // 1_000_000)


def _checked(saved: dict[str, object]) -> Preferences:
    """Preferences from the settings; defaults where an entry is of the wrong kind."""
    default = asdict(defaults())
    usable = {k: v for k, v in saved.items() if type(v) is type(default[k])}
    return Preferences(**{**default, **usable})

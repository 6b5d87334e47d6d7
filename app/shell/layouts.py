"""The docks of the window, and how each workspace was left."""

import base64
from collections.abc import Mapping
from contextlib import suppress

from PyQt6.QtCore import QByteArray, Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QVBoxLayout, QWidget

from braggscope.app.shell.docks import DOCKS, VERSION, WORKSPACES, arrange, set_title_bars

GAP = 8  # px between the edge of a dock and what is in it


class Layouts:
    """A dock around every panel; each workspace arranges them in its own way and remembers it."""

    def __init__(self, window: QMainWindow, panels: Mapping[str, QWidget], workspace: str) -> None:
        self._window, self._workspace = window, workspace
        self._left: dict[str, QByteArray] = {}  # how workspaces were left
        window.setDockNestingEnabled(True)
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.BottomDockWidgetArea)
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self._docks: dict[str, QDockWidget] = {}
        for key, widget in panels.items():
            dock = QDockWidget(DOCKS[key], window)
            dock.setObjectName(f"dock-{key}")
            dock.setWidget(_padded(widget))
            self._docks[key] = dock
        arrange(window, self._docks, workspace)

    def toggles(self) -> list[QAction]:
        """One action for every dock, which shows and hides it."""
        return [action for dock in self._docks.values() if (action := dock.toggleViewAction()) is not None]

    def enter(self, workspace: str) -> None:
        """Show the docks of a workspace as they were when it was left."""
        if workspace != self._workspace:
            self._left[self._workspace] = self._window.saveState(VERSION)
            self._workspace = workspace
            self._lay_out()

    def show(self, key: str, height: int = 0) -> None:
        """Bring a dock to the front, and make it as high as that (px), if there is room."""
        dock = self._docks[key]
        dock.show()
        dock.raise_()
        if height > dock.height():
            self._window.resizeDocks([dock], [height], Qt.Orientation.Vertical)

    def texts(self) -> dict[str, str]:
        """The docks of every workspace as text, for the settings."""
        self._left[self._workspace] = self._window.saveState(VERSION)
        return {name: base64.b64encode(state.data()).decode() for name, state in self._left.items()}

    def restore(self, texts: Mapping[str, str]) -> None:
        """Inverse of :meth:`texts`; anything unusable is ignored."""
        self._left = {}
        for name, text in texts.items():
            with suppress(ValueError, TypeError):
                if name in WORKSPACES:
                    self._left[name] = QByteArray(base64.b64decode(text, validate=False))
        self._lay_out()

    def reset(self) -> None:
        """Docks as delivered, in every workspace."""
        self._left = {}
        self._lay_out()

    def _lay_out(self) -> None:
        kept = self._left.get(self._workspace)
        for dock in self._docks.values():  # or those of both workspaces stand there for a moment, and the
            self._window.removeDockWidget(dock)  # window grows until they all fit
        if kept is not None and self._window.restoreState(kept, VERSION):
            set_title_bars(self._docks, self._workspace)
        else:
            arrange(self._window, self._docks, self._workspace)


def _padded(widget: QWidget) -> QWidget:
    """The widget with some air around it."""
    frame = QWidget()
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(GAP, GAP // 2, GAP, GAP // 2)
    layout.addWidget(widget)
    return frame

"""Tabs of the workspaces and the most used actions, in one row with the menus."""

from collections.abc import Mapping

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QToolBar, QToolButton, QWidget

from braggscope.app.shell.docks import WORKSPACES

TOOLS = ("open_file", "follow", "show_mask", "undo", "redo", "palette", "help")
NAMED = {"open_file": "Open", "follow": "Follow", "show_mask": "Mask"}  # where there is room for words
ROOM = 1500  # px of the window's width from which on there is


class Toolbar(QToolBar):
    """Made from the table of actions."""

    def __init__(self, actions: Mapping[str, QAction], parent: QWidget | None = None) -> None:
        super().__init__("Tools", parent)
        self.setObjectName("toolbar")
        self.setMovable(False)
        self.setIconSize(QSize(16, 16))
        self._tabs: dict[str, QToolButton] = {}
        for key in WORKSPACES:
            button = QToolButton()
            button.setText(key.capitalize())
            button.setCheckable(True)
            button.setProperty("role", "tab")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves no frame around the tab
            button.clicked.connect(actions[f"{key}_workspace"].trigger)
            self.addWidget(button)
            self._tabs[key] = button
        self.addSeparator()
        for key in TOOLS:
            self.addAction(actions[key])
        self._named = []
        for key, text in NAMED.items():
            actions[key].setIconText(text)
            widget = self.widgetForAction(actions[key])
            if isinstance(widget, QToolButton):
                self._named.append(widget)

    def show_workspace(self, name: str) -> None:
        """Mark the tab of a workspace."""
        for key, button in self._tabs.items():
            button.setChecked(key == name)

    def fit(self, width: int) -> None:
        """Leave the words away in a narrow window, or its last menus would be out of sight."""
        with_words, alone = Qt.ToolButtonStyle.ToolButtonTextBesideIcon, Qt.ToolButtonStyle.ToolButtonIconOnly
        for button in self._named:
            button.setToolButtonStyle(with_words if width >= ROOM else alone)

"""Menus, keys and tool bar of the window, made from the table of actions."""

from collections.abc import Callable, Iterable, Mapping

from PyQt6.QtCore import QObject, Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMainWindow, QMenu, QMenuBar

from braggscope.app.shell.actions import ACTIONS, GESTURES, MENUS, Action
from braggscope.app.shell.toolbar import Toolbar
from braggscope.widgets import theme
from braggscope.widgets.command_palette import Command
from braggscope.widgets.icons import icon


class Menus(QObject):
    """The menu bar, with the tool bar in its corner: height is precious on small screens."""

    def __init__(self, window: QMainWindow, handlers: Mapping[str, Callable[[], object]]) -> None:
        super().__init__(window)  # goes with it, and hears of no theme any more
        self.actions: dict[str, QAction] = {}
        self._enabled: dict[str, bool] = {}  # by what actions need
        self._bar = QMenuBar(window)
        self._bar.setNativeMenuBar(False)
        window.setMenuBar(self._bar)
        self._menus = {name: QMenu(name, self._bar) for name in MENUS}
        for menu in self._menus.values():
            self._bar.addMenu(menu)
        for spec in ACTIONS:
            action = _action(window, spec, handlers[spec.key])
            self._menus[spec.menu].addAction(action)
            window.addAction(action)
            self.actions[spec.key] = action
        self._toolbar = Toolbar(self.actions, window)
        self.fit(window.width())
        theme.on_change(self._refresh_icons)

    def add_panels(self, toggles: Iterable[QAction]) -> None:
        """Put the actions that show and hide docks in a menu of their own."""
        view = self._menus["View"]
        panels = QMenu("Panels", view)
        view.addMenu(panels)
        panels.addActions(list(toggles))

    def show_workspace(self, name: str) -> None:
        """Mark the tab of a workspace."""
        self._toolbar.show_workspace(name)

    def fit(self, width: int) -> None:
        """Make room for all menus in a window of ``width`` px."""
        self._toolbar.fit(width)
        self._bar.setCornerWidget(self._toolbar, Qt.Corner.TopRightCorner)  # asks for its width anew

    def enable(self, frames: bool, peak: bool) -> None:
        """Grey out what cannot be done now."""
        wanted = {"frames": frames, "peak": frames and peak}
        if wanted == self._enabled:
            return
        self._enabled = wanted
        for spec in ACTIONS:
            if spec.needs:
                self.actions[spec.key].setEnabled(wanted[spec.needs])

    def commands(self) -> list[Command]:
        """All actions, for palette and help."""
        return [
            Command(a.key, a.title, " ".join(a.shortcuts[:1]), a.menu, self.actions[a.key].isEnabled())
            for a in ACTIONS
        ]

    def help_entries(self) -> list[Command]:
        """All actions and the gestures that are none."""
        gestures = [Command(title, title, keys, section, True) for title, keys, section in GESTURES]
        return self.commands() + gestures

    def _refresh_icons(self, _: theme.Theme) -> None:
        for spec in ACTIONS:
            if spec.icon:
                self.actions[spec.key].setIcon(icon(spec.icon))


def _action(window: QMainWindow, spec: Action, handler: Callable[[], object]) -> QAction:
    action = QAction(spec.title, window)
    action.setShortcuts([QKeySequence(keys) for keys in spec.shortcuts])
    action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
    action.setCheckable(spec.checkable)
    keys = f"  ({spec.shortcuts[0]})" if spec.shortcuts else ""
    action.setToolTip(spec.title.rstrip("…") + keys)
    action.triggered.connect(lambda *_: handler())
    return action

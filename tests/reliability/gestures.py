"""What a monkey can do with a window: every gesture at a random place, in whatever is on top."""

import random
from pathlib import Path

from PyQt6 import sip
from PyQt6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QInputMethodEvent,
    QMouseEvent,
    QWheelEvent,
)
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QDialog, QLineEdit, QWidget
from world import World

from braggscope.app.composition import Program
from braggscope.app.main_window import MainWindow
from braggscope.app.shell.docks import WORKSPACES

Button, Key, Mod = Qt.MouseButton, Qt.Key, Qt.KeyboardModifier
BUTTONS = (Button.LeftButton,) * 4 + (Button.RightButton,) * 2 + (Button.MiddleButton,)
MODIFIERS = (Mod.NoModifier,) * 5 + (Mod.ShiftModifier, Mod.ControlModifier, Mod.AltModifier)
_NAMES = (
    "Left Right Up Down Home End PageUp PageDown Tab Backtab Space Return Escape Delete Backspace F1 F5 H N C"
    " T A L P M R B F 1 BracketLeft BracketRight Semicolon Apostrophe Z Y"
)
KEYS = tuple(getattr(Key, f"Key_{name}") for name in _NAMES.split())
NONSENSE = (
    "", "0", "-5", "nan", "inf", "1e999", "1e-300", "3,5", "1..2", "9" * 40, "abc", "größe 数据", "%s %n",
    "12", "0.5", "7", "30*RAAR", "*.npy",
)  # fmt: skip
JOBS = (
    "run_series", "cancel_run", "measure_scan", "cancel_scan", "prepare_volume", "phase_volume", "fine_tune",
    "play", "suggest", "open_session", "save_session", "open_demo", "open_demo_scan", "open_demo_coherent",
)  # fmt: skip


class Gestures:
    """Every method does one thing to the window and returns what."""

    world: World
    rng: random.Random
    program: Program
    window: MainWindow

    def top(self) -> QWidget:
        """Where a user can act now."""
        return QApplication.activeModalWidget() or self.window

    def target(self) -> QWidget:
        """A visible widget: often a large one, sometimes any."""
        top, rng = self.top(), self.rng
        if rng.random() < 0.5:
            at = QPoint(rng.randrange(max(top.width(), 1)), rng.randrange(max(top.height(), 1)))
            return top.childAt(at) or top
        return self.any_of(QWidget)

    def any_of(self, kind: type[QWidget]) -> QWidget:
        """A visible widget of a kind, or the whole window."""
        found = [
            w for w in self.top().findChildren(kind) if w.isVisible() and w.isEnabled() and w.width() > 0
        ]
        return self.rng.choice(found) if found else self.top()

    def place(self, widget: QWidget) -> QPoint:
        """A point in a widget."""
        return QPoint(self.rng.randrange(max(widget.width(), 1)), self.rng.randrange(max(widget.height(), 1)))

    # -- gestures -------------------------------------------------------------------------------------------

    def click(self) -> str:
        widget = self.target()
        said = _name(widget)
        QTest.mouseClick(widget, self.rng.choice(BUTTONS), self.rng.choice(MODIFIERS), self.place(widget))
        return said

    def double_click(self) -> str:
        widget = self.target()
        said = _name(widget)
        QTest.mouseDClick(widget, Button.LeftButton, self.rng.choice(MODIFIERS), self.place(widget))
        return said

    def drag(self) -> str:
        widget, held = self.target(), self.rng.choice(MODIFIERS)
        said, button = _name(widget), self.rng.choice(BUTTONS)
        QTest.mousePress(widget, button, held, self.place(widget))
        for _ in range(self.rng.randrange(1, 5)):
            if sip.isdeleted(widget):
                return said
            at = QPointF(self.place(widget)) + QPointF(self.rng.randrange(-30, 30), 0)
            move = QMouseEvent(
                QEvent.Type.MouseMove, at, widget.mapToGlobal(at), Button.NoButton, button, held
            )
            QApplication.sendEvent(widget, move)
            QApplication.processEvents()
        if not sip.isdeleted(widget):
            QTest.mouseRelease(widget, button, held, self.place(widget))
        return said

    def wheel(self) -> str:
        widget, rng = self.target(), self.rng
        at = QPointF(self.place(widget))
        turn = QPoint(0, rng.choice((120, -120, 240, -600, 15)))
        event = QWheelEvent(
            at, widget.mapToGlobal(at), QPoint(), turn, Button.NoButton, rng.choice(MODIFIERS),
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)
        return _name(widget)

    def key(self) -> str:
        focus = QApplication.focusWidget()
        usable = focus is not None and focus.isVisible() and self.rng.random() < 0.7
        widget = focus if usable and focus is not None else self.target()
        said, key, held = _name(widget), self.rng.choice(KEYS), self.rng.choice(MODIFIERS)
        QTest.keyClick(widget, key, held)
        return f"{Key(key).name} {held} on {said}"

    def button(self) -> str:
        widget = self.any_of(QAbstractButton)
        said = _name(widget)
        QTest.mouseClick(widget, Button.LeftButton)
        return said

    def type_nonsense(self) -> str:
        widget, text = self.any_of(QLineEdit), self.rng.choice(NONSENSE)
        widget.setFocus()
        if isinstance(widget, QLineEdit):
            widget.selectAll()
        event = QInputMethodEvent()
        event.setCommitString(text)
        QApplication.sendEvent(widget, event)
        said = _name(widget)
        QTest.keyClick(widget, self.rng.choice((Key.Key_Return, Key.Key_Tab, Key.Key_Escape)))
        return f"{text!r} in {said}"

    def choose(self) -> str:
        widget = self.any_of(QComboBox)
        said = _name(widget)
        widget.setFocus()
        for _ in range(self.rng.randrange(1, 4)):
            if not sip.isdeleted(widget):
                QTest.keyClick(widget, self.rng.choice((Key.Key_Down, Key.Key_Up)))
        return said

    def context_menu(self) -> str:
        widget = self.target()
        said, at = _name(widget), self.place(widget)
        event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, widget.mapToGlobal(at))
        QApplication.sendEvent(widget, event)
        return said

    def action(self, key: str = "") -> str:
        key = key or self.rng.choice(sorted(self.window.actions_by_key))
        if key == "quit" and self.rng.random() < 0.8:
            return "not quit"
        self.program.trigger(key)
        return key

    def job(self) -> str:
        if self.rng.random() < 0.3:
            for key in self.program.jobs.running:
                self.program.jobs.cancel(key)
            return "cancel all"
        return self.action(self.rng.choice(JOBS))

    def workspace(self) -> str:
        return self.action(f"{self.rng.choice(sorted(WORKSPACES))}_workspace")

    def undo_redo(self) -> str:
        keys = [self.rng.choice(("undo", "undo", "redo")) for _ in range(self.rng.randrange(1, 8))]
        for key in keys:
            self.program.trigger(key)
        return " ".join(keys)

    def step(self) -> str:
        return self.action(self.rng.choice(("next_frame", "previous_frame", "forward_10", "next_peak")))

    def resize(self) -> str:
        size = self.rng.randrange(300, 2600), self.rng.randrange(200, 1500)
        self.window.resize(*size)
        return str(size)

    def drop_good(self) -> str:
        return self.drop([self.rng.choice(self.world.good)])

    def drop_bad(self) -> str:
        return self.drop(self.rng.sample([*self.world.bad, *self.world.good], self.rng.randrange(1, 4)))

    def drop(self, paths: list[Path]) -> str:
        """Drop files anywhere."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        at, copy, none = self.place(self.window), Qt.DropAction.CopyAction, Mod.NoModifier
        under = self.window.childAt(at) or self.window
        enter = QDragEnterEvent(at, copy, data, Button.LeftButton, none)
        QApplication.sendEvent(under, enter)
        if enter.isAccepted():
            QApplication.sendEvent(under, QDragMoveEvent(at, copy, data, Button.LeftButton, none))
            QApplication.sendEvent(under, QDropEvent(QPointF(at), copy, data, Button.LeftButton, none))
        return ", ".join(path.name for path in paths)

    # -- menus and dialogs ----------------------------------------------------------------------------------

    def poke_popup(self) -> str:
        popup = QApplication.activePopupWidget()
        if popup is None:
            return "gone"
        said = _name(popup)
        if self.rng.random() < 0.5:
            QTest.mouseClick(popup, Button.LeftButton, Mod.NoModifier, self.place(popup))
        else:
            keys = (Key.Key_Down, Key.Key_Up, Key.Key_Return, Key.Key_Escape, Key.Key_Right)
            QTest.keyClick(popup, self.rng.choice(keys))
        return said

    def end_dialog(self) -> str:
        dialog = self.top()
        said = _name(dialog)
        if isinstance(dialog, QDialog):
            QTest.keyClick(dialog, self.rng.choice((Key.Key_Return, Key.Key_Escape)))
        else:
            dialog.close()
        return said


def _name(widget: QWidget) -> str:
    parent = widget.parentWidget()
    text = widget.text()[:20] if isinstance(widget, QAbstractButton) else ""
    above = "" if parent is None else f" in {type(parent).__name__}"
    return f"{type(widget).__name__} {widget.objectName()} {text!r}{above}"

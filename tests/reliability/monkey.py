"""A monkey at the real window: seeded gestures of every kind, anywhere, in any order.

``python tests/reliability/monkey.py SCRATCH --actions 2000 --seed 1`` prints what it saw as JSON.
It runs in a process of its own: a window that dies takes nobody with it.
"""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import argparse
import contextlib
import gc
import json
import locale
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gestures import Gestures
from PyQt6.QtCore import QEvent, QLocale, Qt, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDialog, QMenu
from warming import rest, warm_up
from witness import Heartbeat, Witness, resident_mb, slope
from world import World, answer_dialogs, make_world, small_demos

from braggscope.app.composition import Program
from braggscope.app.memory import give_back, keep_few_heaps
from braggscope.app.shell.settings import load_settings

STUCK_S = 0.3  # a gesture that takes longer is inside the event loop of a menu or a drag
LOOK_EVERY = 250  # actions between two looks at the memory


class Monkey(Gestures):
    """Acts on one window, and on the next one after it was closed."""

    def __init__(self, world: World, rng: random.Random, witness: Witness) -> None:
        self.world, self.rng, self.witness = world, rng, witness
        self.beat = Heartbeat()
        self._busy_since: float | None = None
        self._free = QTimer()
        self._free.timeout.connect(self._leave_loop)
        self._free.start(100)
        self.closings: list[float] = []
        self.open_window()
        self.gestures: tuple[tuple[float, Callable[[], object]], ...] = (
            (20, self.click), (3, self.double_click), (6, self.drag), (6, self.wheel), (16, self.key),
            (6, self.button), (5, self.type_nonsense), (2, self.choose), (2, self.context_menu),
            (8, self.action), (4, self.job), (3, self.workspace), (2, self.undo_redo), (1, self.resize),
            (1.2, self.drop_good), (1, self.drop_bad), (2, self.step), (0.15, self.reopen),
        )  # fmt: skip

    # -- the window -----------------------------------------------------------------------------------------

    def open_window(self) -> None:
        self.beat.resting = True
        settings = load_settings()
        settings.preferences.setdefault("theme", "dark")
        settings.preferences["memory_mb"] = 256
        self.program = Program(settings)
        self.window = self.program.window
        self.window.resize(1400, 900)
        self.program.start([])
        QTest.qWaitForWindowExposed(self.window)
        self.beat.forgive()
        self.beat.resting = False

    def close_window(self) -> None:
        start = time.monotonic()
        self.shut()
        self.window.close()
        self.closings.append(time.monotonic() - start)
        self.window.deleteLater()
        self.program.deleteLater()
        del self.window, self.program
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
        gc.collect()

    def reopen(self) -> None:
        """Close the window and start anew on the last session, or on another file."""
        self.close_window()
        self.open_window()

    def held_mb(self) -> float:
        """Resident memory at rest, without the frames that the program keeps up to its stated limit, MB.

        What the program does now and then, it does now: collect garbage, give free pages back.
        """
        rest(self)
        gc.collect()
        give_back()
        engine = self.program.desk.engine
        return resident_mb() - (0.0 if engine is None else engine.cached_bytes / 1e6)

    # -- one action -----------------------------------------------------------------------------------------

    def act(self) -> str:
        """Do something. Returns what."""
        if not self.window.isVisible():  # the last action closed it
            self.reopen()
            return "reopen after quit"
        popup = QApplication.activePopupWidget()
        if popup is not None and self.rng.random() < 0.8:
            gesture: Callable[[], object] = self.poke_popup
        elif QApplication.activeModalWidget() is not None and self.rng.random() < 0.25:
            gesture = self.end_dialog
        else:
            weights, gestures = zip(*self.gestures, strict=True)
            (gesture,) = self.rng.choices(gestures, weights)
        what = self.guarded(gesture)
        QTest.qWait(self.rng.choice((0, 0, 0, 0, 1, 2, 5, 15)) if self.rng.random() > 0.02 else 60)
        return f"{gesture.__name__} {what or ''}"

    def guarded(self, gesture: Callable[[], object]) -> object:
        """What a gesture says; the menus that it opens in an event loop of their own are left again."""
        self._busy_since = time.monotonic()
        what = gesture()
        self._busy_since = None
        return what

    def shut(self) -> None:
        """Close menus and dialogs."""
        self._close_popups()
        for dialog in [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]:
            dialog.reject()

    def _leave_loop(self) -> None:
        """Called within menus that run an event loop of their own."""
        if self._busy_since is None or time.monotonic() - self._busy_since < STUCK_S:
            return
        popup = QApplication.activePopupWidget()
        if isinstance(popup, QMenu) and popup.actions() and self.rng.random() < 0.5:
            popup.setActiveAction(self.rng.choice(popup.actions()))
            QTest.keyClick(popup, Qt.Key.Key_Return)
        elif popup is not None:
            popup.close()

    def _close_popups(self) -> None:
        while (popup := QApplication.activePopupWidget()) is not None:
            popup.close()


def picture(monkey: Monkey, path: Path) -> dict[str, object]:
    """The window with a series, as it is seen first."""
    monkey.drop([monkey.world.series])
    end = time.monotonic() + 60
    while monkey.program.desk.table is None and time.monotonic() < end:
        QTest.qWait(20)
    QTest.qWait(300)
    grabbed = monkey.window.grab()
    grabbed.save(str(path))
    return {"picture": (grabbed.width(), grabbed.height()), "scale": monkey.window.devicePixelRatio()}


def run(
    scratch: Path, actions: int, seed: int, look: Path | None = None, warm: bool = False
) -> dict[str, object]:
    """Let the monkey act; what it saw, as plain values. ``look``: file of a picture of the window.

    ``warm``: everything was used once before the first action, so that memory can be compared.
    """
    world = make_world(scratch / "world")
    os.chdir(world.out)
    rng, witness = random.Random(seed), Witness()
    log = (scratch / "actions.log").open("w", buffering=1, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        answer_dialogs(world, rng, patch)
        small_demos(world, patch)
        monkey = Monkey(world, rng, witness)
        looked = picture(monkey, look) if look is not None else {}
        if warm:
            warm_up(monkey)
        begun, memory = time.process_time(), []
        for k in range(actions):
            said = monkey.act()
            witness.lately.append(said)
            log.write(f"{k} {said}\n")
            if k % LOOK_EVERY == 0:
                memory.append((float(k), monkey.held_mb()))
        used = time.process_time() - begun
        monkey.close_window()
        monkey.beat.close()
    witness.close()
    settled = memory[len(memory) // 3 :]
    return looked | {
        "actions": actions, "seed": seed, "exceptions": dict(witness.exceptions), "qt": dict(witness.qt),
        "stalls": [s for s in monkey.beat.stalls if s[1] > 0.5], "late": monkey.beat.stalls,
        "mb_per_1000": 1000 * slope([m[0] for m in settled], [m[1] for m in settled]) if settled[1:] else 0.0,
        "memory": memory,
        "cpu_s": used, "closings": monkey.closings, "before": witness.before,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--actions", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--locale", default="")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--warm", action="store_true", help="use everything once before the first action")
    given = parser.parse_args()
    os.environ["BRAGGSCOPE_HOME"] = str(given.scratch / "home")
    if given.locale:
        QLocale.setDefault(QLocale(given.locale))
        with contextlib.suppress(locale.Error):  # not installed everywhere
            locale.setlocale(locale.LC_ALL, f"{given.locale}.UTF-8")
    keep_few_heaps()
    application = QApplication(sys.argv[:1])
    application.setApplicationName("Braggscope")
    print(json.dumps(run(given.scratch.resolve(), given.actions, given.seed, given.picture, given.warm)))


if __name__ == "__main__":
    main()

"""Work ahead: the full merge tree for the sliders' histograms, and the frames that are likely next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy import float64
from numpy.typing import NDArray
from PyQt6.QtCore import QTimer

from braggscope.app.engine.jobs import Context, Progress
from braggscope.app.engine.views import Ask, Landscape
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.frames import WITHOUT_PEAKS
from braggscope.app.presenters.views import show_count
from braggscope.app.state.session import Session

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow

PREFETCH = 4  # frames
PAUSE_MS = 120  # a frame must stand so long before work ahead begins


class LandscapePresenter:
    """Uses the deep lane, whose older requests give way to newer ones."""

    def __init__(self, desk: Desk, window: MainWindow) -> None:
        self._desk = desk
        self._window = window
        self._direction = 1
        self._ranged = False
        self._timer = QTimer(window)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._begin)
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self._restart)
        desk.picture_shown.connect(self._timer.start)
        desk.peaks_shown.connect(self._timer.start)

    def _restart(self) -> None:
        self._ranged = False

    def _on_state(self, old: Session, new: Session) -> None:
        if old.frame != new.frame:
            self._direction = 1 if new.frame >= old.frame else -1

    def _begin(self) -> None:
        key, engine, state = self._desk.key(), self._desk.engine, self._desk.store.state
        if key is None or engine is None or state.workspace in WITHOUT_PEAKS:
            return
        ask = Ask(key, state.frame, state.parameters, state.display)
        ahead = [state.frame + self._direction * k for k in range(1, PREFETCH + 1)]
        ahead = [i for i in ahead if 0 <= i < engine.info.frames]

        def work(context: Context) -> None:
            context.progress(1, 2, payload=engine.landscape(ask, context))
            engine.prefetch(ask, ahead, context)

        self._desk.lanes.deep.submit(
            work, lambda _: None, on_error=lambda _: None, on_progress=self._show
        )  # a frame that cannot be read says so once it is looked at

    def _show(self, progress: Progress) -> None:
        landscape = progress.payload
        if not isinstance(landscape, Landscape):
            return
        if not self._desk.is_current(landscape.key, any_threshold=True):
            return
        panel = self._window.threshold_panel
        if not self._ranged:  # once a source, so that the axes stand still while scrubbing
            self._ranged = True
            panel.set_ranges(_reach(landscape.births[1]), _reach(landscape.scores[1]))
        panel.set_histograms(*landscape.births, *landscape.scores)
        self._desk.landscape = landscape
        show_count(self._desk, panel)


def _reach(edges: NDArray[float64]) -> tuple[float, float]:
    """Range of a threshold slider: other frames may hold stronger peaks than this one."""
    return float(edges[0]), 3.0 * float(edges[-1])

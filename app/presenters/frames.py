"""From state to screen: the frame and its peaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from PyQt6.QtCore import QTimer

from braggscope.app.engine.jobs import Context, Progress
from braggscope.app.engine.views import Ask, Found, Measured, Picture, ViewKey
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.views import marks_of, show_count
from braggscope.app.state.plan import Request
from braggscope.app.state.session import Session
from braggscope.widgets.orientation import Orientation

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow

T = TypeVar("T")
STALE_MS = 100  # marks and table of what was wanted before stay at most so long
RETRY_MS, RETRIES = 300, 6  # of a frame that cannot be read while its file is followed
LEGEND = (
    ("plus", "fit", "fit"),
    ("circle", "braggnn", "BraggNN"),
    ("diamond", "net", "network (zoomed in)"),
    ("square", "reject", "no fit"),
    ("hatch", "#9db8d9", "masked"),
)
WITHOUT_PEAKS = ("strain",)  # workspaces in which frames are shown and no peaks are sought
REDO = {Request.FRAME, Request.PREPARE}


class FramePresenter:
    """Asks the engine for views and shows what comes back, if it is still wanted.

    At most one view is on its way until its picture has arrived; of those wanted meanwhile only the
    newest is asked for, so that fast scrubbing shows as many frames as the machine can make.
    """

    def __init__(self, desk: Desk, window: MainWindow) -> None:
        self._desk = desk
        self._window = window
        self._step = 1
        self._waiting = False  # a view is asked for and its picture has not arrived
        self._again = False  # another one was wanted meanwhile
        self._asked_at = 0.0
        self.latency_ms = 0.0
        self._retries = 0
        self._stale_timer, self._retry_timer = QTimer(window), QTimer(window)
        for timer, pause_ms, slot in (
            (self._stale_timer, STALE_MS, self._drop_stale), (self._retry_timer, RETRY_MS, self._retry)
        ):  # fmt: skip
            timer.setSingleShot(True)
            timer.setInterval(pause_ms)
            timer.timeout.connect(slot)
        view = window.frame_view
        view.step_changed.connect(self._set_step)
        window.levels_panel.levels_changed.connect(lambda low, high: self._display(levels=(low, high)))
        window.levels_panel.colormap_changed.connect(lambda name: self._display(colormap=name))
        window.levels_panel.scale_changed.connect(lambda name: self._display(scale=name))
        window.levels_panel.auto_requested.connect(self.auto_levels)
        view.set_legend(LEGEND)
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self.restart)
        desk.grown.connect(self._grown)
        desk.weights_changed.connect(self._ask_peaks)

    # -- state --------------------------------------------------------------------------------

    def on_plan(self, requests: frozenset[Request]) -> None:
        """Do what a change of state asks of this presenter."""
        if self._desk.engine is None or Request.OPEN in requests:  # restart() does it
            return
        if self._desk.table is None and not self._stale_timer.isActive():
            self._stale_timer.start()
        if requests & REDO:
            self._ask_view()
        else:
            if Request.RENDER in requests and not self._drawn_as_wanted():
                self._ask_picture()
            if requests & {Request.SELECT, Request.LOCALIZE}:
                self._ask_peaks()
        if Request.MARKS in requests:
            self.show_marks()

    def _on_state(self, old: Session, new: Session) -> None:
        if old.display != new.display or old.workspace != new.workspace:
            self.show_display()
        if old.workspace in WITHOUT_PEAKS:
            self._ask_peaks()

    @property
    def _peaks_wanted(self) -> bool:
        return self._desk.store.state.workspace not in WITHOUT_PEAKS

    def show_display(self) -> None:
        """Bring the widgets to the display state."""
        display = self._desk.store.state.display
        window = self._window
        window.levels_panel.set_colormap(display.colormap)
        window.levels_panel.set_scale(display.scale)
        if display.levels is not None:
            window.levels_panel.set_levels(*display.levels)
        view = window.frame_view
        view.set_layer_visible("peaks", display.show_peaks and self._peaks_wanted)
        view.set_layer_visible("mask", display.show_mask)
        view.set_layer_visible("regions", display.show_regions)
        view.set_orientation(Orientation(display.rotation, display.flip_h, display.flip_v))

    def restart(self) -> None:
        """Another source is open, or none."""
        self._waiting = self._again = False
        self._desk.picture = None
        self._desk.found = None
        self._window.frame_view.set_marks(None)
        if self._desk.engine is None:
            self._window.frame_view.clear()
            self._window.threshold_panel.set_count(0, 0)
            self._desk.peaks_shown.emit()
            return
        self.show_display()
        self._ask_view()
        self._window.frame_view.zoom_to_fit()

    def _grown(self) -> None:
        if self._desk.table is None:  # sums took in new frames
            self._ask_view()

    # -- asking -------------------------------------------------------------------------------

    def _ask(self) -> Ask | None:
        key, state = self._desk.key(), self._desk.store.state
        return None if key is None else Ask(key, state.frame, state.parameters, state.display, self._step)

    def _ask_view(self) -> None:
        if self._waiting:
            self._again = True
            return
        ask, engine = self._ask(), self._desk.engine
        if ask is None or engine is None:
            return
        self._waiting = True
        self._asked_at = time.perf_counter()
        work = engine.view if self._peaks_wanted else engine.look
        self._desk.lanes.frame.submit(
            lambda context: self._undisturbed(work, ask, context),
            self._show_measured,
            on_error=lambda error: self._failed(ask.key, error),
            on_progress=self._show_part,
            on_cancelled=lambda: None,
        )

    def _drawn_as_wanted(self) -> bool:
        picture = self._desk.picture
        if picture is None or not self._desk.is_current(picture.key, any_threshold=True):
            return False
        drawn = picture.display.model_copy(update={"levels": picture.levels})
        return drawn == self._desk.store.state.display

    def _retry(self) -> None:
        """Open the file anew and ask again."""
        engine = self._desk.engine
        if engine is not None:
            self._desk.lanes.small.submit(
                lambda _: engine.reader.refresh(), lambda _: self._ask_view(), on_error=self._desk.fail
            )

    def _ask_picture(self) -> None:
        ask, engine = self._ask(), self._desk.engine
        if ask is None or engine is None or self._waiting:
            self._again = self._waiting
            return
        self._asked_at = time.perf_counter()
        self._desk.lanes.render.submit(
            lambda context: engine.picture(ask, context), self._show_picture, on_error=self._desk.fail
        )

    def _ask_peaks(self) -> None:
        if self._waiting:
            self._again = True
            return
        ask, engine = self._ask(), self._desk.engine
        if ask is None or engine is None or not self._peaks_wanted:
            return
        self._asked_at = time.perf_counter()
        self._desk.lanes.frame.submit(
            lambda context: self._undisturbed(engine.peaks, ask, context),
            self._show_measured,
            on_error=lambda error: self._failed(ask.key, error),
            on_progress=self._show_part,
        )

    def _undisturbed(self, work: Callable[[Ask, Context], T], ask: Ask, context: Context) -> T:
        """Work of the frame lane; whole-series runs wait meanwhile."""
        with self._desk.gate:
            return work(ask, context)

    # -- showing ------------------------------------------------------------------------------

    def _show_part(self, progress: Progress) -> None:
        if isinstance(progress.payload, Picture):
            self._show_picture(progress.payload)
            self._arrived()
        elif isinstance(progress.payload, Found):
            self._show_peaks(progress.payload)

    def _arrived(self) -> None:
        self._waiting = False
        if self._again:
            self._again = False
            self._ask_view()

    def _show_picture(self, picture: Picture) -> None:
        wanted = self._desk.key()
        if wanted is None or picture.key.identity != wanted.identity:
            return
        current = self._desk.is_current(picture.key, any_threshold=True)
        if self._desk.picture is not None and not current and not self._again:
            return
        first = self._desk.picture is None
        self._desk.picture = picture
        self._retries = 0
        view = self._window.frame_view
        view.set_frame(picture.rgb, picture.prepared.image.shape)
        view.set_mask(picture.overlay)
        view.set_title(f"Frame {picture.key.frame}")
        self.show_marks()  # none, while those known belong to another image
        if self._desk.table is not None:  # back on an image whose list was dropped meanwhile
            self._desk.peaks_shown.emit()
        self._window.levels_panel.set_histogram(picture.counts, picture.edges)
        if self._desk.store.state.display.levels is None and picture.display.levels is None:
            self._window.levels_panel.set_levels(*picture.levels)
            self._display(levels=picture.levels)
        if first:
            view.zoom_to_fit()
        self.latency_ms = (time.perf_counter() - self._asked_at) * 1e3
        self._desk.picture_shown.emit()

    def _show_measured(self, measured: Measured | None) -> None:
        self._waiting = False
        if measured is not None:
            self._show_peaks(measured)
        if self._again:
            self._again = False
            self._ask_view()

    def _show_peaks(self, found: Found | Measured) -> None:
        if not self._desk.is_current(found.key):
            return
        self._desk.found = found
        self._stale_timer.stop()
        self.show_marks()
        show_count(self._desk, self._window.threshold_panel)
        self.latency_ms = (time.perf_counter() - self._asked_at) * 1e3
        self._desk.peaks_shown.emit()

    def show_marks(self) -> None:
        """Draw the marks of the peaks that are shown."""
        table = self._desk.table
        marks = None if table is None else marks_of(table, self._desk.store.state)
        self._window.frame_view.set_marks(marks)

    def _drop_stale(self) -> None:
        if self._desk.table is None:
            self.show_marks()
            self._desk.peaks_shown.emit()

    def _failed(self, key: ViewKey, error: Exception) -> None:
        self._waiting = False
        if self._desk.store.state.follow and self._retries < RETRIES:  # it may be being written
            self._retries += 1
            self._retry_timer.start()
            return
        if self._desk.is_current(key, any_threshold=True):
            self._desk.found = None
            self._drop_stale()
            self._desk.fail(error)
            self._desk.view_failed.emit()
        if self._again:
            self._again = False
            self._ask_view()

    # -- gestures -----------------------------------------------------------------------------

    def _set_step(self, step: int) -> None:
        if step != self._step:
            self._step = step
            self._ask_picture()

    def _display(self, **changes: object) -> None:
        state = self._desk.store.state
        self._desk.store.update(display=state.display.model_copy(update=changes))

    def auto_levels(self) -> None:
        """Levels from the percentiles of the frame on screen."""
        self._display(levels=None)

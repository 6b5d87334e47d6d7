"""Thresholds, peak table, selection and the patch view."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.views import ViewKey
from braggscope.app.folders import weights_folder
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.views import patch_content, with_rejected
from braggscope.app.presenters.weights import WeightShelf
from braggscope.app.state.session import PeakKey, Session
from braggscope.models.parameters import Localization, Parameters
from braggscope.models.peak_directions import with_directions
from braggscope.models.results import PeakTable, Status

if TYPE_CHECKING:
    from braggscope.app.engine.patch import PatchDetail
    from braggscope.app.main_window import MainWindow

REACH_PX = 6.0  # a click selects the nearest peak within this
STEP = 1.12  # factor of one key press on a threshold
PAUSE_MS = 600


class PeakPresenter:
    """One selection for image, table and plots; one pair of thresholds for sliders and keys."""

    def __init__(self, desk: Desk, window: MainWindow, shelf: WeightShelf) -> None:
        self._desk = desk
        self._window = window
        self._shelf = shelf
        self._pending: tuple[int, int] | None = None  # frame and peak to select once they are shown
        self._pause = QTimer(window)  # key presses further apart are steps of undo of their own
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(desk.store.end_merge)
        panel = window.threshold_panel
        panel.minval_changed.connect(lambda v: self._detect("minval", minval=v))
        panel.minscore_changed.connect(lambda v: self._detect("minscore", minscore=v))
        panel.committed.connect(desk.store.end_merge)
        panel.detector_changed.connect(lambda name: self._detect("", detector=name))
        panel.suggest_requested.connect(self.suggest)
        window.frame_view.clicked.connect(self._click)
        table = window.peak_table
        table.peak_selected.connect(self.select_row)
        table.reject_requested.connect(self._reject_rows)
        patch = window.patch_view
        patch.next_requested.connect(lambda: self.step(1))
        patch.previous_requested.connect(lambda: self.step(-1))
        patch.reject_toggled.connect(lambda _: self.toggle_reject())
        desk.store.subscribe(self._on_state)
        desk.peaks_shown.connect(self._show_table)
        desk.instrument_changed.connect(self._show_table)
        desk.opened.connect(self._restart)

    def _restart(self) -> None:
        self._show_thresholds()
        self._show_table()
        self._shelf.want(self._desk.store.state.parameters)

    # -- parameters ---------------------------------------------------------------------------

    def _set(self, parameters: Parameters, merge: str = "") -> None:
        store = self._desk.store
        store.replace(store.state.with_parameters(parameters), merge=merge)

    def _detect(self, merge: str, **changes: object) -> None:
        self._set(self._desk.store.state.parameters.with_detect(**changes), merge)

    def localize(self, **changes: object) -> None:
        """Change how peaks are measured."""
        self._set(self._desk.store.state.parameters.with_localize(**changes))

    def nudge(self, name: str, up: bool) -> None:
        """One key press on a threshold."""
        value = float(getattr(self._desk.store.state.parameters.detect, name))
        moved = value * STEP if up else value / STEP
        if value == 0 and up:
            moved = 1.0
        self._detect(f"key-{name}", **{name: float(f"{moved:.3g}")})
        self._pause.start()

    def suggest(self) -> None:
        """Thresholds from the frame on screen."""
        picture = self._desk.picture
        if picture is None:
            return
        prepared = picture.prepared

        def run(_: Context) -> tuple[float, float]:
            from braggscope.models.peaks.detect import suggest_thresholds

            return suggest_thresholds(prepared.image, prepared.excluded)

        def done(pair: tuple[float, float]) -> None:
            info = self._desk.info
            if info is not None and info.identity == picture.key.identity:
                self._detect("", minval=pair[0], minscore=pair[1])

        self._desk.lanes.small.submit(run, done, on_error=self._desk.fail)

    def ask_weights(self, network: str = "braggnn", title: str = "BraggNN") -> None:
        """Choose a file of weights for a network."""
        kinds = "Weights (*.safetensors *.pth *.pt *.ckpt)"
        name, _ = QFileDialog.getOpenFileName(
            self._window, f"Load {title} weights", str(weights_folder()), kinds
        )
        if name:
            self.localize(**{network: name})

    def _on_state(self, old: Session, new: Session) -> None:
        if old.parameters.detect != new.parameters.detect:
            self._show_thresholds()
        if self._pending is not None and new.frame != self._pending[0]:
            self._pending = None
        if old.parameters.localize != new.parameters.localize:
            self._shelf.want(new.parameters)
        if old.rejected != new.rejected:
            self._show_table()
        elif old.selected != new.selected:
            self._show_selection()

    def _show_thresholds(self) -> None:
        detect = self._desk.store.state.parameters.detect
        self._window.threshold_panel.set_thresholds(detect.minval, detect.minscore)
        self._window.threshold_panel.set_detector(detect.detector)

    # -- table and selection ------------------------------------------------------------------

    def shown_table(self) -> PeakTable | None:
        """Peaks on screen, rejected ones marked."""
        table = self._desk.table
        if table is None:
            return None
        table, instrument = with_rejected(table, self._desk.store.state.rejected), self._desk.instrument
        if instrument is None:
            return table
        return with_directions(table, instrument, self._desk.store.state.parameters.prepare.binning)

    def _show_table(self) -> None:
        self._window.peak_table.set_table(self.shown_table())
        self._show_selection()

    def selected_row(self) -> int | None:
        """Row of the selected peak in the shown table."""
        table, key = self._desk.table, self._desk.store.state.selected
        if table is None or key is None or key.frame != self._desk.store.state.frame:
            return None
        return key.index_in(table)

    def select_row(self, row: int) -> None:
        """Select by row of the shown table."""
        table = self._desk.table
        if table is None or not 0 <= row < len(table):
            return
        key = PeakKey(
            frame=self._desk.store.state.frame, row=int(table["row"][row]), col=int(table["col"][row])
        )
        self._desk.store.update(selected=key)

    def select_peak(self, frame: int, peak: int) -> None:
        """Go to a frame and select its peak of that number once it is shown."""
        table = self._desk.table
        if frame == self._desk.store.state.frame and table is not None:
            at = np.flatnonzero(table.detected & (table["peak"] == peak))
            self.select_row(int(at[0]) if len(at) else -1)
            return
        self._pending = (frame, peak)
        self._desk.store.update(frame=frame)

    def step(self, by: int) -> None:
        """Next or previous peak by score."""
        table = self._desk.table
        if table is None or not len(table):
            return
        row, rows = self.selected_row(), np.flatnonzero(table.detected)
        self.select_row(0 if row is None else int(rows[(np.searchsorted(rows, row) + by) % len(rows)]))

    def _click(self, x: float, y: float) -> None:
        table = self._desk.table
        if table is None or not len(table):
            return
        px = np.where(np.isfinite(table["x_fit"]), table["x_fit"], table["col"])
        py = np.where(np.isfinite(table["y_fit"]), table["y_fit"], table["row"])
        distance = np.hypot(px - x, py - y)
        nearest = int(np.argmin(distance))
        if distance[nearest] <= REACH_PX:
            self.select_row(nearest)
        else:
            self._desk.store.update(selected=None)

    def centre(self) -> None:
        """Bring the selected peak to the middle of the view."""
        key = self._desk.store.state.selected
        if key is not None:
            self._window.frame_view.centre_on(key.col, key.row)

    def toggle_reject(self) -> None:
        """Reject the selected peak, or take it back."""
        key = self._desk.store.state.selected
        if key is not None:
            self._desk.store.update(rejected=self._desk.store.state.rejected ^ {key.detected})

    def _reject_rows(self, rows: object) -> None:
        table, state = self._desk.table, self._desk.store.state
        if table is None:
            return
        keys = {
            PeakKey(frame=state.frame, row=int(table["row"][i]), col=int(table["col"][i]))
            for i in np.atleast_1d(np.asarray(rows, int))
        }
        self._desk.store.update(rejected=state.rejected ^ keys)

    # -- patch --------------------------------------------------------------------------------

    def _show_selection(self) -> None:
        wanted = self._pending
        if wanted and wanted[0] == self._desk.store.state.frame and self._desk.table is not None:
            self._pending = None
            self.select_peak(*wanted)
        row = self.selected_row()
        self._window.peak_table.select(row)
        picture, table = self._desk.picture, None if row is None else self.shown_table()
        if row is None or table is None or picture is None or picture.key.frame != table["frame"][row]:
            self._window.patch_view.set_content(None)
            return
        if table["status"][row] == Status.PENDING:
            return
        from braggscope.app.engine.patch import patch_detail

        parameters = self._desk.store.state.parameters
        networks = self._shelf.ready(parameters)
        key, selected = self._desk.key(), self._desk.store.state.selected
        self._desk.lanes.detail.submit(
            lambda _: patch_detail(picture.prepared, table, row, parameters, networks),
            lambda detail: self._show_patch(detail, parameters.localize, key, selected),
            on_error=self._desk.fail,
        )

    def _show_patch(
        self, detail: PatchDetail, settings: Localization, key: ViewKey | None, selected: PeakKey | None
    ) -> None:
        if key == self._desk.key() and selected == self._desk.store.state.selected:
            self._window.patch_view.set_content(patch_content(detail, settings))

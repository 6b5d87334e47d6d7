"""The Tracks workspace: links an analysed series, and one selection shows its tracks everywhere at once."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtCore import QTimer

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.runs import RunRecord
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.exports import ExportPresenter
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.runs import RunPresenter
from braggscope.app.presenters.track_curves import track_rows
from braggscope.app.presenters.track_edits import TrackEditing, plain
from braggscope.app.presenters.track_export import write_linked
from braggscope.app.presenters.track_views import TrackViews
from braggscope.app.presenters.views import watched
from braggscope.app.state.session import PeakKey, Session
from braggscope.app.wording import count_rows, counted
from braggscope.models.tracks.table import KEYS, TrackSettings
from braggscope.widgets.track_model import TrackRows

if TYPE_CHECKING:
    from braggscope.app.engine.tracks import Base, Linked
    from braggscope.app.main_window import MainWindow

SETTLE_MS = 80
RELINKED = ("workspace", "rejected", "sets", "active")  # of the session: what tracks may depend on
FILTER = "NeXus HDF5 (*.h5);;CSV (*.csv);;Parquet (*.parquet)"


class TracksPresenter:
    """One selection for table, plot, waterfall and frame: the peak that is selected, and its track."""

    def __init__(
        self, desk: Desk, window: MainWindow, jobs: JobBoard, runs: RunPresenter, exports: ExportPresenter
    ) -> None:
        self._desk = desk
        self._window = window
        self._jobs = jobs
        self._runs = runs
        self._exports = exports
        self._base: Base | None = None
        self._job = ""  # key of the job that links
        self._wanted: tuple | None = None  # what the base was linked from, or is being linked from
        self.linked: Linked | None = None
        self.chosen: list[int] = []  # tracks on show, the current one first
        self.views = TrackViews(desk, window, self)
        self.hand = TrackEditing(desk, window, self)
        self._timer = QTimer(window)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self._settle)
        table = window.track_table
        table.chosen.connect(self._choose)
        table.renamed.connect(self.hand.rename)
        table.requested.connect(self._request)
        window.tracks_plot.point_clicked.connect(self.select)
        window.tracks_plot.frame_clicked.connect(self.go_to)
        window.waterfall.frame_clicked.connect(self.go_to)
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self._forget)
        desk.runs_changed.connect(self._timer.start)
        desk.instrument_changed.connect(self._finish)

    # -- linking ------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._base, self._wanted = None, None
        self._take(None)
        self._timer.start()

    def _drop(self) -> None:
        self._base, self._wanted = None, None
        if self.linked is not None:
            self._take(None)

    @staticmethod
    def _source(record: RunRecord | None, state: Session) -> tuple | None:
        """What tracks are linked from: others belong to another run."""
        return None if record is None else (record.key, record.done, state.rejected)

    def _settle(self) -> None:
        """Link what is analysed, if somebody looks and it is not linked yet."""
        state, record = self._desk.store.state, self._runs.record()
        if self._desk.info is None:
            return
        analysed = record is not None and record.done and not self._runs.running
        if record is None or not analysed or state.workspace != "tracks":
            if not analysed or self._wanted != self._source(record, state):  # of another run
                self._drop()
            return
        wanted = self._source(record, state)
        linking = self._job in self._jobs.running
        if wanted != self._wanted or (self._base is None and not linking):
            self._wanted, self._base = wanted, None
            self._link(record, wanted)

    def _link(self, record: RunRecord, wanted: tuple | None) -> None:
        state = self._desk.store.state
        frames, rejected = np.flatnonzero(record.curves.done).tolist(), state.rejected
        binning = state.parameters.prepare.binning
        self._window.track_table.set_hint("Linking …")

        def run(context: Context) -> Base:
            from braggscope.app.engine.tracks import link_series

            return link_series(watched(record.key.tables(), frames, rejected, context), binning, context)

        def done(base: Base) -> str:
            if wanted == self._wanted:
                self._base = base
                self._finish()
            return f"{counted(len(base.tracks), 'track')} of {count_rows(base.table)}"

        def ended() -> None:
            self._window.track_table.set_hint("")

        self._job = self._jobs.submit(self._desk.lanes.tracks, "Tracks", run, done, on_end=ended)

    def _finish(self) -> None:
        """Apply the edits and the instrument, on the lane of tracks."""
        base, wanted = self._base, self._wanted
        if base is None:
            return
        edits = [plain(edit) for edit in self._desk.store.state.track_edits]
        instrument = self._desk.instrument

        def run(_: Context) -> tuple[Linked, TrackRows]:
            from braggscope.app.engine.tracks import finished

            linked = finished(base, edits, instrument)
            return linked, track_rows(linked)

        def show(found: tuple[Linked, TrackRows]) -> None:
            if wanted == self._wanted:
                self._take(*found)

        self._desk.lanes.tracks.submit(run, show, on_error=self._desk.fail)

    def _take(self, linked: Linked | None, rows: TrackRows | None = None) -> None:
        self.linked = linked
        self.chosen = []
        note = ""
        if linked is not None:
            note = f"{len(linked.tracks):,} tracks"
            if linked.lost:
                note += f", {linked.lost} changes by hand no longer apply"
        self._window.track_table.set_tracks(rows or TrackRows(), note)
        self._follow(self._desk.store.state)
        self.views.show_all()

    # -- selection ----------------------------------------------------------------------------

    def _on_state(self, old: Session, new: Session) -> None:
        if any(getattr(old, name) != getattr(new, name) for name in RELINKED):
            self._timer.start()
        if old.workspace != new.workspace:
            self.views.show_all()
        if old.track_edits != new.track_edits:
            self._finish()
        if new.workspace != "tracks":
            return
        if old.frame != new.frame:
            self.views.show_frame()
            if old.selected == new.selected:
                self._keep_up(new)
        if old.selected != new.selected and self._follow(new):
            self.views.show_all()

    def _follow(self, state: Session) -> bool:
        """Make the track of the selected peak the current one. Returns whether that changed anything."""
        track = -1 if state.selected is None else self.track_of(state.selected)
        if track < 0 or (self.chosen and self.chosen[0] == track):
            return False
        self.chosen = [track, *(k for k in self.chosen if k != track)] if track in self.chosen else [track]
        return True

    def _keep_up(self, state: Session) -> None:
        """The selected peak moves on with its track when the frame changes."""
        if self.chosen and state.selected is not None and self.track_of(state.selected) == self.chosen[0]:
            key = self._key_at(self.chosen[0], state.frame)
            if key is not None:
                self._desk.store.update(selected=key)

    def track_of(self, key: PeakKey) -> int:
        """The track of a peak on screen, -1 for none."""
        if self.linked is None:
            return -1
        frame, row, col = self._whole(key)
        at = self.linked.index.row_of((frame, row, col, key.component))
        return -1 if at is None else int(self.linked.tracks.track[at])

    def _choose(self, tracks: list[int]) -> None:
        self.chosen = list(tracks)
        if tracks:
            self.select(tracks[0], self._desk.store.state.frame)
        self.views.show_all()

    def select(self, track: int, frame: int) -> None:
        """Go to the peak of a track that is next to a frame."""
        if self.linked is None or not 0 <= track < len(self.linked.tracks):
            return
        rows = self.linked.tracks.rows(track)
        row = rows[np.argmin(np.abs(self.linked.table["frame"][rows] - frame))]
        key = self._key(int(row))
        self._desk.store.update(frame=key.frame, selected=key)

    def go_to(self, frame: int) -> None:
        """Go to a frame, with the peak that the current track has there."""
        key = self._key_at(self.chosen[0], frame) if self.chosen else None
        if key is None:
            self._desk.store.update(frame=frame)
        else:
            self._desk.store.update(frame=frame, selected=key)

    def _key_at(self, track: int, frame: int) -> PeakKey | None:
        if self.linked is None:
            return None
        rows = self.linked.tracks.rows(track)
        at = np.flatnonzero(self.linked.table["frame"][rows] == frame)
        return self._key(int(rows[at[0]])) if len(at) else None

    def _key(self, row: int) -> PeakKey:
        """Key of a row of the table: in pixels of the prepared image, as everywhere on screen."""
        assert self.linked is not None
        frame, y, x, part = (int(self.linked.table[name][row]) for name in KEYS)
        binning = self._desk.store.state.parameters.prepare.binning
        return PeakKey(frame=frame, row=y // binning, col=x // binning, component=part)

    def _whole(self, key: PeakKey) -> tuple[int, int, int]:
        """Frame, row and column of a key in pixels of the whole frame."""
        binning = self._desk.store.state.parameters.prepare.binning
        middle = (binning - 1) // 2
        return key.frame, key.row * binning + middle, key.col * binning + middle

    def _request(self, what: str) -> None:
        hand = self.hand
        {"split": hand.split, "join": hand.join, "delete": hand.delete, "export": self.ask_export}[what]()

    # -- export -------------------------------------------------------------------------------

    def ask_export(self) -> None:
        """Choose a file for all tracks with their peaks."""
        if self.linked is None:
            self._desk.say(
                "warning", "There are no tracks yet; analyse the series and open the Tracks workspace."
            )
            return
        path = self._exports.ask_name("Export tracks", "tracks.h5", FILTER)
        if path is not None:
            self.export(path)

    def export(self, path: Path) -> None:
        """Write all tracks with their peaks."""
        linked, state, info = self.linked, self._desk.store.state, self._desk.info
        if linked is None or info is None:
            return
        provenance = self._exports.provenance(state.parameters, f"{info.frames} frames").as_dict()
        provenance["tracks"] = {
            "settings": asdict(TrackSettings()),
            "edits": [edit.model_dump(mode="json") for edit in state.track_edits],
        }
        axes, inputs = self.views.axes(), self._exports.inputs()
        self._jobs.submit(
            self._desk.lanes.export, f"Tracks to {path.name}",
            lambda context: write_linked(path, linked, axes, provenance, inputs, context),
            lambda names: f"written: {', '.join(names)}", about=path,
        )  # fmt: skip

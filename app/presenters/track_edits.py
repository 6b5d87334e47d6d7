"""Tracks split, joined, deleted and renamed by hand: changes of the session, so undo takes them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from braggscope.app.presenters.desk import Desk
from braggscope.app.state.session import PeakKey, TrackEdit
from braggscope.models.tracks.table import KEYS, Edit

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow
    from braggscope.app.presenters.tracks import TracksPresenter


class TrackEditing:
    """Turns gestures into edits. An edit knows a track by one of its peaks, in pixels of the whole frame."""

    def __init__(self, desk: Desk, window: MainWindow, owner: TracksPresenter) -> None:
        self._desk = desk
        self._window = window
        self._owner = owner

    def split(self) -> None:
        """Cut the current track before the frame on screen."""
        linked, chosen, frame = self._owner.linked, self._owner.chosen, self._desk.store.state.frame
        if linked is None or not chosen:
            self._desk.say("warning", "Select a track in the Tracks workspace, then split it.")
            return
        tracks, k = linked.tracks, chosen[0]
        if not tracks.first[k] < frame <= tracks.last[k]:
            where = f"{tracks.first[k] + 1} to {tracks.last[k]}"
            self._desk.say(
                "warning", f"Go to one of the frames {where} to split track {tracks.name[k]} there."
            )
            return
        self._change(TrackEdit(kind="split", peak=self._mark(k, frame)))

    def join(self) -> None:
        """Make one track of the two that are selected."""
        if self._owner.linked is None or len(self._owner.chosen) != 2:
            self._desk.say("warning", "Select two tracks in the table (Ctrl + click), then join them.")
            return
        one, other = sorted(self._owner.chosen)
        self._change(TrackEdit(kind="join", peak=self._mark(one), other=self._mark(other)))

    def delete(self) -> None:
        """Dissolve the selected tracks."""
        chosen = self._owner.chosen
        if self._owner.linked is None or not chosen:
            self._desk.say("warning", "Select tracks in the Tracks workspace, then delete them.")
            return
        self._change(*(TrackEdit(kind="delete", peak=self._mark(k)) for k in chosen))

    def rename(self, track: int, name: str) -> None:
        """Give a track another name."""
        if self._owner.linked is not None:
            self._change(TrackEdit(kind="rename", peak=self._mark(track), name=name))

    def edit_name(self) -> None:
        """Let the user type a name for the current track."""
        self._window.track_table.edit_name()

    def _change(self, *edits: TrackEdit) -> None:
        store = self._desk.store
        store.update(track_edits=(*store.state.track_edits, *edits))

    def _mark(self, track: int, frame: int = -1) -> PeakKey:
        """The first peak of a track at or after ``frame``."""
        linked = self._owner.linked
        assert linked is not None
        table, rows = linked.table, linked.tracks.rows(track)
        rows = rows[np.argsort(table["frame"][rows], kind="stable")]
        at = rows[min(int(np.searchsorted(table["frame"][rows], frame)), len(rows) - 1)]
        return PeakKey(**{name: int(table[name][at]) for name in KEYS})


def plain(edit: TrackEdit) -> Edit:
    """An edit as the laboratory takes it."""
    other = edit.other
    return Edit(
        edit.kind, (edit.peak.frame, edit.peak.row, edit.peak.col, edit.peak.component),
        None if other is None else (other.frame, other.row, other.col, other.component), edit.name,
    )  # fmt: skip

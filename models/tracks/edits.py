"""Tracks changed by hand. An edit names peaks by frame and pixel, so it holds when all is linked again."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from braggscope.models.results import PeakTable
from braggscope.models.tracks.link import relink
from braggscope.models.tracks.table import Edit, Peak, PeakIndex, Tracks, TrackSettings

Integers = NDArray[np.int64]


def edited(
    table: PeakTable, tracks: Tracks, edits: Sequence[Edit], settings: TrackSettings | None = None
) -> tuple[Tracks, int]:
    """Tracks after all edits in their order, and how many of them do not apply: their peaks have no track."""
    if not edits:
        return tracks, 0
    change = _Change(table, tracks)
    lost = sum(not change.apply(edit) for edit in edits)
    if len(edits) == lost:
        return tracks, lost
    label, names = change.label, change.names
    result = tracks if np.array_equal(label, tracks.track) else relink(table, label, settings)
    kept = np.zeros(len(result), np.int64)
    kept[result.track[label >= 0]] = label[label >= 0]
    return replace(result, name=tuple(names[int(k)] for k in kept)), lost


class _Change:
    """Tracks while they are edited: ``label`` (N,) of every peak, -1 for none, and ``names`` of labels."""

    def __init__(self, table: PeakTable, tracks: Tracks) -> None:
        self.label = tracks.track.copy()
        self.names = dict(enumerate(tracks.name))
        self._frame = table["frame"]
        self._index = PeakIndex(table)
        self._tracks = tracks
        self._changed: dict[int, Integers] = {}  # rows of labels that have others than the track

    def apply(self, edit: Edit) -> bool:
        """Change labels and names; False where the edit does not apply."""
        track = self._of(edit.peak)
        if track < 0:
            return False
        if edit.kind == "rename":
            self.names[track] = edit.name
        elif edit.kind == "delete":
            self.label[self._rows(track)] = -1
        elif edit.kind == "split":
            return self._split(track, edit.peak[0])
        else:
            return edit.other is not None and self._join(track, self._of(edit.other))
        return True

    def _of(self, peak: Peak) -> int:
        row = self._index.row_of(peak)
        return -1 if row is None else int(self.label[row])

    def _rows(self, label: int) -> Integers:
        changed = self._changed.get(label)
        return self._tracks.rows(label) if changed is None else changed

    def _split(self, track: int, frame: int) -> bool:
        rows = self._rows(track)
        later = self._frame[rows] >= frame
        if later.all():
            return False
        new = max(self.names) + 1
        self.label[rows[later]] = new
        self._changed |= {track: rows[~later], new: rows[later]}
        self.names[new] = _free(f"{self.names[track]}b", self.names)
        return True

    def _join(self, track: int, other: int) -> bool:
        if other < 0 or other == track:
            return False
        rows, further = self._rows(track), self._rows(other)
        taken = np.isin(self._frame[further], self._frame[rows])
        self.label[further] = np.where(taken, -1, track)
        self._changed[track] = np.concatenate((rows, further[~taken]))
        return True


def _free(name: str, names: dict[int, str]) -> str:
    """``name``, or the same with a number that is not taken."""
    taken = set(names.values())
    wanted, k = name, 2
    while wanted in taken:
        wanted, k = f"{name}{k}", k + 1
    return wanted

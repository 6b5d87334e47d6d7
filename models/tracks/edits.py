"""Tracks changed by hand. An edit names peaks by frame and pixel, so it holds when all is linked again."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from braggscope.models.results import PeakTable
from braggscope.models.tracks.link import relink
from braggscope.models.tracks.table import Edit, Tracks, TrackSettings, row_of

Integers = NDArray[np.int64]


def edited(
    table: PeakTable, tracks: Tracks, edits: Sequence[Edit], settings: TrackSettings | None = None
) -> tuple[Tracks, int]:
    """Tracks after all edits in their order, and how many of them do not apply: their peaks have no track."""
    label = tracks.track.copy()
    names = dict(enumerate(tracks.name))
    lost = 0
    for edit in edits:
        lost += not _apply(table, label, names, edit)
    if len(edits) == lost:
        return tracks, lost
    result = tracks if np.array_equal(label, tracks.track) else relink(table, label, settings)
    kept = np.zeros(len(result), np.int64)
    kept[result.track[label >= 0]] = label[label >= 0]
    return replace(result, name=tuple(names[int(k)] for k in kept)), lost


def _apply(table: PeakTable, label: Integers, names: dict[int, str], edit: Edit) -> bool:
    """Change labels and names in place; False where the edit does not apply."""
    row = row_of(table, edit.peak)
    if row is None or label[row] < 0:
        return False
    track = int(label[row])
    frame = table["frame"]
    if edit.kind == "rename":
        names[track] = edit.name
    elif edit.kind == "delete":
        label[label == track] = -1
    elif edit.kind == "split":
        later = (label == track) & (frame >= edit.peak[0])
        if later.sum() == (label == track).sum():
            return False
        new = max(names) + 1
        label[later] = new
        names[new] = _free(f"{names[track]}b", names)
    else:
        at = None if edit.other is None else row_of(table, edit.other)
        if at is None or label[at] < 0 or label[at] == track:
            return False
        other = label == label[at]
        label[other] = np.where(np.isin(frame[other], frame[label == track]), -1, track)
    return True


def _free(name: str, names: dict[int, str]) -> str:
    """``name``, or the same with a number that is not taken."""
    taken = set(names.values())
    wanted, k = name, 2
    while wanted in taken:
        wanted, k = f"{name}{k}", k + 1
    return wanted

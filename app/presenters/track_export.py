"""Tracks of the window as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.axis import Axis
from braggscope.app.engine.jobs import Context
from braggscope.app.export.track_tables import TrackedTable, output_paths, write_tracks
from braggscope.app.files import check_not_input

if TYPE_CHECKING:
    from braggscope.app.engine.tracks import Linked


def write_linked(
    path: Path, linked: Linked, axes: Sequence[Axis], provenance: dict[str, Any], inputs: list[str | None],
    context: Context,
) -> list[str]:  # fmt: skip
    """Write peaks and tracks; returns the names of the files.

    Raises ExportError, OverwriteError, Cancelled.
    """
    for one in output_paths(path):
        check_not_input(one, inputs)
    tracked = TrackedTable(linked.table, linked.tracks, linked.spacings, tuple(axes), provenance)
    return [one.name for one in write_tracks(path, tracked, context)]

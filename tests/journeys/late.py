"""A user who cancels an export at the last moment."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from stage import Stage

from braggscope.app.engine.jobs import Context


def left_alone(stage: Stage, path: Path, write: Callable[[Path], object], title: str) -> None:
    """Export to an existing file, cancelled right before it is replaced: it must stay, alone as it was."""
    before, beside, commit = path.read_bytes(), set(path.parent.iterdir()), Context.commit

    def cancelled(context: Context) -> None:
        context._ticket.cancel()
        commit(context)

    with patch.object(Context, "commit", cancelled):
        write(path)
        stage.idle()
    assert stage.rows()[f"{title} {path.name}"] == "cancelled"
    assert path.read_bytes() == before
    assert set(path.parent.iterdir()) == beside

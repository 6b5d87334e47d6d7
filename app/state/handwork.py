"""What was done by hand on a series, kept when another one is opened: it is there again with the series."""

import hashlib
import logging
from pathlib import Path
from typing import Any

from braggscope.app.folders import state_folder
from braggscope.app.state.session import Session, SessionError, load_session, save_session

log = logging.getLogger(__name__)
MOST = 300  # series; those that were left longest ago go


def handwork_path(identity: str) -> Path:
    """Where that of a source is kept; ``identity`` changes with its content."""
    name = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return state_folder() / "series" / f"{name}.json"


def handwork(session: Session, drawn: bool = True) -> dict[str, Any]:
    """The fields that hold work of the hand; none where nothing was done but thresholds and looks.

    ``drawn``: whether regions count that were drawn, and nothing else.
    """
    prepare = session.parameters.prepare
    regions = drawn and (prepare.masked or prepare.regions)
    if not (session.rejected or session.track_edits or len(session.sets) > 1 or regions):
        return {}
    return {name: getattr(session, name) for name in ("sets", "active", "rejected", "track_edits")}


def keep_handwork(session: Session, identity: str) -> None:
    """Write what was done by hand; nothing stays where all of it was taken back. Raises OSError."""
    path = handwork_path(identity)
    if not handwork(session):
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(exist_ok=True)
    save_session(session, path)
    known = sorted(path.parent.glob("*.json"), key=lambda other: other.stat().st_mtime)
    for old in known[:-MOST]:
        old.unlink(missing_ok=True)


def load_handwork(identity: str, drawn: bool = True) -> dict[str, Any]:
    """What was done by hand on this source before, by the session's fields; empty where nothing is known."""
    path = handwork_path(identity)
    if not path.exists():
        return {}
    try:
        return handwork(load_session(path), drawn)
    except SessionError as error:
        log.warning("What was done by hand on this series is lost: %s", error)
        return {}


def told(fields: dict[str, Any]) -> str:
    """One sentence for the user about what is back."""
    sets, masked = fields["sets"], fields["sets"][0].parameters.prepare
    counts = (
        (len(fields["rejected"]), "rejected peak"), (len(fields["track_edits"]), "edited track"),
        (len(sets) if len(sets) > 1 else 0, "parameter set"),
        (len(masked.masked) + len(masked.regions), "drawn region"),
    )  # fmt: skip
    parts = [f"{count:,} {name}{'s' * (count > 1)}" for count, name in counts if count]
    return f"What was done on this series before is back: {', '.join(parts)}. Undo takes that away."

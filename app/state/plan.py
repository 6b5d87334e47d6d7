"""What must be done again after a change of state: one pure function."""

from enum import Enum, auto

from braggscope.app.state.session import Session


class Request(Enum):
    """Work that follows from a change."""

    OPEN = auto()  # another source
    PREPARE = auto()  # masks and calibration: read, prepare, find, render
    FRAME = auto()  # another frame: read, prepare, find, render
    RENDER = auto()  # the same pixels in other colours
    SELECT = auto()  # thresholds: column arithmetic on candidates, then what is not yet measured
    LOCALIZE = auto()  # other fits or networks on the same peaks
    MARKS = auto()  # rejected or selected peaks: redraw only
    PATCH = auto()  # the patch view shows another peak
    SETS = auto()  # list and curves of the parameter sets
    SAVE = auto()  # autosave


def plan(old: Session, new: Session) -> frozenset[Request]:
    """Requests that bring everything shown from ``old`` to ``new``."""
    if (old.location, old.frame_axis) != (new.location, new.frame_axis):
        return frozenset(Request) - {Request.PREPARE}
    wanted: set[Request] = set()
    before, after = old.parameters, new.parameters
    if before.prepare != after.prepare:
        wanted |= {Request.PREPARE}
    elif old.frame != new.frame:
        wanted |= {Request.FRAME}
    elif before.detect != after.detect:
        wanted |= {Request.SELECT}
    elif before.localize != after.localize:
        wanted |= {Request.LOCALIZE}
    if old.display != new.display:
        wanted |= {Request.RENDER}
    if old.rejected != new.rejected:
        wanted |= {Request.MARKS, Request.PATCH, Request.SETS}
    if old.selected != new.selected:
        wanted |= {Request.MARKS, Request.PATCH}
    if old.sets != new.sets or old.active != new.active:
        wanted |= {Request.SETS}
    if old != new:
        wanted |= {Request.SAVE}
    return frozenset(wanted)

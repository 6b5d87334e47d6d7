"""The whole state of the window as one frozen value: what is saved, restored and undone."""

import json
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from braggscope.app.files import atomic_path
from braggscope.app.state.coherent import CoherentLook
from braggscope.app.state.strain import StrainView
from braggscope.models.cells import Cell
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable

VERSION = 1
Workspace = Literal["series", "tracks", "strain", "coherent", "accuracy", "export"]


class SessionError(Exception):
    """A session file cannot be used. One sentence says why."""


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ParameterSet(_State):
    """Parameters under a name and a colour, kept beside others for comparison."""

    key: str
    name: str
    colour: str
    parameters: Parameters = Parameters()
    visible: bool = True


class Display(_State):
    """How frames look. Changes of these recompute nothing but the picture."""

    colormap: str = "inferno"
    scale: Literal["linear", "sqrt", "log"] = "linear"
    levels: tuple[float, float] | None = None
    rotation: Literal[0, 90, 180, 270] = 0
    flip_h: bool = False
    flip_v: bool = False
    show_peaks: bool = True
    show_mask: bool = True
    show_regions: bool = True
    show_background: bool = False
    show_rings: bool = False


class ChosenInstrument(_State):
    """An instrument that was typed in, loaded or refined, for frames of ``shape`` (rows, columns)."""

    instrument: Instrument
    shape: tuple[int, int]
    origin: str = "typed in"


class PeakKey(_State):
    """A peak by where it is: survives changes of the thresholds.

    ``component``: 0, or that of a further peak fitted with it, which is selected and rejected with it but may
    be on a track of its own.
    """

    frame: int
    row: int
    col: int
    component: int = 0

    def index_in(self, table: PeakTable) -> int | None:
        """Row of the detected peak in a table, or None."""
        same = (table["frame"] == self.frame) & (table["row"] == self.row) & (table["col"] == self.col)
        at = np.flatnonzero(same & table.detected)
        return int(at[0]) if len(at) else None

    @property
    def detected(self) -> "PeakKey":
        """Key of the peak that was detected there."""
        return self.model_copy(update={"component": 0})


class TrackEdit(_State):
    """A track changed by hand; see :class:`braggscope.models.tracks.table.Edit`."""

    kind: Literal["split", "join", "delete", "rename"]
    peak: PeakKey
    other: PeakKey | None = None
    name: str = ""


class Session(_State):
    """Everything that a restart brings back."""

    version: int = VERSION
    location: str | None = None
    frame_axis: int | None = None
    frame: int = Field(0, ge=0)
    sets: tuple[ParameterSet, ...] = Field((ParameterSet(key="A", name="A", colour="#56b4e9"),), min_length=1)
    active: str = "A"
    selected: PeakKey | None = None
    rejected: frozenset[PeakKey] = frozenset()
    track_edits: tuple[TrackEdit, ...] = ()
    display: Display = Display()
    fps: float = Field(12.0, gt=0, allow_inf_nan=False)
    play_mode: Literal["every", "realtime"] = "every"
    follow: bool = False
    workspace: Workspace = "series"
    instrument: ChosenInstrument | None = None  # None: what the metadata say
    cell: Cell | None = None  # whose rings are drawn; None: the first calibrant
    coherent: CoherentLook = CoherentLook()
    strain: StrainView = StrainView()

    @property
    def current(self) -> ParameterSet:
        """The set whose thresholds the sliders move."""
        return next((s for s in self.sets if s.key == self.active), self.sets[0])

    @property
    def parameters(self) -> Parameters:
        """Parameters of the current set."""
        return self.current.parameters

    def with_parameters(self, parameters: Parameters) -> Self:
        """Session with other parameters in the current set; preparation is shared by all sets."""
        sets = []
        for entry in self.sets:
            if entry.key == self.current.key:
                new = parameters
            else:
                new = entry.parameters.model_copy(update={"prepare": parameters.prepare})
            sets.append(entry.model_copy(update={"parameters": new}))
        return self.model_copy(update={"sets": tuple(sets)})

    def with_set(self, key: str, **changes: Any) -> Self:
        """Session with some fields of one set replaced."""
        sets = tuple(s.model_copy(update=changes) if s.key == key else s for s in self.sets)
        return self.model_copy(update={"sets": sets})


def save_session(session: Session, path: Path) -> None:
    """Write atomically, as JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(session.model_dump_json(indent=1), "utf-8")


def load_session(path: Path) -> Session:
    """Read a session written by this or an older version. Raises SessionError."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SessionError(f"{path.name} could not be read as a session: {error}.") from error
    if not isinstance(data, dict) or type(data.get("version")) is not int or data["version"] < 0:
        raise SessionError(f"{path.name} is no Braggscope session: it has no version.")
    if data["version"] > VERSION:
        raise SessionError(
            f"{path.name} was written by a newer Braggscope (session version {data['version']}, "
            f"this one reads up to {VERSION}); update the program to open it."
        )
    try:
        return Session.model_validate(_migrate(data))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SessionError(f"{path.name} is damaged: {where}: {first['msg']}.") from error


def _migrate(data: dict[str, Any]) -> dict[str, Any]:
    """Bring older versions up to date, one step at a time."""
    if data["version"] == 0:  # before 0.1.0: one parameter set, under "parameters"
        parameters = data.pop("parameters", {})
        data["sets"] = [{"key": "A", "name": "A", "colour": "#56b4e9", "parameters": parameters}]
        data["version"] = 1
    return data

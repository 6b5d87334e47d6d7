"""Where a result comes from: written into or beside everything that leaves the program."""

import json
import time
from dataclasses import asdict, dataclass

from braggscope.app.version import VERSION
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters

CONVENTION = (
    "pixel centres are integers: (0, 0) is the centre of the first pixel; "
    "x = column, y = row, of the whole frame"
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Program, source, parameters, weights and instrument of one result.

    ``files``: where the frames lie in several files, the location of each and the index of its first frame.
    """

    source: str
    identity: str
    parameters: Parameters
    weights: str = ""
    weights_sha256: str = ""
    device: str = "cpu"
    frames: str = ""
    files: tuple[tuple[str, int], ...] = ()
    instrument: Instrument | None = None

    def as_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        values = asdict(self)
        values["files"] = [{"file": name, "first_frame": first} for name, first in self.files]
        values["instrument"] = None if self.instrument is None else self.instrument.model_dump(mode="json")
        values["parameters"] = self.parameters.model_dump(mode="json")
        return {
            "program": "Braggscope",
            "version": VERSION,
            "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "convention": CONVENTION,
            **values,
        }

    def json(self) -> str:
        """The same as text."""
        return json.dumps(self.as_dict(), indent=1)

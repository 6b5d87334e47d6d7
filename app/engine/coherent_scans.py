"""Many scans phased with the same parameters, one file for each, and a table of what came out.

The journal is ``scans.json`` beside the files: one entry for every finished scan with the identity of its
stack, the parameters and what the files hold that they name. A scan where all that is the same and whose
file is there is not phased again. It is written whole, beside the old one, after every scan, so that a run
that is killed loses the scan under way at most; the journal of frames knows one source, whose entries go
when the run is complete, and tables of peaks only.
"""

import glob
import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from braggscope.app.engine.cdi import phase_stack, read_stack
from braggscope.app.engine.cdi_network import weights_record
from braggscope.app.engine.coherent_geometry import check_step
from braggscope.app.engine.coherent_parameters import files_of
from braggscope.app.engine.coherent_results import candidates
from braggscope.app.engine.coherent_views import frames_of, particle_of
from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.app.engine.within import Within
from braggscope.app.errors import sentence
from braggscope.app.files import atomic_path
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters

JOURNAL = "scans.json"
TABLE = "scans.csv"


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan. ``size``: diameter of the ball of the same volume in ``unit``; NaN where something is not
    known. ``problem``: one sentence, or empty.
    """

    location: str
    output: str = ""
    chi: float = math.nan
    chi_model: float = math.nan
    size: float = math.nan
    unit: str = ""
    mean_strain: float = math.nan
    rms_strain: float = math.nan
    problem: str = ""
    done: bool = False


def scans_of(names: Sequence[str]) -> list[str]:
    """Locations of stacks from names and globs, sorted within a glob, each once."""
    found: list[str] = []
    for name in names:
        found += sorted(glob.glob(name)) if any(c in name for c in "*?[") else [name]
    return list(dict.fromkeys(found))


def phase_scans(
    locations: Sequence[str], parameters: Parameters, folder: Path, context: Context
) -> list[Scan]:
    """Phase every stack into ``folder``; a scan that fails says why and the others go on.

    Progress counts hundredths of scans; its payload is the list so far. Raises Cancelled; what is done
    is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known, scans = _journal(folder), [Scan(location) for location in locations]
    for place, location in enumerate(locations):
        context.progress(100 * place, 100 * len(locations), Path(location).name, list(scans))
        try:
            scans[place] = _scan(location, parameters, folder, known, context, place, scans)
        except Cancelled:
            raise
        except Exception as error:  # a scan that cannot be phased does not end the series
            scans[place] = Scan(location, problem=sentence(error))
    _write_table(folder / TABLE, scans)
    context.progress(100 * len(locations), 100 * len(locations), "", list(scans))
    return scans


def _scan(
    location: str,
    parameters: Parameters,
    folder: Path,
    known: dict[str, dict[str, object]],
    context: Context,
    place: int,
    scans: list[Scan],
) -> Scan:
    from braggscope.app.export.phasing import write_phasing  # here: exports know the engine
    from braggscope.app.export.provenance import Provenance

    count = len(scans)
    with Reader() as reader:
        info = reader.open(location, cancelled=context.cancelled)
        check_step(info, parameters.phasing.geometry)
        weights = weights_record(parameters.phasing)
        mark = f"{info.identity} {_fingerprint(parameters, weights[1])}"
        output = folder / f"{_stem(location)}-{hashlib.sha256(location.encode()).hexdigest()[:6]}.h5"
        before = known.get(location)
        if before is not None and before.get("mark") == mark and output.exists():
            return Scan(**before["scan"])  # type: ignore[arg-type]
        inner = _Inner(context, place, count, Path(location).name, scans)
        stack = read_stack(reader, inner, None, *files_of(parameters.prepare))
    phased = phase_stack(stack, parameters.phasing, inner)
    context.check()
    provenance = Provenance(info.location, info.identity, parameters, *weights, files=info.parts)
    write_phasing(output, phased, provenance)
    best = candidates(phased)[0]
    particle = particle_of(best.obj, best.support, phased.parameters, frames_of(phased.parameters)[0])
    volume = particle.support.sum() * float(np.prod(particle.spacing))
    strain = np.zeros(0) if particle.strain is None else particle.strain.strain[~particle.strain.surface]
    strain = strain[np.isfinite(strain)]
    scan = Scan(
        location, str(output), best.chi, best.chi_model, float(np.cbrt(6 / np.pi * volume)), particle.unit,
        float(strain.mean()) if strain.size else math.nan, float(strain.std()) if strain.size else math.nan,
        done=True,
    )  # fmt: skip
    known[location] = {"mark": mark, "scan": asdict(scan)}
    with atomic_path(folder / JOURNAL) as temporary:
        temporary.write_text(json.dumps(known, indent=1), "utf-8")
    return scan


class _Inner(Within):
    """Progress of one scan as part of the series."""

    def __init__(self, outer: Context, place: int, count: int, name: str, scans: list[Scan]) -> None:
        super().__init__(outer)
        self._place, self._count, self._name = place, count, name
        self._scans, self._percent = scans, -1

    def progress(self, done: int, total: int, note: str = "", payload: object = None) -> None:
        """Report whole hundredths of a scan; reading is the first of them."""
        self._outer.check()
        percent = 0 if note == "reading" else 100 * done // max(total, 1)
        if percent != self._percent:
            self._percent = percent
            said = f"{self._name}, {percent} %"
            self._outer.progress(100 * self._place + percent, 100 * self._count, said, list(self._scans))


def _journal(folder: Path) -> dict[str, dict[str, object]]:
    try:
        found = json.loads((folder / JOURNAL).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _fingerprint(parameters: Parameters, weights: str) -> str:
    """Parameters, the hash of the weights, and size and time of mask, dark and flat."""
    files = files_of(parameters.prepare)
    held = [field.name for field in fields(Scan)]  # what an entry of another version may lack
    stamps = [_stamp(name) for name in files]
    text = f"{parameters.phasing.model_dump_json()} {files} {stamps} {weights} {held}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stamp(name: str | None) -> str:
    """A missing file is left to the reading."""
    try:
        found = os.stat(name.rpartition("::")[0] or name) if name else None
    except OSError:
        found = None
    return "" if found is None else f"{found.st_size}-{found.st_mtime_ns}"


def _stem(location: str) -> str:
    return Path(location.partition("::")[0].rstrip("/")).name.partition(".")[0] or "scan"


def _write_table(path: Path, scans: Sequence[Scan]) -> None:
    import csv

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(scans[0])) if scans else ["location"])
        writer.writeheader()
        writer.writerows(asdict(scan) for scan in scans)

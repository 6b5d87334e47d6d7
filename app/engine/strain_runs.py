"""Strain of a scan in the window: kept in a journal, resumed, and renewed without measuring again."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from braggscope.app.engine.batch import Gate
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.journal import FORMAT, Journal, JournalError
from braggscope.app.engine.runs import prune
from braggscope.app.engine.scan import Scan
from braggscope.app.engine.strain_key import strain_key
from braggscope.app.engine.strain_records import IMAGES, Found
from braggscope.app.engine.strain_result import StrainResult
from braggscope.app.folders import state_folder
from braggscope.models.parameters import Parameters

Partial = Callable[[StrainResult], object]


@dataclass(frozen=True, slots=True)
class StrainJob:
    """A scan to be measured. Runs whose disks are the same share a journal, whatever their reference."""

    scan: Scan
    parameters: Parameters
    device: str = "cpu"
    workers: int = 2

    def place(self) -> tuple[Path, dict[str, str]]:
        """Folder and key of the journal. Reads from disk. Raises WeightsError."""
        key = strain_key(self.scan.info, self.parameters, None, "disks")
        key["parameters"] += f" {self.scan.scan_shape}"
        name = hashlib.sha256(json.dumps([sorted(key.items()), FORMAT]).encode()).hexdigest()[:20]
        return state_folder() / "runs" / name, key

    def run(self, context: Context, gate: Gate | None = None) -> StrainResult:
        """Measure what is not in the journal. Raises as :func:`braggscope.app.engine.strain.run_strain`."""
        from braggscope.app.engine.strain import run_strain

        folder, key = self.place()
        prune({folder})
        with contextlib.closing(Journal.resume(folder, key)) as journal:
            return run_strain(
                self.scan.location, self.parameters, journal, context,
                frame_axis=self.scan.frame_axis, device=self.device, workers=self.workers, gate=gate,
                identity=self.scan.info.identity,
            )  # fmt: skip

    def done(self) -> int:
        """Positions in the journal; 0 without one."""
        try:
            folder, key = self.place()
            with contextlib.closing(Journal.existing(folder, key)) as journal:
                return len(journal.done())
        except JournalError:
            return 0


def renewable(result: StrainResult, parameters: Parameters) -> bool:
    """Whether :func:`renewed` can: lattices fitted to patterns are kept with their ellipse made round."""
    ratios = result.parameters.strain.ellipse[0], parameters.strain.ellipse[0]
    return result.parameters.strain.method != "lattice" or ratios == (1.0, 1.0)


def renewed(result: StrainResult, parameters: Parameters) -> StrainResult:
    """The same disks with another reference, frame, lattice or weights. Raises StrainError."""
    from braggscope.app.engine.disk_tools import worded
    from braggscope.app.engine.strain_doubts import residual_doubts
    from braggscope.app.engine.strain_maps import whole_maps

    scan, settings = result.scan, parameters.strain
    places = np.arange(scan.positions)
    found = Found(places, result.disks, np.zeros((scan.positions, len(IMAGES))), result.fitted)
    try:
        lattices, lattice, strain = whole_maps(found, scan.scan_shape, scan.shape, settings)
    except ValueError as error:
        raise worded(scan.location, error) from error
    before = residual_doubts(result.disks, result.lattices, result.probe.radius)
    doubts = tuple(doubt for doubt in result.doubts if doubt not in before)
    doubts += residual_doubts(result.disks, lattices, result.probe.radius)
    return replace(
        result, lattices=lattices, lattice=lattice, strain=strain, parameters=parameters, doubts=doubts
    )

"""What is known once the strain of a scan was measured, or why it cannot be."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.scan import Scan
from braggscope.models.disks.results import Disks, Lattice, LatticeMap, Probe, StrainMap
from braggscope.models.parameters import Parameters

Image = NDArray[np.float64]


class StrainError(Exception):
    """Strain cannot be measured. The message is one sentence."""

    expected = True


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of wall time: of the probe, of the pass over the scan, of calibration to strain."""

    probe: float = 0.0
    disks: float = 0.0
    strain: float = 0.0
    patterns: int = 0  # found in this run, not in the journal

    @property
    def rate(self) -> float:
        """Patterns per second of the pass."""
        return self.patterns / self.disks if self.disks > 0 else 0.0


@dataclass(frozen=True, slots=True)
class StrainResult:
    """The strain of a scan and all that it was made from.

    ``disks`` as found, px of the prepared pattern (while maps fill in: the latest few); ``lattices``: of
    every position, of disks corrected for the ellipse; ``lattice``: what they were indexed by. ``images``:
    virtual images by name, (rows, columns). ``problems``: sentences, by position, about patterns that could
    not be read or measured. ``notes``: sentences about the whole; ``doubts``: what speaks against it.
    ``fitted``: lattices of every position as the lattice-constrained fit gave them, before any correction;
    None for other methods. ``complete``: False while maps fill in.
    """

    scan: Scan
    probe: Probe
    disks: Disks
    lattices: LatticeMap
    lattice: Lattice
    strain: StrainMap
    parameters: Parameters
    images: dict[str, Image] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    timing: Timing = Timing()
    fitted: LatticeMap | None = None
    complete: bool = True

    @property
    def scan_step_nm(self) -> float | None:
        """Distance of two positions, where the source says so."""
        return self.scan.info.quantities.get("scan_step_nm")


def axes_on_scan(result: StrainResult) -> tuple[float, float]:
    """Directions in the scan of the x and y in which the strain is given, rad from its columns to its rows.

    These axes are of the pattern; ``rotation`` leads from its x to that of the scan, once the pattern's axes
    are exchanged where ``transpose`` says so.
    """
    settings, frame = result.parameters.strain, result.strain.frame
    if settings.transpose:
        return np.pi / 2 - frame - settings.rotation, -frame - settings.rotation
    return frame - settings.rotation, frame + np.pi / 2 - settings.rotation

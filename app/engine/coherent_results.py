"""Reconstructions side by side: what each is worth, and how far they lie from each other."""

import math
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.cdi import Phased
from braggscope.app.engine.coherent_views import Particle
from braggscope.app.wording import counted
from braggscope.models.cdi.after import bring_into_order, strain_along
from braggscope.models.cdi.alignment import aligned
from braggscope.models.cdi.outcome import Outcome
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.parameters import Preparation


@dataclass(frozen=True, slots=True)
class Candidate:
    """One start of one method, with what is shown of it.

    ``free``: log-likelihood per withheld voxel, larger is better; ``spread``: rad, rms phase difference to
    the best of its run inside the crystal, NaN where it is alone; ``chi_model``: NaN where not refined;
    ``prepare``: names the mask, dark and flat; ``weights``: name and hash of the network, empty without.
    """

    method: str
    start: int
    chi: float
    R: float
    chi_model: float
    R_model: float
    free: float
    spread: float
    obj: NDArray[np.complex64]
    support: NDArray[np.bool_]
    phased: Phased
    prepare: Preparation
    weights: tuple[str, str]


def candidates(
    phased: Phased, prepare: Preparation | None = None, weights: tuple[str, str] = ("", "")
) -> list[Candidate]:
    """All runs of a result, the best by free likelihood first; the refined object stands for the best.

    Spread and transfer function are those of the runs that agree; a run that does not goes without.
    """
    best, refined = phased.outcome.best, phased.outcome.refined
    kept = phased.spread.kept if phased.spread is not None else ()
    alone = replace(phased, spread=None, transfer=None)
    rows = []
    for place, run in enumerate(phased.outcome.runs):
        first = place == 0 and refined is not None
        ours = phased if place in kept else alone
        rows.append(
            Candidate(
                run.method, run.start, run.agreement.chi, run.agreement.R,
                refined.agreement.chi if first and refined is not None else math.nan,
                refined.agreement.R if first and refined is not None else math.nan,
                run.free,
                math.nan if len(phased.outcome.runs) == 1 else _distance(run.obj, best.obj, best.support),
                *(phased.outcome.final if first else (run.obj, run.support)), ours,
                prepare or Preparation(), weights,
            )
        )  # fmt: skip
    return rows


def _distance(obj: NDArray, best: NDArray, inside: NDArray[np.bool_]) -> float:
    """Rms phase difference in rad after alignment."""
    if obj is best:
        return 0.0
    turn = np.angle(aligned(obj, best)[0][inside] * np.conj(best[inside]))
    weight = np.abs(best[inside])
    return float(np.sqrt((weight * turn**2).sum() / weight.sum()))


def held_arrays(candidate: Candidate) -> dict[int, int]:
    """Bytes of every array that its results hold in memory; candidates of one run share theirs."""
    found: dict[int, int] = {}
    stack: list[object] = [candidate.phased]
    while stack:
        value = stack.pop()
        if isinstance(value, np.ndarray):
            found[id(value)] = value.nbytes
        elif isinstance(value, list):
            stack += value
        elif is_dataclass(value):
            stack += [getattr(value, field.name) for field in fields(value)]
    return found


def as_phased(candidate: Candidate, parameters: Phasing) -> Phased:
    """The result with this candidate in the first place, to be written.

    ``parameters``: with the voxel size after cropping. The refined object belongs to the best run only.
    """
    phased = candidate.phased
    ours = (candidate.method, candidate.start)
    runs = sorted(phased.outcome.runs, key=lambda run: (run.method, run.start) != ours)
    refined = phased.outcome.refined if runs[0] is phased.outcome.best else None
    shape, strain = bring_into_order(candidate.obj, candidate.support), None
    q, voxel = parameters.q_inv_angstrom, parameters.voxel_nm
    if parameters.geometry is None and q is not None and voxel is not None:
        strain = strain_along(shape, q, voxel)
    return replace(phased, parameters=parameters, outcome=Outcome(runs, refined), shape=shape, strain=strain)


def facts(candidate: Candidate, particle: Particle) -> list[tuple[str, str]]:
    """What is said of a reconstruction, as (name, value)."""
    pattern, transfer = candidate.phased.pattern, candidate.phased.transfer
    rows = [("chi", f"{candidate.chi:.4f}"), ("R", f"{candidate.R:.4f}")]
    if math.isfinite(candidate.chi_model):
        rows += [("chi model", f"{candidate.chi_model:.4f}")]
        rows += [("R model", f"{candidate.R_model:.4f}")]
    rows.append(("Free likelihood", f"{candidate.free:.3f}".replace("-", "−")))
    spread, runs = candidate.phased.spread, len(candidate.phased.outcome.runs)
    if spread is not None:
        rows.append(("Averaged", f"{spread.members} of {counted(runs, 'run')}"))
    elif runs > 1:
        rows.append(("Averaged", "no, the runs are too unlike"))
    if transfer is not None:
        rows.append(("Resolution at 1/e", resolution_text(candidate.phased, particle)))
    rows.append(("Voxel z, y, x", _lengths(particle.spacing, particle)))
    rows.append(("Crystal z, y, x", _lengths(extent(particle), particle)))
    rows.append(("Inside", counted(int(particle.support.sum()), "voxel")))
    rows.append(("Twin", "the other one was taken" if particle.twin else "kept as found"))
    if particle.strain is not None:
        inner = particle.strain.strain[np.isfinite(particle.strain.strain) & ~particle.strain.surface]
        if inner.size:
            rows.append(("Mean strain", _power(float(inner.mean()))))
            rows.append(("Rms strain", _power(float(inner.std()))))
    rows.append(("Oversampling", ", ".join(f"{side:.1f}" for side in pattern.oversampling)))
    return rows


def extent(particle: Particle) -> tuple[float, float, float]:
    """(z, y, x) size of the crystal in the unit of the spacing."""
    sides = []
    for axis in range(3):
        along = np.flatnonzero(particle.support.any(axis=tuple(a for a in range(3) if a != axis)))
        sides.append((along[-1] - along[0] + 1) * particle.spacing[axis] if along.size else 0.0)
    return sides[0], sides[1], sides[2]


def resolution_text(phased: Phased, particle: Particle) -> str:
    """Where the transfer function falls below 1/e, or that it does not."""
    transfer = phased.transfer
    if transfer is None:
        return "needs several runs"
    least = "" if transfer.reached else "below "
    if particle.voxel_nm is None:
        return f"{least}{transfer.resolution:.1f} voxels"
    return f"{least}{transfer.resolution * float(np.mean(particle.voxel_nm)):.1f} nm"


def _power(value: float) -> str:
    """``−9.52e−5``."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def _lengths(sides: tuple[float, float, float], particle: Particle) -> str:
    if particle.voxel_nm is None and sides == (1.0, 1.0, 1.0):
        return "unknown"
    whole = particle.voxel_nm is None or min(sides) >= 100
    return " × ".join(f"{side:,.0f}" if whole else f"{side:.3g}" for side in sides) + f" {particle.unit}"

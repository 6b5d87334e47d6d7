"""What a reconstruction gives: its single iterations, its runs, the refined object."""

import math
from dataclasses import dataclass, field

from braggscope.models.cdi.fourier import Complex
from braggscope.models.cdi.metrics import Agreement
from braggscope.models.cdi.phasing import Settings
from braggscope.models.cdi.refine import Learned
from braggscope.models.cdi.support import Support


@dataclass(frozen=True, slots=True)
class Live:
    """One iteration of a reconstruction, for whoever watches. ``residual``, ``residual_l1``: of the modulus;
    ``obj``, ``support``: live, origin at index 0.
    """

    done: int
    total: int
    note: str
    residual: float
    obj: Complex
    support: Support
    residual_l1: float = math.nan


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """One result, origin in the middle. ``obj`` is scaled so that |F obj| fits the measured modulus.
    ``free``: log-likelihood per withheld voxel; ``settings``: of the last iterations; ``method``: what found
    it, "iterative", "network" or "network-only".
    """

    obj: Complex
    support: Support
    agreement: Agreement
    free: float
    start: int
    settings: Settings
    method: str = "iterative"


@dataclass(frozen=True, slots=True)
class Refinement:
    """Origin in the middle; ``agreement`` of the full model, ``coherent`` of |F obj| alone; ``support``: that
    of the run, or where it ended up.
    """

    obj: Complex
    support: Support
    agreement: Agreement
    coherent: Agreement
    learned: Learned


@dataclass
class Outcome:
    """``runs`` by falling free likelihood, the best first; ``refined`` belongs to the best."""

    runs: list[Reconstruction] = field(default_factory=list)
    refined: Refinement | None = None

    @property
    def best(self) -> Reconstruction:
        """The most likely one."""
        return self.runs[0]

    @property
    def final(self) -> tuple[Complex, Support]:
        """Object and support of the best, refined where that was done."""
        found = self.best if self.refined is None else self.refined
        return found.obj, found.support

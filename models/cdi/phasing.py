"""Iterative phasing: alternating projections between what was measured and where the object is.

With P the modulus projection and S the support, one iteration makes of x, with p = P x:
ER    p inside, 0 outside (Gerchberg and Saxton; Fienup);
HIO   p inside, x - beta p outside (Fienup, Applied Optics 21, 2758 (1982));
RAAR  p inside, beta x + (1 - 2 beta) p outside (Luke, Inverse Problems 21, 37 (2005), with the complex
      support constraint);
SF    p inside, -p outside (solvent flipping; Abrahams and Leslie, Acta Cryst. D52, 30 (1996)).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from braggscope.models.cdi import kernels
from braggscope.models.cdi.coherence import Coherence, Lags, blur
from braggscope.models.cdi.fourier import Complex, Real, backward, forward
from braggscope.models.cdi.sequence import Step, length
from braggscope.models.cdi.support import Support, shrink_wrap


@dataclass(frozen=True, slots=True)
class Settings:
    """``beta``: feedback of HIO and RAAR. ``sigma`` (voxels), ``threshold`` (share of the maximum):
    shrink-wrap, ``every`` so many iterations, 0 never. ``twin_at``: iteration after which one half of the
    object is set to 0 once, to break the symmetry between the object and its twin; 0 never. ``release``:
    (sigma, threshold) during ER instead. A support too tight for voxels that are filled in part makes the
    object settle where within a voxel it is most compact; released, it gets them back. ``cooled``: beta falls
    to this in the course of every step of the sequence.
    """

    beta: float = 0.9
    sigma: float = 1.0
    threshold: float = 0.1
    every: int = 10
    twin_at: int = 0
    release: tuple[float, float] | None = None
    cooled: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Where an iteration stands. ``residual``: relative L2 difference between the modulus of the iterate's
    transform and the measured one, ``residual_l1``: the relative L1 difference. ``obj``, ``support``: live
    arrays, origin at index 0; copy what is kept.
    """

    done: int
    total: int
    algorithm: str
    residual: float
    residual_l1: float
    obj: Complex
    support: Support


class Phaser:
    """One reconstruction under way; all volumes have their origin at index 0.

    ``target`` (Z, Y, X) float32: measured modulus, negative where nothing was measured or where the value is
    withheld; those voxels keep what the iterate says. ``start`` complex64; ``support`` bool.
    """

    def __init__(
        self,
        target: Real,
        start: Complex,
        support: Support,
        settings: Settings = Settings(),
        coherence: Coherence | None = None,
    ) -> None:
        self.target = np.ascontiguousarray(target, np.float32)
        self.obj = np.ascontiguousarray(start, np.complex64).copy()
        self.support = np.ascontiguousarray(support, np.bool_)
        self.settings = settings
        self._norm = math.sqrt(float(np.sum(self.target**2, where=self.target > 0, dtype=np.float64))) or 1.0
        self._sum = float(np.sum(self.target, where=self.target > 0, dtype=np.float64)) or 1.0
        self.residual_l1 = 1.0  # of the last projection
        shape = (target.shape[0], target.shape[1], target.shape[2])
        self._factor = None if coherence is None else Lags(shape).factor(coherence)

    def project(self) -> tuple[Complex, float]:
        """(P x, relative L2 change of the modulus)."""
        spectrum = forward(self.obj)
        if self._factor is None:
            change, total = kernels.replace_modulus(spectrum, self.target)
        else:
            seen = blur(spectrum.real**2 + spectrum.imag**2, self._factor)
            change, total = kernels.replace_blurred(spectrum, seen, self.target)
        self.residual_l1 = total / self._sum
        return backward(spectrum), math.sqrt(change) / self._norm

    def iterate(self, steps: tuple[Step, ...]) -> Iterator[State]:
        """Run a sequence; yields after every iteration."""
        total, done = length(steps), 0
        for step in steps:
            released = step.algorithm == "ER" and self.settings.release is not None
            for place in range(step.count):
                projected, residual = self.project()
                self._update(step.algorithm, projected, place / step.count)
                done += 1
                if done == self.settings.twin_at:
                    self._halve()
                due = self.settings.every and (done % self.settings.every == 0 or (released and not place))
                if due:
                    source = self.obj if step.algorithm == "ER" and not released else projected
                    self.support = self._shrunk(source, released)
                yield State(done, total, step.algorithm, residual, self.residual_l1, self.obj, self.support)

    def result(self) -> Complex:
        """The object inside its support, a copy."""
        return np.where(self.support, self.obj, np.complex64(0))

    def _shrunk(self, source: Complex, released: bool) -> Support:
        s = self.settings
        sigma, threshold = s.release if released and s.release is not None else (s.sigma, s.threshold)
        return shrink_wrap(source, sigma, threshold)

    def _update(self, algorithm: str, projected: Complex, passed: float) -> None:
        beta, cooled = self.settings.beta, self.settings.cooled
        if cooled is not None:
            beta += (cooled - beta) * passed
        keep, outside = {
            "ER": (0.0, 0.0), "HIO": (1.0, -beta), "RAAR": (beta, 1 - 2 * beta), "SF": (0.0, -1.0)
        }[algorithm]  # fmt: skip
        kernels.combine(self.obj, projected, self.support, keep, 1.0, outside)

    def _halve(self) -> None:
        """Set the object to 0 on one side of the origin along the two longest directions of the support."""
        places = np.argwhere(self.support)
        shape = np.array(self.support.shape)
        places = (places + shape // 2) % shape - shape // 2
        for axis in np.argsort(np.ptp(places, axis=0))[-2:]:
            cut = int(np.median(places[:, axis]))
            index = (np.arange(shape[axis]) + shape[axis] // 2) % shape[axis] - shape[axis] // 2
            side = (index > cut).reshape([-1 if a == axis else 1 for a in range(3)])
            self.obj *= np.where(side, np.float32(0), np.float32(1))


def run(phaser: Phaser, steps: tuple[Step, ...]) -> Complex:
    """All steps without looking; the object inside its support."""
    for _ in phaser.iterate(steps):
        pass
    return phaser.result()

"""Where within a voxel an object lies, which voxels it fills, and phases freed from noise.

The modulus tells little of where within a voxel an object lies: a move by a part of a voxel only leaves faint
tails beyond its surface. Nor does it tell at once which voxels at the surface are filled in part, and
iterations among noise stop at one of many objects that fit almost equally well. From a finished run:

1. A few ER with a margin, the move that leaves least beyond the surface (weighted least squares), and a new
   support; in between all eight places half a voxel apart are tried.
2. L-BFGS in the support and its neighbours, where every voxel that is used costs a little (a logarithm, as in
   Candes et al., J. Fourier Anal. Appl. 14, 877 (2008)): what is left above a small share is the support.
3. RAAR whose feedback falls, so that it leaves wrong places at first and does not amplify noise at last; then
   2. and 3. once more.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from braggscope.models.cdi.alignment import shifted
from braggscope.models.cdi.fourier import Complex, Real, forward
from braggscope.models.cdi.phasing import Phaser, Settings
from braggscope.models.cdi.refine import Check, Floats, Model, Refined, refine
from braggscope.models.cdi.sequence import Step
from braggscope.models.cdi.support import Support, grow_to_margin, significant

COOLING = Settings(beta=0.87, every=0, cooled=0.5)
COOL_PER_STEP = 5  # RAAR iterations for one of L-BFGS
FIXED = Settings(every=0)
BRIEF = (Step(10, "ER"),)
ROUNDS = (2, 3)  # before and after the places half a voxel apart
OVERSHOOT, FARTHEST = 3.0, 0.3  # the support holds an object back, so it goes farther than was found; voxels
FAINT = 0.04  # share of the maximum below which a voxel counts as empty
FOUND, TRIED = 0.06, 0.08  # the same while the place is looked for, and while places are compared
COST = 8.0  # of a voxel in units of -log likelihood, about the logarithm of (modulus / noise) squared


class Sparse(Model):
    """The loss of the refinement and, in -log likelihood, log(1 + |x|^2 / count) for every voxel."""

    def __call__(self, vector: Floats, check: Check = lambda: None) -> tuple[float, Floats]:
        """(loss, gradient)."""
        loss, gradient = super().__call__(vector, check)
        price, slope = self.price(vector)
        gradient[: 2 * len(self.places)] += slope
        return loss + price, gradient

    def price(self, vector: Floats) -> tuple[float, Floats]:
        """What the voxels cost, in units of the loss, and the gradient by their real and imaginary parts."""
        half = len(self.places)
        count = self.offset / 0.375
        real, imag = vector[:half], vector[half : 2 * half]
        share = (real * real + imag * imag) / count
        slope = 1 / (self.norm * (1 + share))
        price = 0.5 * count / self.norm * float(np.log1p(share).sum())
        return price, np.concatenate([slope * real, slope * imag])

    def chi(self, found: Refined) -> float:
        """Relative L2 difference of the modulus: the loss at ``found`` without the price."""
        price, _ = self.price(self.pack(found.obj, found.learned))
        return math.sqrt(max(found.misfit**2 - price, 0.0))


class Settler:
    """``target`` (Z, Y, X) float32: measured modulus, negative where not measured; ``obj`` and ``support``:
    what :meth:`iterate` begins with and where it ends, origin at index 0. ``count``: one photon in the unit
    of the squared modulus. ``check`` is called within long steps and may raise to stop.
    """

    def __init__(
        self, target: Real, obj: Complex, support: Support, count: float = 1.0,
        check: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.target, self.obj, self.support = target, obj, support
        self._count, self._check = count, check

    def iterate(self, steps: int) -> Iterator[tuple[str, float, float]]:
        """Yields (what is done, chi, R or NaN) after every iteration; ``steps`` of L-BFGS, twice."""
        yield from self._placed(ROUNDS[0])
        yield from self._best_half()
        yield from self._placed(ROUNDS[1])
        for _ in range(2):
            yield from self._emptied(steps)
            cooling = (Step(COOL_PER_STEP * steps, "RAAR"),) if steps else ()
            yield from self._phased(self.obj, self.support, cooling + BRIEF, COOLING)

    def _phased(
        self, obj: Complex, support: Support, steps: tuple[Step, ...], settings: Settings = FIXED
    ) -> Iterator[tuple[str, float, float]]:
        phaser = Phaser(self.target, obj, support, settings)
        for state in phaser.iterate(steps):
            self.obj = state.obj
            yield f"place and support, {state.algorithm}", state.residual, state.residual_l1
        self.obj, self.support = phaser.result(), support

    def _asked(self) -> Complex:
        """What the measured modulus makes of the object."""
        self._check()
        asked, _ = Phaser(self.target, self.obj, self.support).project()
        self._check()
        return asked

    def _placed(self, rounds: int) -> Iterator[tuple[str, float, float]]:
        for _ in range(rounds):
            yield from self._phased(self.obj, grow_to_margin(self.support), BRIEF)
            asked = self._asked()
            move = compacting_move(asked, grow_to_margin(self.support), self._check)
            moved = shifted(asked, np.clip(OVERSHOOT * move, -FARTHEST, FARTHEST))
            self._check()
            self._taken(moved, FOUND)

    def _taken(self, obj: Complex, threshold: float) -> None:
        self.support = significant(obj, self.support, 0.0, threshold)
        self._check()
        self.obj = np.where(self.support, obj, np.complex64(0))

    def _best_half(self) -> Iterator[tuple[str, float, float]]:
        """Move half a voxel along the axes along which the object then fits better into fewer voxels."""
        asked, around, best = self._asked(), grow_to_margin(self.support), math.inf
        kept = self.obj, self.support
        for move in itertools.product((0.0, 0.5), repeat=3):
            self.support = around
            self._taken(shifted(asked, move), TRIED)
            yield from self._phased(self.obj, self.support, BRIEF)
            cost = self._misfit() + COST * np.count_nonzero(self.support)
            if cost < best:
                best, kept = cost, (self.obj, self.support)
        self.obj, self.support = kept

    def _misfit(self) -> float:
        """-log likelihood of the counts, which have a standard deviation of 1/2 under the root."""
        offset = np.float32(0.375 * self._count)
        spectrum = forward(self.obj)
        self._check()
        root = np.sqrt(spectrum.real**2 + spectrum.imag**2 + offset)
        known = self.target >= 0
        misfit = (root - np.sqrt(self.target**2 + offset)) ** 2
        return 2 / self._count * float(np.sum(misfit, where=known, dtype=np.float64))

    def _emptied(self, steps: int) -> Iterator[tuple[str, float, float]]:
        model = Sparse(self.target, grow_to_margin(self.support), "none", True, self._count)
        for found in refine(model, self.obj, steps, None, self._check):
            self.obj = found.obj
            yield "place and support, L-BFGS", model.chi(found), math.nan
        modulus = np.abs(self.obj)
        self.support = modulus > FAINT * float(modulus.max())
        self.obj = np.where(self.support, self.obj, np.complex64(0))


def work(steps: int) -> int:
    """Iterations of a :class:`Settler` but for those of L-BFGS that are counted as refinement."""
    return (sum(ROUNDS) + 8 + 2) * BRIEF[0].count + 2 * COOL_PER_STEP * steps


def compacting_move(
    obj: Complex, near: Support, check: Callable[[], None] = lambda: None, steps: int = 2
) -> NDArray[np.float64]:
    """(3,) voxels: the move after which least of ``obj`` lies in the faint voxels of ``near``.

    Minimises sum log(1 + |x|^2 / e^2), e = :data:`FAINT` of the maximum, by weighted least squares.
    """
    noise = FAINT * float(np.abs(obj).max())
    total = np.zeros(obj.ndim)
    for _ in range(steps):
        spectrum = scipy.fft.fftn(obj)
        here = obj[near]
        weight = 1 / (noise**2 + here.real**2 + here.imag**2)
        slopes = []
        for axis, length in enumerate(obj.shape):
            check()
            ramp = (2j * np.pi * scipy.fft.fftfreq(length)).astype(np.complex64)
            turned = spectrum * ramp.reshape([-1 if a == axis else 1 for a in range(obj.ndim)])
            slopes.append(scipy.fft.ifftn(turned, overwrite_x=True)[near])
        weighted = np.conj(slopes) * weight
        move = np.linalg.lstsq((weighted @ np.array(slopes).T).real, (weighted @ here).real, rcond=None)[0]
        move = np.clip(move, -0.25, 0.25)
        check()
        obj = shifted(obj, move)
        total += move
    return total

"""Rough objects to begin with at full resolution: by iterations at low resolution, or led by the network."""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from braggscope.models.cdi.fourier import Complex, Real, resample
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.phasing import Phaser, Settings, State
from braggscope.models.cdi.sequence import Step, length, parse
from braggscope.models.cdi.support import Support, autocorrelation_support, shrink_wrap

BETA = 0.95  # the gold pattern of docs/coherent.md is found from 3 of 4 starts, with 0.9 from half
EVERY, SIGMA, THRESHOLD = 5, 1.0, 0.1
ROUGH = (Step(50, "RAAR"), Step(10, "ER"))  # before the network
POLISH = (Step(140, "RAAR"), Step(20, "ER"))  # after it

Start = Generator[tuple[str, State], None, Complex]
Told = TypeVar("Told")


class Improve(Protocol):
    """Makes a better object of a rough one; see the network's Improver."""

    def __call__(self, amplitude: Real, obj: Complex) -> Complex:
        """Measured modulus, negative where not measured, and object of one shape, origin at index 0."""
        ...


@dataclass(frozen=True, slots=True)
class Starts:
    """Ways to a start. ``target``: measured modulus at a shape, negative where not measured, origin at index
    0; ``levels``: shapes from coarse to full. The answers have the finest shape below the full one.
    """

    target: Callable[[tuple[int, ...]], Real]
    levels: list[tuple[int, ...]]
    parameters: Phasing
    improve: Improve | None = None

    def iterated(self, number: int) -> Start:
        """From random numbers by iterations; at full resolution these are left to the caller."""
        if self.parameters.start != "coarse":
            return self._random(number, self.parameters.start, self.levels[-1])[0]
        obj, support = self._random(number, "coarse", self.levels[0])
        steps = parse(self.parameters.coarse_iterations)
        obj = yield from self._phased(obj, support, steps, number)
        return (yield from self._finer(obj, number))

    def led(self, number: int, polish: bool = True) -> Start:
        """A few iterations from random numbers, the network, and after ``polish`` a few more."""
        assert self.improve is not None
        obj, support = self._random(number, "coarse", self.levels[0])
        obj = yield from self._phased(obj, support, ROUGH, number)
        obj = self.improve(self.target(self.levels[0]), obj)
        if not polish:
            return obj
        obj = yield from self._phased(obj, shrink_wrap(obj, SIGMA, THRESHOLD), POLISH, number)
        return (yield from self._finer(obj, number))

    def work(self, method: str) -> int:
        """Iterations of one start."""
        finer = length(parse(self.parameters.iterations)) * max(0, len(self.levels) - 2)
        if method == "network-only":
            return length(ROUGH)
        if method == "network":
            return length(ROUGH) + length(POLISH) + finer
        if self.parameters.start != "coarse":
            return 0
        return length(parse(self.parameters.coarse_iterations)) + finer

    def _random(self, number: int, kind: str, shape: tuple[int, ...]) -> tuple[Complex, Support]:
        """Random modulus inside the support, or random phases of the pattern, with the pattern's power."""
        amplitude = np.maximum(self.target(shape), np.float32(0))
        support = autocorrelation_support(amplitude)
        rng = np.random.default_rng([self.parameters.seed, number])
        if kind == "random":
            turns = np.exp(2j * np.pi * rng.random(amplitude.shape))
            return np.asarray(np.fft.ifftn(amplitude * turns, norm="ortho"), np.complex64), support
        obj = (rng.random(support.shape) * support).astype(np.complex64)
        wanted = float(np.sum(amplitude**2, dtype=np.float64))
        obj *= np.float32(math.sqrt(wanted / max(float(np.sum(np.abs(obj) ** 2)), 1e-30)))
        return obj, support

    def _finer(self, obj: Complex, number: int) -> Start:
        for shape in self.levels[1:-1]:
            obj = resample(obj, shape)
            support = shrink_wrap(obj, SIGMA, THRESHOLD)
            obj = yield from self._phased(obj, support, parse(self.parameters.iterations), number)
        return obj

    def _phased(self, obj: Complex, support: Support, steps: tuple[Step, ...], number: int) -> Start:
        settings = Settings(BETA, SIGMA, THRESHOLD, EVERY, 2 * self.parameters.break_twin)
        phaser = Phaser(self.target(obj.shape), obj, support, settings)
        for state in phaser.iterate(steps):
            yield f"start {number + 1}, {obj.shape[-1]} voxels", state
        return phaser.result()


def told(start: Start, words: Callable[[str, State], Told]) -> Generator[Told, None, Complex]:
    """The same work, told in other words."""
    while True:
        try:
            note, state = next(start)
        except StopIteration as end:
            found: Complex = end.value
            return found
        yield words(note, state)

"""From a prepared pattern to an object: starts at low resolution, iterations, choice, refinement.

1. Random starts inside the autocorrelation's support are iterated at low resolution, where an iteration costs
   an eighth or less; the best go on (the pattern's middle holds the coarse shape). Nothing is withheld here:
   a few missing crosses among bright voxels can turn every start into the same wrong one.
2. The best are iterated at full resolution. Which start goes first and, unless it is given, how tight the
   support is (shrink-wrap), is decided by chi and the likelihood of withheld voxels after a few iterations.
3. A few iterations of ER with all voxels. Then, where the support is tight and may move, its voxels and the
   place within a voxel are found (:mod:`settle`), and refinement with coherence and background follows.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cdi.fourier import (
    Complex,
    Real,
    fit_centre,
    forward,
    pyramid,
    resample,
    to_centre,
    to_corner,
)
from braggscope.models.cdi.metrics import compare_amplitudes, free_log_likelihood
from braggscope.models.cdi.outcome import Live, Outcome, Reconstruction, Refinement
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.phasing import Phaser, Settings, State
from braggscope.models.cdi.refine import Model, Refined, refine
from braggscope.models.cdi.sequence import Step, length, parse
from braggscope.models.cdi.settle import Settler, work
from braggscope.models.cdi.starts import Improve, Starts, told
from braggscope.models.cdi.support import Support, autocorrelation_support, shrink_wrap
from braggscope.models.cdi.withheld import free_voxels, photon_unit

LOOSE, TIGHT = (1.0, 0.05), (0.4, 0.2)  # (sigma, threshold) of which the free likelihood chooses
RELEASED = (0.5, 0.12)  # of the tight one during ER
TRIED = 2  # starts of which chi after a few iterations chooses
TRIAL = (Step(15, "RAAR"), Step(5, "ER"))
FINISH = (Step(10, "ER"),)


class Reconstructor:
    """A prepared pattern and how to phase it; :meth:`iterate` does the work, ``outcome`` holds the result.

    ``amplitude`` (Z, Y, X) float32: square root of the intensity, zero frequency in the middle; ``mask``:
    True = not measured. ``start``: an object to begin with instead of random ones, of any shape with the
    same field of view, origin in the middle. ``improve``: the network, where the method needs it.
    ``check`` is called within long steps and may raise to stop.
    """

    def __init__(
        self,
        amplitude: Real,
        mask: NDArray[np.bool_] | None = None,
        parameters: Phasing | None = None,
        start: NDArray | None = None,
        improve: Improve | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.parameters = Phasing() if parameters is None else parameters
        self.amplitude = np.ascontiguousarray(amplitude, np.float32)
        self.mask = np.zeros(amplitude.shape, np.bool_) if mask is None else mask
        self.free = free_voxels(self.amplitude, self.parameters.free_share, self.parameters.seed, self.mask)
        check()
        self.count = photon_unit(self.amplitude**2, self.mask)
        self.start, self._check = start, check
        check()
        self.outcome = Outcome()
        self._starts = Starts(
            lambda shape: self._target(shape, False), self._levels(), self.parameters, improve
        )
        self._bare = False  # whether a start tells nothing of the object's extent
        self._done = 0
        self._search = self._searched(self._supports())
        self._total = self._work()

    def iterate(self) -> Iterator[Live]:
        """Run everything; yields after every iteration. Raises ValueError where the network is missing."""
        for method in self._methods():
            yield from self._solve(method)
        self.outcome.runs.sort(key=lambda run: -run.free)
        if self.parameters.refinement:
            yield from self._refine()

    def _solve(self, method: str) -> Iterator[Live]:
        """Add the runs of one method to the outcome."""
        if method == "network-only":
            self._expect(self._supports()[:1])
        self._bare = method == "iterative" and self.parameters.start != "coarse" and self.start is None
        candidates: list[tuple[float, int, Complex]] = []
        for number in range(self.parameters.starts if self.start is None else 1):
            obj = yield from self._begun(number, method)
            candidates.append((self._coarse_misfit(obj), number, obj))
        candidates.sort(key=lambda found: found[0])
        if method == "network-only":
            for _, number, obj in candidates[: self.parameters.runs]:
                self.outcome.runs.append(replace(self._as_it_is(obj, number), method=method))
            return
        settings, order = yield from self._choice([(number, obj) for _, number, obj in candidates])
        if method == self._methods()[-1]:
            self._expect([settings, *(run.settings for run in self.outcome.runs)])
        for number, obj in order[: self.parameters.runs]:
            found = yield from self._full(obj, number, settings, parse(self.parameters.iterations))
            run = yield from self._finish(found)
            self.outcome.runs.append(replace(run, method=method))

    def _begun(self, number: int, method: str) -> Generator[Live, None, Complex]:
        """Object below full resolution (or at it, see Starts), origin at index 0."""
        self._check()
        if self.start is not None:
            return to_corner(np.asarray(self.start, np.complex64))
        ways = self._starts
        way = ways.iterated(number) if method == "iterative" else ways.led(number, method == "network")
        return (yield from told(way, self._live))

    def _as_it_is(self, obj: Complex, number: int) -> Reconstruction:
        """What the network says, without iterations at full resolution."""
        obj = resample(obj, self.amplitude.shape)
        settings = self._supports()[0]
        support = shrink_wrap(obj, settings.sigma, settings.threshold)
        return self._judged(Phaser(self._target(self.amplitude.shape), obj, support, settings), number)

    def _choice(
        self, starts: list[tuple[int, Complex]]
    ) -> Generator[Live, None, tuple[Settings, list[tuple[int, Complex]]]]:
        """How tight the support is, and the starts with the best first: a few iterations of each decide."""
        loose, *others = self._supports()
        if len(starts) == 1 and not others:
            return loose, starts
        trials = []
        for number, obj in starts[:TRIED]:
            trials.append((yield from self._full(obj, number, loose, TRIAL)))
        best = min(trials, key=lambda run: run.agreement.chi)  # of one support: chi sees bright voxels too
        for settings in others:
            rival = yield from self._full(dict(starts)[best.start], best.start, settings, TRIAL)
            if rival.free > best.free:
                best = rival
        rest = [start for start in starts if start[0] != best.start]
        return best.settings, [(best.start, to_corner(best.obj)), *rest]

    def _full(
        self, obj: Complex, number: int, settings: Settings, steps: tuple[Step, ...]
    ) -> Generator[Live, None, Reconstruction]:
        self._check()
        obj = resample(obj, self.amplitude.shape) if obj.shape != self.amplitude.shape else obj
        target = self._target(self.amplitude.shape)
        self._check()
        if self._bare:
            support = autocorrelation_support(np.maximum(target, np.float32(0)))
        else:
            support = shrink_wrap(obj, settings.sigma, settings.threshold)
        phaser = Phaser(target, obj, support, settings)
        yield from self._watched(phaser, steps, f"run {number + 1}")
        return self._judged(phaser, number)

    def _finish(self, found: Reconstruction) -> Generator[Live, None, Reconstruction]:
        """The same with all voxels."""
        target = self._target(self.amplitude.shape, withhold=False)
        fixed = replace(found.settings, every=0)
        phaser = Phaser(target, to_corner(found.obj), to_corner(found.support), fixed)
        yield from self._watched(phaser, FINISH, f"run {found.start + 1}, all voxels")
        final = self._judged(phaser, found.start)
        return replace(final, free=found.free, settings=found.settings)

    def _refine(self) -> Iterator[Live]:
        best = self.outcome.best
        obj, support = to_corner(best.obj), to_corner(best.support)
        steps = self.parameters.refinement
        self._expect([best.settings])
        if self._settles(best.settings):
            target = self._target(self.amplitude.shape, withhold=False)
            settler = Settler(target, obj, support, self.count, self._check)
            for note, chi, residual_l1 in settler.iterate(steps // 3):
                self._done += 1
                yield Live(self._done, self._total, note, chi, settler.obj, settler.support, residual_l1)
            obj, support, steps = settler.obj, settler.support, steps - 2 * (steps // 3)
            self._total = self._done + steps  # L-BFGS may have ended early
        model, last = self._model(support), None
        for last, following in pairwise(chain(refine(model, obj, steps, None, self._check), (None,))):
            assert last is not None
            self._done += 1
            if following is None:
                self._total = self._done
            yield Live(self._done, self._total, "refinement", last.misfit, last.obj, support)
        if last is not None:
            self.outcome.refined = self._refined(model, last, support)

    def _refined(self, model: Model, last: Refined, support: Support) -> Refinement:
        self._check()
        amplitude = to_centre(model.amplitude(model.pack(last.obj, last.learned)))
        self._check()
        coherent = compare_amplitudes(np.abs(to_centre(forward(last.obj))), self.amplitude, self.mask)
        self._check()
        fit = compare_amplitudes(amplitude, self.amplitude, self.mask)
        return Refinement(to_centre(last.obj), to_centre(support), fit, coherent, last.learned)

    def _settles(self, settings: Settings) -> bool:
        """Whether place and voxels of the support are found anew: where it is tight and may move."""
        return settings.release is not None and settings.every > 0

    def _model(self, support: Support) -> Model:
        p = self.parameters
        target = self._target(self.amplitude.shape, withhold=False)
        return Model(target, support, p.coherence, p.background, self.count)

    def _supports(self) -> list[Settings]:
        p = self.parameters
        every, twin = p.support_every, 2 if p.break_twin and p.start != "coarse" else 0
        if p.support_threshold is not None:
            return [Settings(p.beta, p.support_sigma, p.support_threshold, every, twin)]
        return [
            Settings(p.beta, *LOOSE, every, twin),
            Settings(p.beta, *TIGHT, every, twin, RELEASED),
        ]

    def _target(self, shape: tuple[int, ...], withhold: bool = True) -> Real:
        left_out = self.mask | self.free if withhold else self.mask
        target = np.where(left_out, np.float32(-1), self.amplitude)
        return to_corner(target if shape == target.shape else fit_centre(target, shape))

    def _coarse_misfit(self, obj: Complex) -> float:
        if self.start is not None:
            return 0.0
        target = self._target(obj.shape, withhold=False)
        return compare_amplitudes(np.abs(forward(obj)), target, target < 0).chi

    def _judged(self, phaser: Phaser, number: int) -> Reconstruction:
        obj = phaser.result()
        modulus = np.abs(to_centre(forward(obj)))
        self._check()
        fit = compare_amplitudes(modulus, self.amplitude, self.mask)
        self._check()
        free = free_log_likelihood(
            (fit.scale * modulus) ** 2 / self.count, self.amplitude**2 / self.count, self.free
        )
        scaled = to_centre((obj * np.float32(fit.scale)).astype(np.complex64))
        return Reconstruction(
            scaled, to_centre(phaser.support), replace(fit, scale=1.0), free, number, phaser.settings
        )

    def _watched(self, phaser: Phaser, steps: tuple[Step, ...], note: str) -> Iterator[Live]:
        for state in phaser.iterate(steps):
            yield self._live(note, state)

    def _live(self, note: str, state: State) -> Live:
        self._done += 1
        words = f"{note}, {state.algorithm}"
        return Live(
            self._done, self._total, words, state.residual, state.obj, state.support, state.residual_l1
        )

    def _methods(self) -> tuple[str, ...]:
        if self.start is not None:
            return ("iterative",)
        method = self.parameters.method
        if method != "iterative" and self._starts.improve is None:
            raise ValueError(f"The method {method} needs the network, and none was given.")
        return ("network", "iterative") if method == "all" else (method,)

    def _levels(self) -> list[tuple[int, ...]]:
        p, shape = self.parameters, self.amplitude.shape
        return pyramid(shape) if p.start == "coarse" or p.method != "iterative" else [shape]

    def _work(self) -> int:
        """Iterations of all stages together."""
        p = self.parameters
        starts = p.starts if self.start is None else 1
        supports = len(self._supports())
        trials = 0 if starts == 1 and supports == 1 else min(TRIED, starts) + supports - 1
        full = trials * length(TRIAL) + min(p.runs, starts) * (length(parse(p.iterations)) + length(FINISH))
        total = p.refinement + self._search
        for method in self._methods():
            total += self._starts.work(method) * starts * (self.start is None)
            total += full * (method != "network-only")
        return total

    def _searched(self, candidates: Iterable[Settings]) -> int:
        """Iterations of the search for place and support where one of ``candidates`` asks for it."""
        steps = self.parameters.refinement
        return work(steps // 3) if steps and any(map(self._settles, candidates)) else 0

    def _expect(self, candidates: Iterable[Settings]) -> None:
        """Correct the total: one of ``candidates`` is what will be refined."""
        before, self._search = self._search, self._searched(candidates)
        self._total += self._search - before

"""Refinement by the gradient: object, coherence and background together, by L-BFGS.

The model of the measured intensity is M = blur(|F x|^2) + b, with x free inside the support (its modulus
carries the scale), blur from :mod:`coherence` with learned widths, and a constant background b = beta^2.
What is
minimised is sum (sqrt(M + c) - sqrt(A^2 + c))^2 / sum A^2 over measured voxels with c = 3/8 count (Anscombe,
Biometrika 35, 246 (1948)): the noise of counts becomes uniform, and empty voxels do no harm.
Gradients are written out (adjoints of the transforms), so an evaluation costs two complex
and three real ones.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from braggscope.models.cdi.coherence import Coherence, Lags, gauss, lorentz, lorentz_slope
from braggscope.models.cdi.fourier import Complex, Real, backward, forward
from braggscope.models.cdi.lbfgs import minimise
from braggscope.models.cdi.support import Support

Floats = NDArray[np.float64]
Check = Callable[[], None]
_WIDTH = 0.3  # first guess of the blur in reciprocal voxels


@dataclass(frozen=True, slots=True)
class Learned:
    """What is learned beside the object. ``background``: counts, or the unit of the squared amplitude."""

    coherence: Coherence
    background: float


@dataclass(frozen=True, slots=True)
class Refined:
    """State of a refinement. ``misfit``: root of what is minimised. Origin at index 0."""

    done: int
    obj: Complex
    learned: Learned
    misfit: float


class Model:
    """The loss and its gradient as a function of one vector.

    ``target`` (Z, Y, X) float32: measured modulus, negative = not measured; ``coherence``: none, gaussian or
    pseudovoigt; ``count``: one photon in the unit of the squared modulus. Vector: real parts, imaginary
    parts inside the support, then the learned numbers.
    """

    def __init__(
        self,
        target: Real,
        support: Support,
        coherence: str = "gaussian",
        background: bool = True,
        count: float = 1.0,
    ) -> None:
        self.shape = (target.shape[0], target.shape[1], target.shape[2])
        self.support = support
        self.known = target >= 0
        self.target = np.where(self.known, target, np.float32(0))
        self.offset = 0.375 * count
        self._stable = np.sqrt(self.target**2 + np.float32(self.offset))
        self.places = np.flatnonzero(support)
        self.norm = float(np.sum(self.target**2, dtype=np.float64)) or 1.0
        self.widths = 0 if coherence == "none" else 3
        self.etas = int(coherence == "pseudovoigt")
        self.backgrounds = int(background)
        self._lags = Lags(self.shape)
        # numbers of the vector are of the size of the object's values, so that one step length suits all
        self._unit = math.sqrt(self.norm / max(1, len(self.places)))
        self._level = math.sqrt(count)

    def pack(self, obj: Complex, learned: Learned | None = None) -> Floats:
        """Vector of an object and the learned numbers (default: a small blur, hardly any background)."""
        inside = obj.ravel()[self.places]
        width: tuple[float, ...] = (_WIDTH,) * 3
        eta, root = 0.1, 0.3 * self._level
        if learned is not None:
            width, eta = learned.coherence.width, learned.coherence.eta
            root = math.sqrt(max(learned.background, 0.0))
        angle = math.asin(math.sqrt(min(max(eta, 0.0), 1.0)))
        extra = [
            *(np.array(width[: self.widths])),
            *[angle][: self.etas],
            *[root / self._level][: self.backgrounds],
        ]
        return np.concatenate([inside.real, inside.imag, self._unit * np.array(extra)]).astype(np.float64)

    def unpack(self, vector: Floats) -> tuple[Complex, Learned]:
        """(object, learned numbers) of a vector."""
        count = len(self.places)
        obj = np.zeros(self.shape, np.complex64)
        obj.ravel()[self.places] = vector[:count] + 1j * vector[count : 2 * count]
        width, angle, root = self._extra(vector)
        eta = math.sin(angle) ** 2 if self.etas else 0.0
        coherence = Coherence((abs(width[0]), abs(width[1]), abs(width[2])), eta)
        return obj, Learned(coherence, (root * self._level) ** 2)

    def amplitude(self, vector: Floats) -> Real:
        """sqrt(M), origin at index 0."""
        obj, learned = self.unpack(vector)
        spectrum = forward(obj)
        seen = spectrum.real**2 + spectrum.imag**2
        if self.widths:
            factor = self._lags.factor(learned.coherence)
            seen = scipy.fft.irfftn(scipy.fft.rfftn(seen) * factor, s=self.shape)
        return np.sqrt(np.maximum(seen, np.float32(0)) + np.float32(learned.background))

    def __call__(self, vector: Floats, check: Check = lambda: None) -> tuple[float, Floats]:
        """(loss, gradient); ``check`` is called between the transforms and may raise to stop."""
        obj, learned = self.unpack(vector)
        spectrum = forward(obj)
        seen = spectrum.real**2 + spectrum.imag**2
        lagged = factor = None
        check()
        if self.widths:
            factor = self._lags.factor(learned.coherence)
            lagged = scipy.fft.rfftn(seen)
            check()
            seen = scipy.fft.irfftn(lagged * factor, s=self.shape)
        check()
        model = np.maximum(seen, np.float32(0))
        model += np.float32(learned.background + self.offset)
        root = np.sqrt(model)
        misfit = np.where(self.known, root - self._stable, np.float32(0))
        loss = float(np.sum(misfit * misfit, dtype=np.float64)) / self.norm
        slope = misfit / root  # d loss / d M, times the norm
        gradient = np.empty_like(vector)
        count = len(self.places)
        extra = [float(slope.sum(dtype=np.float64))]
        if lagged is not None and factor is not None:
            check()
            spread = scipy.fft.rfftn(slope)
            check()
            extra = self._coherence_gradient(vector, spread, lagged) + extra
            check()
            slope = scipy.fft.irfftn(spread * factor, s=self.shape)
        check()
        inner = backward(slope * spectrum).ravel()[self.places]
        gradient[:count] = 2 * inner.real
        gradient[count : 2 * count] = 2 * inner.imag
        root_number = self._extra(vector)[2]
        tail = extra[: self.widths + self.etas]
        tail += [extra[-1] * 2 * root_number * self._level**2] * self.backgrounds
        gradient[2 * count :] = np.array(tail) / self._unit
        return loss, gradient / self.norm

    def _extra(self, vector: Floats) -> tuple[list[float], float, float]:
        """(widths, angle whose squared sine is eta, root of the background in its unit)."""
        extra = (vector[2 * len(self.places) :] / self._unit).tolist()
        width = extra[:3] if self.widths else [0.0] * 3
        angle = extra[3] if self.etas else 0.0
        return width, angle, extra[-1] if self.backgrounds else 0.0

    def _coherence_gradient(self, vector: Floats, spread: NDArray, lagged: NDArray) -> list[float]:
        """Derivatives of norm x loss by the widths and the angle of eta (Parseval, half layout)."""
        width, angle, _ = self._extra(vector)
        eta = math.sin(angle) ** 2 if self.etas else 0.0
        power = (spread.real * lagged.real + spread.imag * lagged.imag) / np.prod(self.shape)
        last = self.shape[2]
        power[..., 1 : (last + 1) // 2] *= 2  # the other half is the complex conjugate
        squared = self._lags.squared
        s2 = sum(np.float32(w * w) * lag for w, lag in zip(width, squared, strict=True))
        bell = gauss(s2)
        slope = np.float32(-2 * np.pi**2 * (1 - eta)) * bell
        if self.etas:
            tail = lorentz(s2)
            slope = np.asarray(slope + np.float32(eta) * lorentz_slope(s2, tail), np.float32)
        weighted = power * slope
        found = [
            2 * w * float(np.sum(weighted * lag, dtype=np.float64))
            for w, lag in zip(width, squared, strict=True)
        ]
        if self.etas:
            found.append(math.sin(2 * angle) * float(np.sum(power * (tail - bell), dtype=np.float64)))
        return found


def refine(
    model: Model,
    obj: Complex,
    iterations: int,
    learned: Learned | None = None,
    check: Check = lambda: None,
) -> Iterator[Refined]:
    """L-BFGS from ``obj``; yields after every iteration, at most ``iterations`` times.

    ``check`` is called before, during and after every evaluation and may raise to stop.
    """

    def checked(vector: Floats) -> tuple[float, Floats]:
        check()
        found = model(vector, check)
        check()
        return found

    for done, (vector, loss) in enumerate(minimise(checked, model.pack(obj, learned), iterations), 1):
        found, numbers = model.unpack(vector)
        yield Refined(done, found, numbers, math.sqrt(loss))

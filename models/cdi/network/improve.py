"""The network at work: a rough object of any size becomes a better one."""

import numpy as np
import torch

from braggscope.models.cdi.dataset import in_middle
from braggscope.models.cdi.fourier import (
    Complex,
    Real,
    backward,
    fit_centre,
    forward,
    to_centre,
    to_corner,
)
from braggscope.models.cdi.network.inputs import SIDE, prepare, whole
from braggscope.models.cdi.network.network import CdiNet
from braggscope.models.threads import use_one_thread

_SHAPE = (SIDE,) * 3


class Improver:
    """The network ready for use on the CPU. May be called from several threads at once."""

    def __init__(self, network: CdiNet) -> None:
        self._network = network.cpu().float().eval().requires_grad_(False)

    def __call__(self, amplitude: Real, obj: Complex) -> Complex:
        """A better object of the shape of ``obj``, its centre of mass at the origin.

        ``amplitude`` (Z, Y, X): measured modulus, negative where not measured; ``obj`` (Z, Y, X): what a few
        iterations gave. Origin at index 0. Only the 32 voxels around the peak are looked at; the answer is
        scaled to the measured modulus there.
        """
        use_one_thread()
        known = _cut(amplitude)
        guess = in_middle(fit_object(obj))
        inputs = prepare(torch.from_numpy(known)[None], torch.from_numpy(guess)[None])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):  # float32 is 4 times slower
            found = self._network(inputs).obj
            better = whole(torch.stack([found.real, found.imag], 1))[0].numpy()
        spectrum = forward(to_corner(better))
        modulus, target = np.abs(spectrum), to_corner(known)
        seen = target >= 0
        power = float(np.sum(modulus[seen] ** 2, dtype=np.float64))
        spectrum *= np.float32(np.sum(modulus[seen] * target[seen], dtype=np.float64) / max(power, 1e-30))
        return backward(to_corner(fit_centre(to_centre(spectrum), obj.shape)))


def fit_object(obj: Complex) -> Complex:
    """(32, 32, 32) ``obj`` on the coarse grid of the same field of view; origin moved to the middle."""
    spectrum = fit_centre(to_centre(forward(obj)), _SHAPE)
    return np.asarray(to_centre(backward(to_corner(spectrum))), np.complex64)


def _cut(amplitude: Real) -> Real:
    """The middle of a pattern; what lies beyond a small one was not measured."""
    return np.asarray(fit_centre(to_centre(amplitude) + np.float32(1), _SHAPE) - np.float32(1), np.float32)

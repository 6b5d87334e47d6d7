"""Long steps of coherent imaging can be left in their middle; a blur that rounds to nothing does no harm."""

from collections.abc import Callable

import numpy as np
import pytest

from braggscope.models.cdi import kernels
from braggscope.models.cdi.aliens import aliens
from braggscope.models.cdi.average import ensemble
from braggscope.models.cdi.fourier import forward
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.prepare import prepare
from braggscope.models.cdi.reconstruct import Reconstructor
from braggscope.models.cdi.refine import Model
from braggscope.models.cdi.unwrap import unwrap


class Left(Exception):
    """Raised by a check."""


def cube(size=32, side=6):
    z, y, x = np.indices((size,) * 3) - size // 2
    return (np.maximum(np.maximum(abs(z), abs(y)), abs(x)) <= side // 2).astype(np.complex64)


OBJ = cube()
COUNTS = np.round(1e5 * np.abs(np.fft.fftshift(np.fft.fftn(OBJ))) ** 2 / OBJ.sum().real ** 2).astype(
    np.float32
)
SUPPORT = OBJ.real > 0


def evaluate(check):
    target = np.abs(forward(OBJ)).astype(np.float32)
    model = Model(target, SUPPORT)
    return model(model.pack(OBJ), check)


WORK: dict[str, tuple[int, Callable]] = {
    "evaluation": (7, evaluate),
    "preparation": (4, lambda check: prepare(COUNTS, Phasing(aliens=True), check=check)),
    "alien peaks": (3, lambda check: aliens(COUNTS, np.zeros(COUNTS.shape, bool), check)),
    "average": (7, lambda check: ensemble([OBJ, np.roll(OBJ, 1, 0)], check)),
    "unwrapping": (9, lambda check: unwrap(np.angle(OBJ), SUPPORT, check)),
    "withheld voxels": (2, lambda check: Reconstructor(np.sqrt(COUNTS), None, Phasing(), check=check)),
}


@pytest.mark.parametrize("name", WORK)
def test_it_can_be_left_at_every_check(name):
    least, work = WORK[name]
    calls = []
    work(lambda: calls.append(1))
    assert len(calls) >= least
    for stop in range(1, len(calls) + 1):
        left = iter(range(1, stop + 1))

        def check(left=left, stop=stop):
            if next(left) == stop:
                raise Left

        with pytest.raises(Left):
            work(check)


def test_a_blur_that_rounds_to_nothing_keeps_the_value_finite():
    spectrum = np.array([[[1 + 1j, 2, 0, 3j]]], np.complex64)
    blurred = np.array([[[0.0, -1e-3, 0.0, 9.0]]], np.float32)
    target = np.array([[[1.0, 2.0, 5.0, 6.0]]], np.float32)
    changes = kernels.replace_blurred(spectrum, blurred, target)
    assert np.isfinite(changes).all()
    assert (np.abs(spectrum) <= 40 * target).all()
    assert spectrum[0, 0, 2] == 0
    assert spectrum[0, 0, 3] == pytest.approx(6j)  # where the blur says something it counts alone

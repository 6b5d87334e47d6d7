"""Several reconstructions of one pattern: what they share and how far they spread."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cdi.alignment import aligned

AGREE = 0.95  # runs of one simulated pattern that settled have 0.998


@dataclass(frozen=True, slots=True)
class Ensemble:
    """``average`` complex64: aligned objects, mean; ``mode`` complex64: their first mode (largest
    eigenvector of the density matrix) with ``weight``, its share of the whole. ``modulus_spread``,
    ``phase_spread`` float32: standard deviation per voxel, the phase in rad relative to the mode.
    ``kept``: places of the objects that agree with the first, itself among them; the others are left out.
    """

    average: NDArray[np.complex64]
    mode: NDArray[np.complex64]
    weight: float
    modulus_spread: NDArray[np.float32]
    phase_spread: NDArray[np.float32]
    kept: tuple[int, ...]

    @property
    def members(self) -> int:
        """How many objects agree."""
        return len(self.kept)


def ensemble(objects: list[NDArray[np.complex64]], check: Callable[[], None] = lambda: None) -> Ensemble:
    """Align all objects to the first and average those that agree with it: whose overlap |<a, b>| / |a||b| is
    at least :data:`AGREE`. Raises ValueError for an empty list. ``check`` is called between
    the steps and may raise to stop.
    """
    if not objects:
        raise ValueError("There is no reconstruction to average.")
    first = objects[0]
    level = float(np.linalg.norm(first))
    stack: list[NDArray] = [
        first,
        *(aligned(obj, first, check)[0] * (level / float(np.linalg.norm(obj))) for obj in objects[1:]),
    ]
    kept = tuple(k for k, obj in enumerate(stack) if abs(np.vdot(first, obj)) >= AGREE * level**2)
    stack = [stack[k] for k in kept]
    check()
    rows = np.stack([obj.ravel() for obj in stack])
    values, vectors = np.linalg.eigh(rows.conj() @ rows.T)  # small: one row and column per object
    mode = (vectors[:, -1] @ rows).reshape(first.shape)
    mode *= level / np.linalg.norm(mode) * np.exp(-1j * np.angle(np.vdot(first, mode)))
    check()
    moduli = np.stack([np.abs(obj) for obj in stack])
    check()
    turns = np.stack([np.angle(obj * np.conj(mode)) for obj in stack])
    check()
    return Ensemble(
        np.mean(stack, axis=0).astype(np.complex64), mode.astype(np.complex64),
        float(values[-1] / values.sum()), moduli.std(axis=0).astype(np.float32),
        np.sqrt((turns**2).mean(axis=0)).astype(np.float32), kept,
    )  # fmt: skip

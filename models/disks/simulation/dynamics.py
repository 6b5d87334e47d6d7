"""Multiple scattering of fast electrons: the scattering matrix of all beams of a zone, for many tilts.

psi(t) = exp(i pi A t / K) psi(0), A_gg = 2 K s_g, A_gh = U_(g-h) (de Graef, Introduction to Conventional
TEM, 2003, ch. 5). Forward scattering, zero-order Laue zone.
"""

from dataclasses import dataclass
from math import ceil, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.disks.simulation.scattering import Zone, coupling_matrix, wavelength_angstrom

Floats = NDArray[np.float64]
STEP_PHASE = 0.3  # rad, of the outermost beam at the rim of the disk, per step
STEP_ANGSTROM = 25.0


@dataclass(frozen=True, slots=True)
class Beam:
    """``tilt``: (x, y) rad, the middle of the cone against the zone axis; ``absorption``: U' / U."""

    voltage_kv: float
    tilt: tuple[float, float] = (0.0, 0.0)
    absorption: float = 0.0

    @property
    def wavenumber(self) -> float:
        """K, 1/Å."""
        return 1 / wavelength_angstrom(self.voltage_kv)


def structure_matrix(zone: Zone, beam: Beam) -> NDArray[np.complex128]:
    """(M, M) A in 1/Å^2 at the middle of the cone."""
    tangential = np.array(beam.tilt) * beam.wavenumber
    matrix = coupling_matrix(zone, beam.voltage_kv) * (1 + 1j * beam.absorption)
    matrix -= np.diag(np.diag(matrix).real)  # the mean potential only turns all phases alike
    return np.asarray(matrix - np.diag((zone.g**2).sum(axis=1) + 2 * zone.g @ tangential))


def intensities(zone: Zone, beam: Beam, offsets: Floats, thicknesses_angstrom: Floats) -> Floats:
    """(N, T, M) of beams without any approximation but the number of beams; slow, the measure of the other.

    ``offsets`` (T, 2) 1/Å: transverse wave vector against the middle of the cone.
    """
    base = structure_matrix(zone, beam)
    out = np.empty((len(thicknesses_angstrom), len(offsets), len(zone.g)))
    for t, offset in enumerate(offsets):
        values, vectors = np.linalg.eig(base - np.diag(2 * zone.g @ offset))
        weights = np.linalg.solve(vectors, np.eye(len(zone.g))[:, 0])
        phases = np.exp(1j * pi / beam.wavenumber * np.outer(thicknesses_angstrom, values))
        out[:, t] = np.abs((phases * weights) @ vectors.T) ** 2
    return out


def step_angstrom(zone: Zone, beam: Beam, offsets: Floats) -> float:
    """Longest step of :func:`propagate` for a cone."""
    longest, widest = np.linalg.norm(zone.g, axis=1).max(), np.linalg.norm(offsets, axis=1).max()
    fastest = 2 * pi * float(longest * widest) / beam.wavenumber
    return min(STEP_ANGSTROM, STEP_PHASE / max(fastest, 1e-9))


def propagate(
    zone: Zone, beam: Beam, offsets: Floats, thicknesses_angstrom: Floats, device: str = "cpu"
) -> Tensor:
    """(N, T, M) float32 intensities at the steps next to the thicknesses.

    The matrix at the middle of the cone is exponentiated once; what changes over the cone is diagonal and
    small, and is applied between steps (Strang splitting), so that a step is one product of matrices for all
    tilts. Thicknesses are rounded to whole steps; :func:`whole_steps` says to which.
    """
    steps, length = whole_steps(zone, beam, offsets, thicknesses_angstrom)
    base = torch.from_numpy(structure_matrix(zone, beam)) * (1j * pi * length / beam.wavenumber)
    across = torch.linalg.matrix_exp(base).T.to(device, torch.complex64)
    turn = torch.from_numpy(-2 * pi * length * (offsets / beam.wavenumber) @ zone.g.T).to(device)
    whole = torch.polar(torch.ones_like(turn), turn).to(torch.complex64)
    psi = torch.zeros(whole.shape, dtype=torch.complex64, device=device)
    psi[:, 0] = 1  # the first half step turns only the direct beam, whose phase stays
    found: dict[int, Tensor] = {}
    wanted = set(steps.tolist())
    for step in range(1, max(wanted) + 1):
        psi = psi @ across
        if step in wanted:
            found[step] = psi.real**2 + psi.imag**2
        psi = psi * whole
    return torch.stack([found[int(step)] for step in steps])


def whole_steps(
    zone: Zone, beam: Beam, offsets: Floats, thicknesses_angstrom: Floats
) -> tuple[NDArray[np.int64], float]:
    """(N,) numbers of steps, at least 1, and the length of one in Å, such that the last is met exactly."""
    thickest = float(np.max(thicknesses_angstrom))
    length = thickest / ceil(thickest / step_angstrom(zone, beam, offsets))
    return np.maximum(np.rint(np.asarray(thicknesses_angstrom) / length).astype(np.int64), 1), length

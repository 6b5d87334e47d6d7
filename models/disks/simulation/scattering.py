"""Electrons in a crystal potential: wavelength, structure factors, the beams of a zone."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from braggscope.models.disks.simulation.crystals import Crystal

Floats = NDArray[np.float64]
REST_ENERGY_KEV = 510.99895
HC_KEV_ANGSTROM = 12.398420
REACH_INV_ANGSTROM = 2.4  # beyond it no beam of a zone is looked for


def wavelength_angstrom(voltage_kv: float) -> float:
    """Relativistic wavelength: 0.0370 Å at 100 kV."""
    return HC_KEV_ANGSTROM / sqrt(voltage_kv * (voltage_kv + 2 * REST_ENERGY_KEV))


def lorentz_factor(voltage_kv: float) -> float:
    """Mass of the electron over its rest mass."""
    return 1 + voltage_kv / REST_ENERGY_KEV


def coupling(crystal: Crystal, hkl: NDArray[np.int64], voltage_kv: float) -> NDArray[np.complex128]:
    """(...,) U_g = gamma F_g / (pi V), 1/Å^2, of indices (..., 3); the extinction distance is K / |U_g|.

    F_g from electron scattering factors of neutral atoms (International Tables C, table 4.3.2.2) with
    Debye-Waller factors.
    """
    import gemmi

    flat = np.asarray(hkl).reshape(-1, 3)
    g2 = ((flat @ crystal.reciprocal) ** 2).sum(axis=1)
    shells, which = np.unique(np.round(g2, 9), return_inverse=True)
    total = np.zeros(len(flat), np.complex128)
    for element, place, b in zip(crystal.elements, crystal.positions, crystal.b_factors, strict=True):
        values = np.reshape(gemmi.Element(element).c4322.get_coefs(), (2, 5))
        factor = (values[0] * np.exp(-values[1] * shells[:, None] / 4)).sum(axis=1) * np.exp(-b * shells / 4)
        total += factor[which] * np.exp(-2j * np.pi * (flat @ place))
    total *= lorentz_factor(voltage_kv) / (np.pi * crystal.volume_angstrom3)
    return np.asarray(total.reshape(np.shape(hkl)[:-1]))


@dataclass(frozen=True, slots=True)
class Zone:
    """Beams of the zero-order Laue zone of ``axis`` [uvw], sorted by length, the direct one first.

    ``hkl`` (M, 3) int64; ``g`` (M, 2) 1/Å in the plane across the axis, the shortest along x; ``basis``
    (2, 2): rows a and b, the shortest two; ``indices`` (M, 2): g = indices @ basis.
    """

    crystal: Crystal
    axis: tuple[int, int, int]
    hkl: NDArray[np.int64]
    g: Floats
    indices: NDArray[np.int64]
    basis: Floats


def zone_beams(crystal: Crystal, axis: tuple[int, int, int], most: int = 121) -> Zone:
    """The shortest beams of a zone, whole shells, at most ``most``.

    Reflections that only the motif cancels are kept: multiple scattering lights them. Raises ValueError for
    an axis without two independent beams within reach.
    """
    lengths = np.linalg.norm(crystal.basis, axis=1)
    ranges = [np.arange(-n, n + 1) for n in np.ceil(REACH_INV_ANGSTROM * lengths).astype(int)]
    hkl = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    hkl = hkl[(hkl @ np.array(axis) == 0) & _allowed(hkl, crystal.centring)]
    g = hkl @ crystal.reciprocal
    length = np.linalg.norm(g, axis=1)
    order = np.lexsort((*-hkl.T, np.round(length, 6)))
    order = order[length[order] < REACH_INV_ANGSTROM]
    hkl, g, length = hkl[order], g[order], length[order]
    across = np.linalg.norm(np.cross(g[1], g), axis=1) if len(g) > 1 else np.zeros(1)
    if not any(axis) or not (across > 1e-6).any():
        raise ValueError(f"zone {axis} of {crystal.name} has no two independent beams within reach")
    if len(g) > most:
        keep = int(np.searchsorted(length, length[most] - 1e-6))
        hkl, g, across = hkl[:keep], g[:keep], across[:keep]
    towards = np.array(axis) @ crystal.basis
    x = g[1] / np.linalg.norm(g[1])
    y = np.cross(towards / np.linalg.norm(towards), x)
    plane = g @ np.stack([x, y], axis=1)
    basis = plane[[1, int(np.argmax(across > 1e-6))]]
    indices = np.rint(plane @ np.linalg.inv(basis)).astype(np.int64)
    return Zone(crystal, axis, hkl, plane, indices, basis)


def _allowed(hkl: NDArray[np.int64], centring: str) -> NDArray[np.bool_]:
    h, k, l = hkl.T  # noqa: E741 - the name of the index
    return {
        "P": np.ones(len(h), bool), "I": (h + k + l) % 2 == 0, "A": (k + l) % 2 == 0,
        "B": (h + l) % 2 == 0, "C": (h + k) % 2 == 0, "R": (-h + k + l) % 3 == 0,
        "F": ((h + k) % 2 == 0) & ((k + l) % 2 == 0),
    }[centring]  # fmt: skip


def coupling_matrix(zone: Zone, voltage_kv: float) -> NDArray[np.complex128]:
    """(M, M) U of g - h, 1/Å^2, Hermitian; the mean potential stands on the diagonal."""
    differences = zone.hkl[:, None, :] - zone.hkl[None, :, :]
    unique, which = np.unique(differences.reshape(-1, 3), axis=0, return_inverse=True)
    values = coupling(zone.crystal, unique, voltage_kv)
    return np.asarray(values[which.ravel()].reshape(differences.shape[:2]))

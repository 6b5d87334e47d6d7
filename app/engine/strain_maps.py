"""From disks to strain: indexing, lattices, reference; whole, or as far as a run has come."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.disk_tools import ellipse_matrix, known_lattice
from braggscope.app.engine.strain_records import IMAGES, Found
from braggscope.models.disks.calibrate import correct_ellipse, origins
from braggscope.models.disks.lattice import SHARED, fit_lattices
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.results import Lattice, LatticeMap, StrainMap
from braggscope.models.disks.strain import reference_lattice, strain_map

Floats = NDArray[np.float64]
ENOUGH = 12  # patterns before a lattice is looked for
Maps = tuple[LatticeMap, Lattice, StrainMap]


def whole_maps(found: Found, scan_shape: tuple[int, int], shape: tuple[int, int], settings: Strain) -> Maps:
    """Lattices of all positions, what they were indexed by, and the strain. Raises ValueError in words.

    Depends on what was found alone, not on its order.
    """
    count = scan_shape[0] * scan_shape[1]
    found = corrected(found, shape, settings)
    lattice = known_lattice(found.disks, shape, settings)
    if found.lattices is None:
        centre = None
        if settings.origin != "measured":  # else each pattern's own disks tell, in the fit
            centre = origins(found.disks, scan_shape, settings.origin)
        lattices = fit_lattices(found.disks, count, lattice, settings, centre, shared(settings))
    else:
        lattices = placed(empty_map(count), found.positions, found.lattices)
    reference = reference_lattice(lattices, scan_shape, settings.reference)
    return lattices, lattice, strain_map(lattices, scan_shape, reference, settings.frame)


def shared(settings: Strain) -> float:
    """How far the errors of a pattern's disks are the same for all, by the method that found them."""
    return SHARED if settings.method == "network" else 0.0


def corrected(found: Found, shape: tuple[int, int], settings: Strain) -> Found:
    """The same with the ellipse of the camera made round about the middle of the pattern."""
    ratio, angle = settings.ellipse
    if ratio == 1:
        return found
    centre = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    lattices = found.lattices
    if lattices is not None:
        one = ellipse_matrix(ratio, angle)
        middle = np.concatenate([centre, np.zeros(4)])
        whole = np.kron(np.eye(3), one)
        values = (lattices.values - middle) @ whole.T + middle
        lattices = replace(lattices, values=values, covariance=whole @ lattices.covariance @ whole.T)
    return replace(found, disks=correct_ellipse(found.disks, ratio, angle, centre), lattices=lattices)


def images_of(found: Found, scan_shape: tuple[int, int]) -> dict[str, Floats]:
    """Virtual images (rows, columns), NaN where nothing was measured."""
    values = np.full((scan_shape[0] * scan_shape[1], len(IMAGES)), np.nan)
    values[found.positions] = found.images
    return {name: values[:, k].reshape(scan_shape) for k, name in enumerate(IMAGES)}


def empty_map(count: int) -> LatticeMap:
    """Lattices of ``count`` positions of which none is known."""
    nothing = np.full(count, np.nan)
    return LatticeMap(
        np.full((count, 6), np.nan), np.full((count, 6, 6), np.nan), nothing,
        np.zeros(count, np.int64), np.zeros(count, np.bool_),
    )  # fmt: skip


def placed(whole: LatticeMap, positions: NDArray[np.int64], some: LatticeMap) -> LatticeMap:
    """``whole`` with the lattices of some positions in their places, written into its arrays."""
    for name in LatticeMap.__dataclass_fields__:
        getattr(whole, name)[positions] = getattr(some, name)
    return whole


class LiveMaps:
    """Strain of the positions found so far, cheap enough to be asked for again and again.

    The lattice is looked for once, so these maps differ a little from the final ones.
    """

    def __init__(self, scan_shape: tuple[int, int], shape: tuple[int, int], settings: Strain) -> None:
        self._scan_shape, self._shape, self._settings = scan_shape, shape, settings
        count = scan_shape[0] * scan_shape[1]
        self._lattices = empty_map(count)
        self._images = np.full((count, len(IMAGES)), np.nan)
        self._lattice: Lattice | None = None
        self._waiting: list[Found] = []

    def add(self, found: Found) -> None:
        """Take in newly found disks."""
        self._waiting.append(found)
        self._images[found.positions] = found.images

    def images(self) -> dict[str, Floats]:
        """Virtual images so far."""
        return {name: self._images[:, k].reshape(self._scan_shape).copy() for k, name in enumerate(IMAGES)}

    def maps(self) -> Maps | None:
        """Maps of what is known, None before there is a lattice."""
        fresh = corrected(Found.join(self._waiting), self._shape, self._settings)
        if self._lattice is None:
            if len(fresh.positions) < ENOUGH:
                return None
            try:
                self._lattice = known_lattice(fresh.disks, self._shape, self._settings)
            except ValueError:
                return None
        self._waiting.clear()
        if len(fresh.positions):
            self._take(fresh, self._lattice)
        return self._strain(self._lattice)

    def _take(self, fresh: Found, lattice: Lattice) -> None:
        some = fresh.lattices
        if some is None:
            numbers = np.searchsorted(fresh.positions, fresh.disks.pattern)
            few = replace(fresh.disks, pattern=numbers)
            some = fit_lattices(
                few, len(fresh.positions), lattice, self._settings, shared=shared(self._settings)
            )
        placed(self._lattices, fresh.positions, some)

    def _strain(self, lattice: Lattice) -> Maps | None:
        lattices = LatticeMap(*(getattr(self._lattices, n).copy() for n in LatticeMap.__dataclass_fields__))
        for region in (self._settings.reference, None):
            try:
                reference = reference_lattice(lattices, self._scan_shape, region)
                return (
                    lattices,
                    lattice,
                    strain_map(lattices, self._scan_shape, reference, self._settings.frame),
                )
            except ValueError:  # nothing there yet
                continue
        return None

"""Unit cells of calibrants and of the user, and the rings that they diffract into."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

Site = tuple[str, float, float, float]  # element and fractional position
CENTRINGS = ("P", "I", "F", "A", "B", "C", "R")
MOST_INDICES = 4_000_000
SAME_D = 1e-7  # relative difference below which two spacings are one ring
FAINT = 1e-6  # of the strongest reflection: absent because the atoms cancel


class Ring(NamedTuple):
    """Reflections of one spacing: indices of one of each kind, d in Å, how many there are, relative strength.

    ``strength`` is sum |F|² over the reflections, largest = 1, from neutral free atoms at rest; NaN where
    the cell knows no atoms.
    """

    hkl: tuple[tuple[int, int, int], ...]
    d_angstrom: float
    multiplicity: int
    strength: float

    @property
    def label(self) -> str:
        """Indices as written beside a ring: ``111``, ``10 2 2``, ``511 333``."""
        return " ".join(
            ("" if max(map(abs, one)) < 10 else " ").join(str(index) for index in one) for one in self.hkl[:2]
        )


class Cell(BaseModel):
    """Lengths in Å, angles in degrees; ``space_group``: symbol, number, or only a centring of P I F A B C R.

    With ``sites`` (of the asymmetric unit) reflections that the atoms cancel are left out too. ``lamellar``:
    only 00l exist, as in silver behenate. Raises ValueError for a cell without volume or an unknown symbol.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = "cell"
    a: float = Field(gt=0)
    b: float = Field(gt=0)
    c: float = Field(gt=0)
    alpha: float = Field(90.0, gt=0, lt=180)
    beta: float = Field(90.0, gt=0, lt=180)
    gamma: float = Field(90.0, gt=0, lt=180)
    space_group: str = "P"
    sites: tuple[Site, ...] = ()
    lamellar: bool = False
    source: str = ""

    @field_validator("space_group")
    @classmethod
    def _known_group(cls, symbol: str) -> str:
        import gemmi

        if symbol not in CENTRINGS and gemmi.find_spacegroup_by_name(symbol) is None:
            raise ValueError(f"{symbol!r} is no space group and none of the centrings {' '.join(CENTRINGS)}")
        return symbol

    def model_post_init(self, _: object) -> None:
        """Refuse angles that close no cell."""
        if not self.volume_angstrom3 > 0:
            raise ValueError("the angles of the cell do not close: no cell has them")

    @property
    def volume_angstrom3(self) -> float:
        """Volume; 0 where the angles do not close."""
        determinant = float(np.linalg.det(self._metric()))
        return math.sqrt(determinant) if determinant > 0 else 0.0

    def _metric(self) -> NDArray[np.float64]:
        lengths = np.array([self.a, self.b, self.c])
        cosines = np.cos(np.radians([self.alpha, self.beta, self.gamma]))
        shape = np.eye(3)
        for (i, j), cosine in zip(((1, 2), (0, 2), (0, 1)), cosines, strict=True):
            shape[i, j] = shape[j, i] = cosine
        return np.outer(lengths, lengths) * shape

    def d_angstrom(self, hkl: NDArray) -> NDArray[np.float64]:
        """Spacings (N,) of indices (N, 3)."""
        inverse = np.linalg.inv(self._metric())
        with np.errstate(divide="ignore"):
            return 1 / np.sqrt(np.einsum("ni,ij,nj->n", hkl, inverse, hkl))

    def rings(self, q_max: float, most: int = 200) -> tuple[Ring, ...]:
        """Rings up to ``q_max`` in 1/Å by falling spacing, at most ``most``.

        Raises ValueError where there are too many indices to look at.
        """
        indices = self._indices(2 * math.pi / q_max)
        spacings = self.d_angstrom(indices)
        order = np.lexsort((*_plainness(indices), -np.round(np.log(spacings) / SAME_D)))
        indices, spacings = indices[order], spacings[order]
        starts = np.flatnonzero(np.diff(np.log(spacings), prepend=np.inf) < -2 * SAME_D)
        strengths = self._strengths(indices, spacings)
        sums = np.add.reduceat(strengths, starts) if len(starts) else np.zeros(0)
        top = sums.max(initial=0.0)
        found = []
        for start, stop, total in zip(starts, [*starts[1:], len(indices)], sums, strict=False):
            alive = ~(strengths[start:stop] <= FAINT * top)  # all of them where no atoms are known: NaN
            here = indices[start:stop][alive]
            if not len(here):
                continue
            found.append(Ring(self._kinds(here), float(spacings[start]), len(here), float(total / top)))
            if len(found) == most:
                break
        return tuple(found)

    def _indices(self, d_min: float) -> NDArray[np.int64]:
        """(N, 3) indices that lattice and space group allow, spacing >= d_min, both of every Friedel pair."""
        if self.lamellar:
            order = np.arange(1, int(self.c / d_min) + 1)
            order = np.concatenate([order, -order])
            return np.stack([np.zeros_like(order), np.zeros_like(order), order], axis=1)
        reach = [int(length / d_min) for length in (self.a, self.b, self.c)]
        if math.prod(2 * n + 1 for n in reach) > MOST_INDICES:
            raise ValueError(f"{self.name} has too many rings up to d = {d_min:.3g} Å; ask for fewer")
        axes = [np.arange(-n, n + 1) for n in reach]
        indices = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        indices = indices[np.any(indices != 0, axis=1)]
        indices = indices[self.d_angstrom(indices) >= d_min]
        return indices[self._allowed(indices)]

    def _allowed(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        h, k, l = indices.T  # noqa: E741 - the name of the index
        if self.space_group in CENTRINGS:
            return {
                "P": np.ones(len(h), bool), "I": (h + k + l) % 2 == 0,
                "F": ((h + k) % 2 == 0) & ((k + l) % 2 == 0),
                "A": (k + l) % 2 == 0, "B": (h + l) % 2 == 0, "C": (h + k) % 2 == 0,
                "R": (-h + k + l) % 3 == 0,
            }[self.space_group]  # fmt: skip
        operations = self._group().operations()
        return np.array([not operations.is_systematically_absent(one) for one in indices.tolist()], bool)

    def _group(self) -> Any:
        import gemmi

        return gemmi.find_spacegroup_by_name(self.space_group, self.alpha, self.gamma)

    def _strengths(self, indices: NDArray[np.int64], spacings: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) |F|²; NaN without atoms. Scattering factors: International Tables C, table 6.1.1.4."""
        if not self.sites:
            return np.full(len(indices), np.nan)
        import gemmi

        operations = self._group().operations()
        total = np.zeros(len(indices), complex)
        for element, *place in self.sites:
            table = gemmi.Element(element).it92
            factor = np.array([table.calculate_sf(stol2) for stol2 in 0.25 / spacings**2])
            images = np.array([one.apply_to_xyz(place) for one in operations])
            _, apart = np.unique(np.round(images, 4) % 1.0, axis=0, return_index=True)
            total += factor * np.exp(2j * np.pi * (indices @ images[apart].T)).sum(axis=1)
        return np.abs(total) ** 2

    def _kinds(self, indices: NDArray[np.int64]) -> tuple[tuple[int, int, int], ...]:
        """One of each set of indices (N, 3) that symmetry makes equal; the first for a mere centring."""
        left = [(int(one[0]), int(one[1]), int(one[2])) for one in indices]
        if self.space_group in CENTRINGS or self.lamellar:
            return tuple(left[:1])
        operations = self._group().operations()
        kinds = []
        while left:
            kinds.append(left[0])
            same = {tuple(one.apply_to_hkl(left[0])) for one in operations.sym_ops}
            same |= {(-a, -b, -c) for a, b, c in same}
            left = [one for one in left if one not in same]
        return tuple(kinds)


def _plainness(indices: NDArray[np.int64]) -> tuple[NDArray, ...]:
    """Keys, the weightiest last, that put 110 before 101 and 10-1."""
    return -indices[:, 1], -indices[:, 0], np.count_nonzero(indices < 0, axis=1)

"""Crystals of the disk simulator: a table of real ones, random ones, and those of unit cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cells import Cell

Floats = NDArray[np.float64]
Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Crystal:
    """Contents of a unit cell.

    ``basis`` (3, 3): rows are the cell vectors, Å. ``elements`` (A,) and ``positions`` (A, 3), fractional,
    of every atom of the cell; ``b_factors`` (A,): B = 8 pi^2 <u^2>, Å^2. ``centring``: P, I, F, A, B, C or
    R (obverse).
    """

    name: str
    basis: Floats
    elements: tuple[str, ...]
    positions: Floats
    b_factors: Floats
    centring: str = "P"

    @property
    def volume_angstrom3(self) -> float:
        """Of the cell."""
        return abs(float(np.linalg.det(self.basis)))

    @property
    def reciprocal(self) -> Floats:
        """(3, 3): rows are the reciprocal vectors without 2 pi, 1/Å."""
        return np.asarray(np.linalg.inv(self.basis).T)


def cell_basis(a: float, b: float, c: float, alpha: float, beta: float, gamma: float) -> Floats:
    """(3, 3) rows a, b, c, Å; a along x, b in the xy plane. Angles in degrees."""
    cos_a, cos_b, cos_g = np.cos(np.radians([alpha, beta, gamma]))
    sin_g = np.sin(np.radians(gamma))
    c_y = (cos_a - cos_b * cos_g) / sin_g
    c_z = np.sqrt(1 - cos_b**2 - c_y**2)
    return np.array([[a, 0, 0], [b * cos_g, b * sin_g, 0], [c * cos_b, c * c_y, c * c_z]])


_HALF: Place = (0.5, 0.5, 0.5)
_HCP: tuple[Place, ...] = ((1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75))
_FACES: tuple[Place, ...] = ((0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5))
_ORIGIN: Place = (0, 0, 0)
_CENTRES: dict[str, tuple[Place, ...]] = {
    "P": (_ORIGIN,), "I": (_ORIGIN, _HALF), "F": (_ORIGIN, *_FACES), "C": (_ORIGIN, (0.5, 0.5, 0)),
}  # fmt: skip


def _wurtzite(u: float) -> tuple[tuple[Place, ...], ...]:
    metal = ((1 / 3, 2 / 3, 0.0), (2 / 3, 1 / 3, 0.5))
    return metal, tuple((x, y, z + u) for x, y, z in metal)


def _rutile(u: float) -> tuple[tuple[Place, ...], ...]:
    oxygen = ((u, u, 0.0), (1 - u, 1 - u, 0.0), (0.5 + u, 0.5 - u, 0.5), (0.5 - u, 0.5 + u, 0.5))
    return (_ORIGIN, _HALF), oxygen


_QUARTER: Place = (0.25, 0.25, 0.25)
# structure: centring, hexagonal, places of the first, second, third element before centring
_STRUCTURES: dict[str, tuple[str, bool, tuple[tuple[Place, ...], ...]]] = {
    "fcc": ("F", False, ((_ORIGIN,),)),
    "bcc": ("I", False, ((_ORIGIN,),)),
    "hcp": ("P", True, (_HCP,)),
    "diamond": ("F", False, ((_ORIGIN, _QUARTER),)),
    "zincblende": ("F", False, ((_ORIGIN,), (_QUARTER,))),
    "rocksalt": ("F", False, ((_ORIGIN,), (_HALF,))),
    "fluorite": ("F", False, ((_ORIGIN,), (_QUARTER, (0.75, 0.75, 0.75)))),
    "caesium chloride": ("P", False, ((_ORIGIN,), (_HALF,))),
    "perovskite": ("P", False, ((_ORIGIN,), (_HALF,), _FACES)),
    "L1_2": ("P", False, ((_ORIGIN,), _FACES)),
    "L1_0": ("P", False, ((_ORIGIN, _FACES[0]), _FACES[1:])),
    "wurtzite": ("P", True, _wurtzite(0.38)),
    "rutile": ("P", False, _rutile(0.305)),
}

# structure, elements with B / Å^2 at room temperature, a and c / Å: rounded handbook values
_TABLE = """
fcc              | Al 0.85              | 4.0495
fcc              | Cu 0.55              | 3.6149
fcc              | Ni 0.37              | 3.5240
fcc              | Au 0.62              | 4.0782
fcc              | Ag 0.73              | 4.0853
fcc              | Pt 0.32              | 3.9242
fcc              | Pd 0.45              | 3.8907
fcc              | Ir 0.25              | 3.8390
fcc              | Pb 2.00              | 4.9508
bcc              | Fe 0.33              | 2.8665
bcc              | W 0.16               | 3.1652
bcc              | Mo 0.22              | 3.1470
bcc              | V 0.55               | 3.0240
bcc              | Nb 0.45              | 3.3004
bcc              | Ta 0.31              | 3.3013
hcp              | Mg 1.70              | 3.2094 5.2108
hcp              | Ti 0.52              | 2.9508 4.6855
hcp              | Zn 1.10              | 2.6649 4.9468
hcp              | Co 0.38              | 2.5071 4.0695
hcp              | Zr 0.56              | 3.2316 5.1475
diamond          | Si 0.46              | 5.4310
diamond          | Ge 0.57              | 5.6579
diamond          | C 0.14               | 3.5668
zincblende       | Ga 0.65, As 0.60     | 5.6533
zincblende       | In 0.90, P 0.60      | 5.8687
zincblende       | In 1.00, As 0.80     | 6.0583
zincblende       | Cd 1.60, Te 1.20     | 6.4820
zincblende       | Zn 1.00, Se 0.80     | 5.6680
zincblende       | Si 0.25, C 0.25      | 4.3596
rocksalt         | Mg 0.31, O 0.34      | 4.2112
rocksalt         | Na 1.60, Cl 1.40     | 5.6402
rocksalt         | Ti 0.35, N 0.40      | 4.2400
rocksalt         | Pb 1.50, Te 1.20     | 6.4620
rocksalt         | Li 1.00, F 0.65      | 4.0263
fluorite         | Ca 0.50, F 0.75      | 5.4626
fluorite         | Ce 0.30, O 0.50      | 5.4110
caesium chloride | Ni 0.45, Al 0.50     | 2.8870
caesium chloride | Cs 1.90, Cl 1.90     | 4.1230
perovskite       | Sr 0.60, Ti 0.40, O 0.70 | 3.9050
perovskite       | La 0.45, Al 0.35, O 0.70 | 3.7900
perovskite       | Ba 0.50, Ti 0.50, O 0.60 | 4.0000
L1_2             | Al 0.55, Ni 0.45     | 3.5720
L1_0             | Fe 0.40, Pt 0.35     | 3.8520 3.7130
wurtzite         | Ga 0.30, N 0.35      | 3.1890 5.1850
wurtzite         | Zn 0.60, O 0.65      | 3.2498 5.2066
wurtzite         | Al 0.30, N 0.35      | 3.1120 4.9820
rutile           | Ti 0.45, O 0.60      | 4.5937 2.9587
rutile           | Sn 0.35, O 0.55      | 4.7370 3.1860
"""
HELD_OUT = ("Si", "Ni", "Nb", "Zn", "InP", "MgO", "SrTiO3", "ZnO")  # of these networks learn nothing


def _read(line: str) -> Crystal:
    structure, contents, lengths = (part.strip() for part in line.split("|"))
    centring, hexagonal, sites = _STRUCTURES[structure]
    parts = [one.split() for one in contents.split(",")]
    a, *rest = (float(one) for one in lengths.split())
    elements: list[str] = []
    places: list[Floats] = []
    factors: list[float] = []
    for (element, factor), of_element in zip(parts, sites, strict=True):
        for centre in _CENTRES[centring]:
            for place in of_element:
                elements.append(element)
                places.append((np.array(place) + centre) % 1.0)
                factors.append(float(factor))
    counts = [len(of_element) for of_element in sites]
    least = int(np.gcd.reduce(counts))
    name = "".join(
        e + (str(n // least) if n > least else "") for (e, _), n in zip(parts, counts, strict=True)
    )
    basis = cell_basis(a, a, rest[0] if rest else a, 90, 90, 120 if hexagonal else 90)
    return Crystal(name, basis, tuple(elements), np.array(places), np.array(factors), centring)


CRYSTALS: tuple[Crystal, ...] = tuple(_read(line) for line in _TABLE.strip().splitlines())


def crystal(name: str) -> Crystal:
    """One of the table by its formula. Raises ValueError for an unknown one."""
    for one in CRYSTALS:
        if one.name == name:
            return one
    raise ValueError(f"{name!r} is not among the crystals {', '.join(one.name for one in CRYSTALS)}")


_ELEMENTS = ("C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Sc", "Ti", "V", "Cr",
             "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Sr", "Y", "Zr", "Nb", "Mo", "Pd",
             "Ag", "Cd", "In", "Sn", "Sb", "Te", "Ba", "La", "Ce", "Hf", "Ta", "W", "Pt", "Au", "Pb",
             "Bi")  # fmt: skip


def synthetic(rng: np.random.Generator) -> Crystal:
    """A cell of 1 to 6 random atoms at least 1.5 Å apart, about 12 Å^3 each or more: no real substance."""
    angles = np.full(3, 90.0) if rng.random() < 0.5 else rng.uniform(75, 105, 3)
    if rng.random() < 0.2:
        angles = np.array([90.0, 90.0, 120.0])
    lengths = rng.uniform(2.8, 6.2, 3)
    if rng.random() < 0.5:
        lengths[1] = lengths[0]
    basis = cell_basis(*lengths, *angles)
    wanted = int(np.clip(rng.integers(1, 7), 1, max(1, abs(np.linalg.det(basis)) / 12)))
    kinds = rng.choice(_ELEMENTS, size=min(wanted, 3))
    places: list[Floats] = []
    for _ in range(200):
        place = rng.random(3)
        if all(_apart(place - other, basis) > 1.5 for other in places):
            places.append(place)
        if len(places) == wanted:
            break
    elements = tuple(str(rng.choice(kinds)) for _ in places)
    return Crystal("synthetic", basis, elements, np.array(places), rng.uniform(0.2, 1.2, len(places)))


def _apart(difference: Floats, basis: Floats) -> float:
    """Distance of the nearest images, Å, for cells that are not too skew."""
    return float(np.linalg.norm((difference - np.round(difference)) @ basis))


def crystal_of(cell: Cell, b_factor: float = 0.5) -> Crystal:
    """A cell with all its atoms at one B, Å^2. Raises ValueError for a cell that knows none of them."""
    import gemmi

    group = gemmi.find_spacegroup_by_name(cell.space_group, cell.alpha, cell.gamma)
    if not cell.sites or group is None:
        raise ValueError(f"{cell.name} has no atoms; choose a structure with atoms and a space group")
    elements, places = [], []
    for element, *place in cell.sites:
        images = np.array([one.apply_to_xyz(place) for one in group.operations()]) % 1.0
        _, apart = np.unique(np.round(images, 4) % 1.0, axis=0, return_index=True)
        elements += [element] * len(apart)
        places.append(images[apart])
    basis = cell_basis(cell.a, cell.b, cell.c, cell.alpha, cell.beta, cell.gamma)
    positions = np.concatenate(places)
    factors = np.full(len(elements), b_factor)
    return Crystal(cell.name, basis, tuple(elements), positions, factors, group.centring_type())

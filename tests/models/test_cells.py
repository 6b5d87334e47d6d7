"""Rings of cells: spacings, multiplicities, what symmetry and atoms forbid."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from braggscope.models.calibrants import CALIBRANTS
from braggscope.models.cells import Cell


def labels(cell: Cell, d_min: float) -> list[str]:
    return [ring.label for ring in cell.rings(2 * math.pi / d_min)]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("CeO2", ["111", "200", "220", "311", "222", "400", "331", "420", "422", "511 333"]),
        ("LaB6", ["100", "110", "111", "200", "210", "211", "220", "300 221"]),
        ("Si", ["111", "220", "311", "400", "331", "422", "511 333"]),
        ("Al2O3", ["012", "104", "110", "006", "113", "202", "024", "116"]),
        ("AgBh", ["001", "002", "003", "004", "005", "006", "007", "008", "009", "0 0 10"]),
        ("Au", ["111", "200", "220", "311", "222"]),
        ("Fe3O4", ["111", "220", "311", "222", "400", "331", "422", "511 333", "440"]),
        ("alpha-Zr", ["100", "002", "101", "102", "110", "103", "200", "112", "201", "004"]),
        ("diamond", ["111", "220", "311", "400"]),
    ],
)
def test_the_rings_everybody_knows(name, first):
    d_min = 5.0 if name == "AgBh" else 0.85
    assert labels(CALIBRANTS[name], d_min)[: len(first)] == first
    assert CALIBRANTS[name].source


@pytest.mark.parametrize("name", ["CeO2", "LaB6", "Si", "Au", "AgBh"])
def test_spacings_are_those_of_pyfai(name):
    pytest.importorskip("pyFAI", reason="pyFAI is not installed")
    from pyFAI.calibrant import get_calibrant

    theirs = np.array(get_calibrant(name).dspacing[:8])
    ours = [ring.d_angstrom for ring in CALIBRANTS[name].rings(2 * math.pi / (theirs[-1] * 0.99))]
    assert ours == pytest.approx(theirs, rel=2e-4)  # certificates of other years


def test_multiplicities_and_strengths_of_silicon():
    rings = {ring.label: ring for ring in CALIBRANTS["Si"].rings(2 * math.pi / 0.9)}
    assert [rings[x].multiplicity for x in ("111", "220", "311", "400", "511 333")] == [8, 12, 24, 6, 32]
    # |F|² of 111 is 4 f(111)² * 8, of 220 8 f(220)² * 8: the ratio with their multiplicities, f from tables
    f111, f220 = 10.55, 8.72
    assert rings["111"].strength / rings["220"].strength == pytest.approx(
        8 * f111**2 * 32 / (12 * f220**2 * 64), rel=0.03
    )


@pytest.mark.parametrize(
    ("centring", "squares"),
    [("P", [1, 2, 3, 4, 5, 6, 8]), ("I", [2, 4, 6, 8]), ("F", [3, 4, 8]), ("C", [1, 2, 3, 4, 5, 6, 8])],
)
def test_centring_forbids(centring, squares):
    rings = Cell(a=4, b=4, c=4, space_group=centring).rings(2 * math.pi / (4 / math.sqrt(8.5)))
    assert [round((4 / ring.d_angstrom) ** 2) for ring in rings] == squares
    whole = {"P": 26, "I": 12 + 6 + 24 + 12, "F": 8 + 6 + 12}
    if centring in ("I", "F"):
        assert sum(ring.multiplicity for ring in rings) == whole[centring]
    assert all(math.isnan(ring.strength) for ring in rings)


def test_rhombohedral_centring_is_obverse():
    cell = Cell(a=4.759, b=4.759, c=12.992, gamma=120, space_group="R")
    first = [ring.hkl[0] for ring in cell.rings(2 * math.pi / 2.0)]
    assert all((-h + k + l) % 3 == 0 for h, k, l in first)  # noqa: E741 - the name of the index
    spacings = [ring.d_angstrom for ring in cell.rings(2 * math.pi / 2.0)]
    assert spacings[0] == pytest.approx(4.3307, abs=1e-3)  # 003: the c glide would forbid it


def test_triclinic_spacings_by_the_reciprocal_lattice():
    cell = Cell(a=5.1, b=6.2, c=7.3, alpha=81, beta=97, gamma=112)
    alpha, beta, gamma = np.radians([81, 97, 112])
    a = np.array([5.1, 0, 0])
    b = 6.2 * np.array([math.cos(gamma), math.sin(gamma), 0])
    cx, cy = math.cos(beta), (math.cos(alpha) - math.cos(beta) * math.cos(gamma)) / math.sin(gamma)
    c = 7.3 * np.array([cx, cy, math.sqrt(1 - cx**2 - cy**2)])
    reciprocal = np.linalg.inv(np.array([a, b, c])).T
    hkl = np.array([[1, 0, 0], [1, -2, 3], [0, 4, -1]])
    assert cell.d_angstrom(hkl) == pytest.approx(1 / np.linalg.norm(hkl @ reciprocal, axis=1))
    assert cell.volume_angstrom3 == pytest.approx(abs(np.dot(a, np.cross(b, c))))
    assert all(ring.multiplicity == 2 for ring in cell.rings(2.0))


def test_bounds():
    assert len(CALIBRANTS["CeO2"].rings(20.0, most=7)) == 7
    assert CALIBRANTS["CeO2"].rings(1.0) == ()
    with pytest.raises(ValueError, match="too many rings"):
        Cell(a=400, b=400, c=400).rings(20.0)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"space_group": "Q 7"}, "no space group"),
        ({"alpha": 60, "beta": 60, "gamma": 170}, "do not close"),
        ({"a": -1}, "greater than 0"),
    ],
)
def test_what_is_no_cell(values, word):
    with pytest.raises(ValidationError, match=word):
        Cell(**({"a": 4, "b": 4, "c": 4} | values))

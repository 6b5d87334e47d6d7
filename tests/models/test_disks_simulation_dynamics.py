import numpy as np
import pytest
from numpy.testing import assert_allclose

from braggscope.models.cells import Cell
from braggscope.models.disks.simulation.crystals import CRYSTALS, crystal, crystal_of, synthetic
from braggscope.models.disks.simulation.dynamics import (
    Beam,
    intensities,
    propagate,
    structure_matrix,
    whole_steps,
)
from braggscope.models.disks.simulation.scattering import (
    Zone,
    coupling,
    coupling_matrix,
    wavelength_angstrom,
    zone_beams,
)

SILICON = zone_beams(crystal("Si"), (1, 1, 0), 81)


def two_beams(tilt: float) -> tuple[Zone, Beam]:
    """The direct beam and 220 of silicon, ``tilt`` rad from its Bragg angle."""
    row = int(np.flatnonzero((SILICON.hkl == (-2, 2, 0)).all(axis=1))[0])
    rows = [0, row]
    pair = Zone(
        SILICON.crystal,
        SILICON.axis,
        SILICON.hkl[rows],
        SILICON.g[rows],
        SILICON.indices[rows],
        SILICON.basis,
    )
    g = pair.g[1]
    wavenumber = Beam(200.0).wavenumber
    x, y = g / np.linalg.norm(g) * (tilt - np.linalg.norm(g) / (2 * wavenumber))
    return pair, Beam(200.0, (float(x), float(y)))


def cone(beam: Beam, rad: float = 2e-3, count: int = 5) -> np.ndarray:
    axis = np.linspace(-rad, rad, count) * beam.wavenumber
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def test_wavelengths_are_those_of_the_tables() -> None:
    for voltage, wanted in ((60, 0.04866), (100, 0.03701), (200, 0.02508), (300, 0.01969)):
        assert wavelength_angstrom(voltage) == pytest.approx(wanted, abs=1e-5)


def test_extinction_distances_are_near_those_of_the_literature() -> None:
    wavenumber = 1 / wavelength_angstrom(100)  # Hirsch et al., Electron Microscopy of Thin Crystals: table
    for name, hkl, nanometres in (("Si", (1, 1, 1), 60.2), ("Si", (2, 2, 0), 75.7), ("Al", (1, 1, 1), 55.6)):
        found = wavenumber / abs(coupling(crystal(name), np.array(hkl), 100)) / 10
        assert found == pytest.approx(nanometres, rel=0.12)


@pytest.mark.parametrize("tilt", [0.0, 1e-3, -2.5e-3])
def test_two_beams_oscillate_as_the_analytic_solution_says(tilt: float) -> None:
    pair, beam = two_beams(tilt)
    thickness = np.linspace(20, 1500, 30)
    extinction = beam.wavenumber / abs(coupling(pair.crystal, pair.hkl[1], 200.0))
    g = pair.g[1]
    deviation = -(g @ g + 2 * beam.wavenumber * g @ np.array(beam.tilt)) / (2 * beam.wavenumber)
    assert deviation == pytest.approx(-tilt * np.linalg.norm(g), rel=1e-9, abs=1e-12)
    effective = np.sqrt(deviation**2 + extinction**-2)
    wanted = (np.sin(np.pi * thickness * effective) / (extinction * effective)) ** 2
    exact = intensities(pair, beam, np.zeros((1, 2)), thickness)[:, 0, 1]
    assert_allclose(exact, wanted, atol=1e-9)
    quick = propagate(pair, beam, np.zeros((1, 2)), thickness)[:, 0, 1].numpy()
    steps, length = whole_steps(pair, beam, np.zeros((1, 2)), thickness)
    assert_allclose(
        quick, (np.sin(np.pi * steps * length * effective) / (extinction * effective)) ** 2, atol=1e-4
    )


def test_no_electron_is_lost_without_absorption_and_some_with_it() -> None:
    offsets = cone(Beam(200.0))
    thickness = np.array([100.0, 900.0])
    total = propagate(SILICON, Beam(200.0, (2e-3, 1e-3)), offsets, thickness).sum(dim=2)
    assert_allclose(total.numpy(), 1, atol=1e-4)
    total = propagate(SILICON, Beam(200.0, (2e-3, 1e-3), 0.05), offsets, thickness).sum(dim=2)
    assert (total[1] < total[0]).all()
    assert (total[1] < 0.8).all()


@pytest.mark.parametrize(
    ("name", "voltage", "rad"), [("Si", 200, 2e-3), ("Au", 80, 4e-3), ("GaAs", 300, 1e-3)]
)
def test_steps_agree_with_the_eigenvalues(name: str, voltage: float, rad: float) -> None:
    zone = zone_beams(crystal(name), (0, 0, 1), 60)
    beam = Beam(voltage, (5e-3, -2e-3), 0.04)
    offsets = cone(beam, rad, 3)
    steps, length = whole_steps(zone, beam, offsets, np.array([60.0, 300.0, 1200.0]))
    exact = intensities(zone, beam, offsets, steps * length)
    assert_allclose(propagate(zone, beam, offsets, steps * length).numpy(), exact, atol=4e-3)


def test_a_thin_crystal_scatters_once() -> None:
    thickness, beam = 5.0, Beam(200.0)
    found = intensities(SILICON, beam, np.zeros((1, 2)), np.array([thickness]))[0, 0]
    deviation = -(SILICON.g**2).sum(axis=1) / (2 * beam.wavenumber)
    wanted = (
        np.abs(coupling(SILICON.crystal, SILICON.hkl, 200.0)) * np.pi * thickness / beam.wavenumber
    ) ** 2
    wanted *= np.sinc(thickness * deviation) ** 2
    strong = wanted > 1e-5
    strong[0] = False
    assert strong.sum() > 10
    assert_allclose(found[strong], wanted[strong], rtol=0.12)


def test_a_pattern_on_the_axis_has_the_symmetry_of_the_zone() -> None:
    """Si [110]: two mirrors and the half turn, for beams and tilts together."""
    offsets = cone(Beam(200.0), 2e-3, 5)
    found = intensities(SILICON, Beam(200.0), offsets, np.array([400.0]))[0]
    axis = SILICON.crystal.reciprocal[2]  # 002 lies in the zone
    towards = np.array([1, 1, 0]) @ SILICON.crystal.basis
    first = SILICON.hkl[1] @ SILICON.crystal.reciprocal
    x = first / np.linalg.norm(first)
    y = np.cross(towards / np.linalg.norm(towards), x)
    mirror = np.array([axis @ x, axis @ y]) / np.linalg.norm(axis)
    for operation in (-np.eye(2), np.eye(2) - 2 * np.outer(mirror, mirror)):
        rotated = intensities(SILICON, Beam(200.0), offsets @ operation.T, np.array([400.0]))[0]
        images = SILICON.g @ operation.T
        partner = np.linalg.norm(images[:, None] - SILICON.g, axis=2).argmin(axis=1)
        assert_allclose(rotated[:, partner], found, atol=1e-8)


def test_friedel_pairs_couple_as_conjugates_and_the_matrix_is_hermitian() -> None:
    for name in ("GaAs", "ZnO", "Si"):
        one = crystal(name)
        hkl = np.array([(1, 1, 1), (2, 0, 1), (3, 1, -1)])
        assert_allclose(coupling(one, -hkl, 200), coupling(one, hkl, 200).conj(), atol=1e-12)
        matrix = structure_matrix(zone_beams(one, (1, 0, 0), 40), Beam(200.0))
        assert_allclose(matrix, matrix.conj().T, atol=1e-12)
    with_loss = coupling_matrix(SILICON, 200) * 1j
    assert not np.allclose(with_loss, with_loss.conj().T)


def test_extinct_reflections_scatter_only_by_detours() -> None:
    gone = coupling(crystal("Si"), np.array([(2, 0, 0), (2, 2, 2), (1, 0, 0)]), 200)
    assert_allclose(np.abs(gone), 0, atol=1e-12)
    row = int(np.flatnonzero((SILICON.hkl == (0, 0, 2)).all(axis=1))[0])
    thin, thick = intensities(SILICON, Beam(200.0), np.zeros((1, 2)), np.array([5.0, 400.0]))[:, 0, row]
    assert thin < 1e-6
    assert thick > 1e-3


def test_zones_hold_whole_shells_and_only_their_own_beams() -> None:
    for name, axis in (("Si", (1, 1, 0)), ("Mg", (0, 0, 1)), ("SrTiO3", (1, 1, 1)), ("TiO2", (1, 0, 1))):
        zone = zone_beams(crystal(name), axis)
        assert (zone.hkl @ np.array(axis) == 0).all()
        assert_allclose(zone.indices @ zone.basis, zone.g, atol=1e-9)
        length = np.linalg.norm(zone.g, axis=1)
        assert length[0] == 0
        assert (np.diff(length) > -1e-6).all()
        assert len(zone.hkl) <= 121
        assert {tuple(one) for one in zone.hkl} == {tuple(-one) for one in zone.hkl}


def test_the_table_has_the_atoms_of_its_formulas() -> None:
    assert len({one.name for one in CRYSTALS}) == len(CRYSTALS) >= 40
    counts = {"Si": 8, "Au": 4, "SrTiO3": 5, "CaF2": 12, "ZnO": 4, "TiO2": 6, "Mg": 2, "AlNi3": 4}
    for name, atoms in counts.items():
        assert len(crystal(name).elements) == atoms
    for one in CRYSTALS:
        assert len(np.unique(np.round(one.positions % 1, 4), axis=0)) == len(one.elements)
    with pytest.raises(ValueError, match="unobtainium"):
        crystal("unobtainium")


def test_random_cells_have_atoms_apart() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        one = synthetic(rng)
        assert 1 <= len(one.elements) == len(one.positions) == len(one.b_factors)
        assert one.volume_angstrom3 > 10


def test_a_unit_cell_gives_the_crystal_of_the_table() -> None:
    cell = Cell(name="mine", a=5.431, b=5.431, c=5.431, space_group="F d -3 m:1", sites=(("Si", 0, 0, 0),))
    made, known = crystal_of(cell, 0.46), crystal("Si")
    hkl = np.array([(1, 1, 1), (2, 2, 0), (2, 0, 0), (3, 1, 1)])
    assert_allclose(np.abs(coupling(made, hkl, 200)), np.abs(coupling(known, hkl, 200)), atol=1e-9)
    assert made.centring == "F"
    assert len(zone_beams(made, (1, 1, 0)).hkl) == 121
    with pytest.raises(ValueError, match="no atoms"):
        crystal_of(Cell(name="empty", a=3, b=3, c=3))

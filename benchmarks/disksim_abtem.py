"""Multislice of Si [110] with abTEM, run by an environment that has it: see bench_disksim.

``python disksim_abtem.py OUT.npz PARAMETRISATION x1,y1 x2,y2 ...``, tilts in mrad along [001] and [1-10].
Writes ``thickness_angstrom`` (N,) and ``intensities`` (T, N, 64, 48): plane wave to beam (i, j) = i/a along
[001], j sqrt(2)/a along [1-10], indices as of a Fourier transform. Atoms at rest, no absorption.
"""

import sys

import abtem
import numpy as np
from ase import Atoms

LATTICE_ANGSTROM = 5.431
PLACES = ((0, 0, 0), (0.25, 0, 0.5), (0.5, 0.5, 0.5), (0.75, 0.5, 0))  # of the cell [001], [1-10], [110] / 2
DEEPEST_ANGSTROM = 1104.0
SLICES, CELLS_AN_EXIT = 4, 4


def main() -> None:
    out, parametrisation, *tilts = sys.argv[1:]
    edge = LATTICE_ANGSTROM / np.sqrt(2)
    atoms = Atoms("Si4", scaled_positions=PLACES, cell=(LATTICE_ANGSTROM, edge, edge), pbc=True)
    cell = abtem.Potential(
        atoms, gpts=(64, 48), slice_thickness=edge / SLICES, projection="infinite",
        parametrization=parametrisation,
    )  # fmt: skip
    repeats = CELLS_AN_EXIT * int(DEEPEST_ANGSTROM / edge / CELLS_AN_EXIT)
    crystal = abtem.CrystalPotential(cell, (1, 1, repeats), exit_planes=SLICES * CELLS_AN_EXIT)
    found = []
    for tilt in tilts:
        x, y = (float(one) for one in tilt.split(","))
        exits = abtem.PlaneWave(energy=200e3, tilt=(x, y)).multislice(crystal)
        pattern = exits.diffraction_patterns(max_angle="full", fftshift=False)
        found.append(np.asarray(pattern.compute().array)[1:])
    thickness = edge * CELLS_AN_EXIT * np.arange(1, len(found[0]) + 1)
    np.savez(out, thickness_angstrom=thickness, intensities=np.stack(found))


if __name__ == "__main__":
    main()

import json

import h5py
import numpy as np
import pytest

from braggscope.app import demo_strain
from braggscope.app.engine.jobs import Cancelled, Context, Ticket


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_strain, "LAYERS_SHAPE", (2, 64))
    monkeypatch.setattr(demo_strain, "WEDGE_SHAPE", (2, 5))


def biot(lattice: np.ndarray, reference: np.ndarray) -> np.ndarray:
    got, base = lattice[2:].reshape(2, 2).T, reference[2:].reshape(2, 2).T
    left, values, right = np.linalg.svd(np.linalg.inv(got @ np.linalg.inv(base)).T)
    turn, stretch = left @ right, right.T @ np.diag(values) @ right
    return np.array([stretch[0, 0] - 1, stretch[1, 1] - 1, stretch[0, 1], np.arctan2(turn[1, 0], turn[0, 0])])


@pytest.mark.usefixtures("small")
def test_both_scans_have_their_truth(run, tmp_path):
    out = tmp_path / "strain.h5"
    code, said, _ = run("demo", "strain", "-o", out, "--seed", "3")
    assert (code, said.strip()) == (0, str(out))
    with h5py.File(out) as file:
        for scan, truth, shape in (("entry", "truth", (2, 64)), ("wedge", "truth/wedge", (2, 5))):
            counts = file[f"{scan}/data/data"]
            assert counts.shape == (*shape, 128, 128)
            assert counts.dtype == np.uint16
            probe = file[f"{scan}/probe/data"][()]
            assert np.unravel_index(probe.argmax(), probe.shape)[0] == pytest.approx(64, abs=7)
            assert probe.sum() == pytest.approx(1, abs=1e-4)
            lattices, reference = file[f"{truth}/lattice"][()], file[f"{truth}/reference"][()]
            maps = np.stack([file[f"{truth}/{name}"][()] for name in ("exx", "eyy", "exy", "theta")], axis=-1)
            for row, column in np.ndindex(shape):
                found = biot(lattices[row, column], reference)
                np.testing.assert_allclose(found, maps[row, column], atol=1e-8)
        assert json.loads(file["entry/process/parameters"].asstr()[()])["seed"] == 3
        np.testing.assert_allclose(file["truth/wedge/thickness_nm"][0, [0, -1]], [4, 110], atol=1)
        assert np.ptp(file["truth/wedge/tilt"][()]) > 5e-3


def test_the_layers_are_strained_and_the_substrate_is_not():
    for seed in (0, 1):
        strain = demo_strain.layer_strain(seed)
        assert np.abs(strain[:, :8]).max() < 1e-4
        assert 0.005 < strain[..., 0].max() < 0.021
        assert np.abs(strain).max() < 0.021


@pytest.mark.usefixtures("small")
def test_cancelling_leaves_no_file(tmp_path):
    ticket = Ticket(0)

    def cancel(done: int, *_: object) -> None:
        if done:
            ticket.cancel()

    with pytest.raises(Cancelled):
        demo_strain.write_demo_strain(tmp_path / "strain.h5", 0, Context(ticket, cancel))
    assert list(tmp_path.iterdir()) == []


CIF = """data_salt
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Na1 Na 0 0 0
Cl1 Cl 0.5 0.5 0.5
"""


@pytest.mark.usefixtures("small")
def test_the_wedge_can_be_of_a_crystal_in_a_cif(run, fails, tmp_path):
    cif, out = tmp_path / "salt.cif", tmp_path / "strain.h5"
    cif.write_text(CIF)
    assert run("demo", "strain", "-o", out, "--cif", cif, "--zone", "0", "0", "1")[0] == 0
    with h5py.File(out) as file:
        assert "salt [0 0 1] wedge" in file["wedge/title"].asstr()[()]
        vectors = file["truth/wedge/reference"][2:]
        step = file["wedge/data"].attrs["pixel_inv_angstrom"]
        assert np.hypot(*vectors[:2]) * step == pytest.approx(2 / 5.64, rel=1e-6)
        assert vectors[:2] @ vectors[2:] == pytest.approx(0, abs=1e-6)
    out.unlink()
    cif.write_text(CIF[: CIF.index("loop_")])
    assert "no atoms" in fails("demo", "strain", "-o", out, "--cif", cif)
    assert "zone" in fails("demo", "strain", "-o", out, "--zone", "0", "0", "0")
    assert not out.exists()

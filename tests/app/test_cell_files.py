"""Cells from CIF files."""

import pytest

from braggscope.app.sources.cells import read_cell
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.models.calibrants import CALIBRANTS

SILICON = """data_silicon
_cell_length_a 5.431144(8)
_cell_length_b 5.431144(8)
_cell_length_c 5.431144(8)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F d -3 m:1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Si1 Si 0 0 0
"""


def test_silicon_from_a_cif_is_the_silicon_that_is_known(tmp_path):
    path = tmp_path / "silicon.cif"
    path.write_text(SILICON)
    cell = read_cell(path)
    assert cell.name == "silicon"
    assert cell.rings(6.0) == CALIBRANTS["Si"].rings(6.0)
    with Reader() as reader:
        assert reader.load_cell(str(path)) == cell


def test_without_a_space_group_every_reflection_is_there(tmp_path):
    path = tmp_path / "a.cif"
    path.write_text(SILICON.replace("_space_group_name_H-M_alt 'F d -3 m:1'\n", ""))
    assert [ring.label for ring in read_cell(path).rings(3.0)][:3] == ["100", "110", "111"]


@pytest.mark.parametrize("text", ["", "rubbish", SILICON.replace("5.431144(8)", "?"), "data_a\nloop_\n_b\n"])
def test_bad_files_end_in_one_sentence(tmp_path, text):
    path = tmp_path / "bad.cif"
    path.write_text(text)
    with pytest.raises(SourceError) as error:
        read_cell(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(SourceError, match="check its name"):
        read_cell(tmp_path / "nowhere.cif")

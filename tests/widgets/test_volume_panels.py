"""The docks of the Coherent workspace before the phasing: the volume, its geometry, the scans."""

import pytest
from coherent_hands import maker, typed

from braggscope.models.cdi.geometry import BraggGeometry
from braggscope.models.cdi.parameters import Phasing, Stroke
from braggscope.widgets.phasing_choices import PhasingStanding
from braggscope.widgets.volume_geometry import VolumeGeometry, known_of
from braggscope.widgets.volume_panel import VolumePanel
from braggscope.widgets.volume_scans import HEADINGS, ScanRow, ScansPanel

ANGLES = BraggGeometry(
    energy_keV=9, distance_m=1.1, pixel_um=(55, 75), delta_deg=20, gamma_deg=10, step_deg=-0.01, axis="x"
)


@pytest.fixture
def make(qtbot):
    return maker(qtbot)


def test_the_volume_panel_shows_and_changes_every_step(make, qtbot):
    panel = make(VolumePanel)
    value = Phasing(
        input="amplitude", hot_voxels=False, aliens=True, centre=False, crop=48, binning=(1, 2, 2),
        saturation=6e4, brushed=(Stroke(places=((1, 2, 3),), radius=2.0),),
    )  # fmt: skip
    with qtbot.assertNotEmitted(panel.phasing_changed):
        panel.set_phasing(value)
    assert panel.crop.text() == "48"
    assert [spin.value() for spin in panel.binning] == [1, 2, 2]
    found = []
    panel.phasing_changed.connect(found.append)
    panel.switches["hot_voxels"].click()
    assert found[-1] == value.model_copy(update={"hot_voxels": True})
    panel.clear_brush.click()
    assert found[-1].brushed == ()
    panel.binning[0].setValue(3)
    assert found[-1].binning == (3, 2, 2)
    typed(panel.crop, "5")
    assert "Crop" in panel.error.text()
    assert found[-1].crop == 48
    typed(panel.crop, "32")
    assert found[-1].crop == 32
    assert panel.error.text() == ""


def test_steps_say_what_they_did(make):
    panel = make(VolumePanel)
    panel.set_steps({"hot": "3 voxels", "gaps": "120 voxels", "oversampling": "2.5, 2.6, 2.7"}, ("Done.",))
    assert panel.said["hot"].text() == "3 voxels"
    assert panel.said["aliens"].text() == ""
    assert panel.cleaning.header.summary == "120 voxels missing"
    assert "2.5, 2.6, 2.7" in panel.oversampling.text()
    panel.set_steps({})
    assert not panel.oversampling.isVisible()
    panel.set_files({"dark_file": "/a/dark.tif"})
    assert panel.calibration.header.summary == "dark"


def test_a_preparation_that_takes_long_shows_how_far_it_is_and_can_be_cancelled(make, qtbot):
    panel = make(VolumePanel)
    panel.set_possible(True)
    assert not panel.bar.isVisible()
    panel.set_standing(PhasingStanding(True, 250, 1000, 12.0, "frame 8 of 32"))
    assert (panel.bar.value(), panel.bar.maximum()) == (250, 1000)
    assert panel.note.text() == "frame 8 of 32 · 12 s left"
    with qtbot.waitSignal(panel.cancel_requested), qtbot.assertNotEmitted(panel.prepare_requested):
        panel.prepare.click()
    panel.set_standing(PhasingStanding())
    assert not panel.bar.isVisible()
    assert not panel.note.isVisible()
    with qtbot.waitSignal(panel.prepare_requested), qtbot.assertNotEmitted(panel.cancel_requested):
        panel.prepare.click()


def test_a_geometry_is_complete_or_says_what_is_missing(make, qtbot):
    panel = make(VolumeGeometry)
    found, said = [], []
    panel.geometry_changed.connect(found.append)
    panel.refused.connect(said.append)
    typed(panel.fields["energy_keV"], "9")
    assert found == []
    assert panel.note.text().startswith("Still needed: distance, ")
    for name, number in known_of(ANGLES).items():
        typed(panel.fields[name], f"{number}")
    assert found[-1] == ANGLES.model_copy(update={"axis": "y"})
    panel.axis.button("x").click()
    assert found[-1] == ANGLES
    typed(panel.fields["step_deg"], "0")
    assert "rocking step is 0" in said[-1]
    assert found[-1] == ANGLES
    with qtbot.assertNotEmitted(panel.geometry_changed):
        panel.set_geometry(ANGLES)
    assert panel.fields["step_deg"].text() == "-0.01"
    typed(panel.fields["energy_keV"], "")
    assert found[-1] is None


def test_a_vector_needs_three_numbers(make):
    panel = make(VolumeGeometry)
    found, said = [], []
    panel.vector_changed.connect(lambda *values: found.append(values))
    panel.refused.connect(said.append)
    panel.way.button("voxel").click()
    for axis, text in zip("zyx", ("6", "7", "8"), strict=True):
        typed(panel.fields[f"voxel_nm_{axis}"], text)
    assert found == [("voxel_nm", (6.0, 7.0, 8.0))]
    typed(panel.fields["voxel_nm_z"], "-1")
    assert "above 0" in said[-1]
    assert len(found) == 1


def test_scans_are_listed(make, qtbot):
    panel = make(ScansPanel, 800, 200)
    assert not panel.start.isEnabled()
    panel.set_rows([ScanRow(tuple("abcdefg")), ScanRow(("x", *[""] * 5, "failed"), True)], "two")
    assert panel.texts()[0] == list("abcdefg")
    assert len(panel.texts()[1]) == len(HEADINGS)
    with qtbot.waitSignal(panel.start_requested):
        panel.start.click()
    panel.set_running(True)
    assert not panel.choose.isEnabled()
    with qtbot.waitSignal(panel.cancel_requested):
        panel.start.click()

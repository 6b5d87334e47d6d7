"""A user looks at a crystal: slices, surface, starts side by side, what becomes of older results."""

import json

import numpy as np
from coherent_scan import coherent, panels, phase
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from stage import LEFT, NONE, settle, until

from braggscope.models.cdi.geometry import BraggGeometry


def test_data_and_crystal_are_shown_side_by_side_or_alone(crystal):
    phase(crystal)
    page = panels(crystal).page
    for mode, data, made, surface in (
        ("data", True, False, True), ("both", True, True, False), ("object", False, True, True),
    ):  # fmt: skip
        crystal.press(page.shown.button(mode))
        settle(0.02)
        assert (page.data.isVisible(), page.object.isVisible()) == (data, made)
        assert page.surface.isVisible() is surface
    combo = page.quantity
    combo.setFocus()
    before = page.object.layer.quantity
    QTest.keyClick(combo, Qt.Key.Key_Up)
    until(lambda: page.object.layer.quantity != before, "the other quantity")
    assert page.object.title.text() == combo.currentText()


def test_voxel_and_q_typed_afterwards_give_strain_and_size(crystal):
    phase(crystal)
    crystal.window.show_panel("volume")
    fields = panels(crystal).volume.instrument.fields
    crystal.press(panels(crystal).volume.instrument.way.button("voxel"))
    for name, number in zip(("z", "y", "x"), ("6", "7", "8"), strict=True):
        for field, text in ((f"voxel_nm_{name}", number), (f"q_inv_angstrom_{name}", "1.5")):
            panels(crystal).volume.page.ensureWidgetVisible(fields[field])
            fields[field].setFocus()
            QTest.keyClicks(fields[field], text)
            QTest.keyClick(fields[field], Qt.Key.Key_Return)
    until(lambda: coherent(crystal).show.looked.particle.strain is not None, "the strain")
    settle(0.05)
    facts = dict(panels(crystal).result.facts.items())
    assert facts["Voxel z, y, x"] == "6 × 7 × 8 nm"
    assert facts["Crystal z, y, x"].endswith(" nm")
    assert "Mean strain" in facts
    page = panels(crystal).page
    assert page.quantity.findData("strain") >= 0
    assert page.object.layer.quantity == "strain"
    crystal.program.trigger("undo")
    until(lambda: coherent(crystal).show.looked.particle.strain is None, "the undo")


def test_several_starts_are_ranked_and_a_click_shows_one(crystal):
    coherent(crystal).set_phasing(coherent(crystal).phasing.model_copy(update={"starts": 3, "runs": 2}))
    phase(crystal)
    table = panels(crystal).starts.table
    crystal.window.show_panel("starts")
    free = [float(row[2].replace("−", "-")) for row in panels(crystal).starts.texts()]
    assert len(free) == 2
    assert free == sorted(free, reverse=True)
    first = coherent(crystal).show.looked
    cell = table.visualItemRect(table.item(1, 1)).center()
    QTest.mouseClick(table.viewport(), LEFT, NONE, cell)
    until(lambda: coherent(crystal).show.looked is not first, "the other start")
    assert coherent(crystal).show.looked.candidate.start == coherent(crystal).run.results[1].start
    assert panels(crystal).result.curve.getData()[0] is not None
    assert "voxels" in dict(panels(crystal).result.facts.items())["Resolution at 1/e"]
    phase(crystal)  # another one of the same pattern is compared with them
    assert len(panels(crystal).starts.texts()) == 4


def test_another_row_and_a_cut_at_once_show_that_row(crystal):
    coherent(crystal).set_phasing(coherent(crystal).phasing.model_copy(update={"starts": 3, "runs": 2}))
    phase(crystal)
    show, results = coherent(crystal).show, coherent(crystal).run.results
    for row, change in ((1, show.look_changed), (0, lambda: panels(crystal).page.clip_changed.emit(None))):
        coherent(crystal).run.choose(row)
        change()
        until(lambda row=row: show.looked.candidate is results[row], "the other start")


def test_another_step_is_shown_and_files_hold_the_step_that_was_used(crystal, tmp_path):
    room = coherent(crystal)
    first = BraggGeometry(
        energy_keV=9, distance_m=1, pixel_um=(55, 55), delta_deg=20, gamma_deg=15, step_deg=0.01
    )
    room.set_phasing(room.phasing.model_copy(update={"geometry": first}))
    until(lambda: room.volume.parameters.geometry == first, "the geometry")
    phase(crystal)
    before = room.show.looked.particle.spacing
    second = first.model_copy(update={"step_deg": 0.02})
    room.set_phasing(room.phasing.model_copy(update={"geometry": second}))
    room.exports.write("npz", tmp_path / "a.npz")  # of what is on screen
    crystal.idle()
    until((tmp_path / "a.npz").exists, "the file")
    stored = json.loads(str(np.load(tmp_path / "a.npz")["provenance"]))
    assert stored["parameters"]["phasing"]["geometry"]["step_deg"] == 0.01
    until(lambda: room.show.looked.typed.geometry == second, "the crystal with the other step")
    assert room.show.looked.particle.spacing != before


def test_results_are_kept_as_far_as_the_memory_goes(crystal):
    phase(crystal)
    first = coherent(crystal).run.results[0]
    coherent(crystal).run.kept.most = 4 * first.obj.nbytes
    phase(crystal)
    assert len(coherent(crystal).run.results) == 1
    assert coherent(crystal).run.results[0] is not first


def test_the_cross_hair_links_the_slices(crystal):
    data = panels(crystal).page.data
    across_z, across_y, across_x = data.canvases
    at = across_z.point_of((16, 10, 20)).toPoint()
    QTest.mouseClick(across_z, LEFT, NONE, at)
    assert data.place == (16, 10, 20)
    assert across_y._place[1] == 10
    assert across_x._place[2] == 20
    QTest.mouseClick(across_x, LEFT, NONE, across_x.point_of((9, 12, 20)).toPoint())
    assert data.place == (9, 12, 20)
    value = coherent(crystal).volume.layer.values[9, 12, 20]
    assert f"({9}, {12}, {20})" in data.readout.text()
    assert "counts" in data.readout.text()
    assert value >= 0

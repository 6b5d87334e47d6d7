"""A user brings a crystal: prepares it, phases it, looks at it, writes it, and makes every mistake."""

import json
import os
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from stage import LEFT, NONE, Stage, drag, settle, until

from braggscope.app.sources.protocol import SourceError
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.geometry import BraggGeometry

QUICK = {"coarse_iterations": "30*RAAR+10*ER", "iterations": "20*RAAR+10*ER", "refinement": 10}
SPEC = CoherentSpec(seed=5, shape=(32, 32, 32), peak_counts=1e5)
GOLD = (
    Path(os.environ.get("BRAGGSCOPE_TEST_DATA", "/nonexistent")) / "cdi" / "3dcdinn_gold_ft_crop_64_amp.npz"
)


@pytest.fixture(scope="module")
def counts():
    return measure(grow(SPEC), SPEC).counts


@pytest.fixture(scope="module")
def stack(counts, tmp_path_factory):
    path = tmp_path_factory.mktemp("crystal") / "scan7.npy"
    np.save(path, counts)
    return path


@pytest.fixture
def crystal(launch, stack) -> Stage:
    """The workspace with a small crystal, prepared, and parameters that are quick."""
    stage = launch()
    stage.open(stack)
    stage.program.trigger("coherent_workspace")
    prepared(stage)
    coherent(stage).set_phasing(coherent(stage).phasing.model_copy(update=QUICK))
    return stage


def coherent(stage: Stage):
    return stage.program.coherent


def panels(stage: Stage):
    return stage.window.coherent


def prepared(stage: Stage) -> None:
    until(lambda: coherent(stage).volume is not None, "the prepared stack")
    until(lambda: not stage.desk.lanes.volume.busy, "the end of the preparation")
    settle(0.02)


def phase(stage: Stage) -> None:
    stage.window.show_panel("phasing")
    stage.press(panels(stage).phasing.start)
    until(lambda: coherent(stage).run.running, "the start")
    until(lambda: not coherent(stage).run.running, "the crystal", 60)
    until(lambda: coherent(stage).show.looked is not None, "the result")
    settle(0.05)


def test_the_empty_page_says_what_to_do(launch):
    stage = launch()
    stage.program.trigger("coherent_workspace")
    page = panels(stage).page
    assert page.empty.isVisible()
    assert "rocking curve" in page.empty.detail.text()
    assert page.empty.demo_button.text() == "Open demo crystal"
    assert not panels(stage).volume.prepare.isEnabled()
    assert not panels(stage).phasing.start.isEnabled()


def test_from_the_stack_to_the_crystal(crystal, tmp_path):
    view = panels(crystal)
    assert view.volume.said["hot"].text() == "0 voxels"
    assert "Oversampling z, y, x: 2." in view.volume.oversampling.text()
    assert view.page.data.layer.quantity == "data"
    phase(crystal)
    assert crystal.rows()["Reconstruction"] == "done"
    assert [row[0] for row in view.starts.texts()] == ["Iterative"]
    assert 0 < float(view.starts.texts()[0][3]) < 0.4
    assert view.page.object.layer.index.shape == (32, 32, 32)
    assert view.page.shown.value() == "object"
    assert "no OpenGL" in view.page.surface.message.text()  # offscreen: slices work, and it says why
    facts = dict(view.result.facts.items())
    assert facts["Voxel z, y, x"] == "unknown"
    assert facts["Twin"] in ("kept as found", "the other one was taken")
    assert view.result.strain_hint.isVisibleTo(view.result.strain)
    stages = view.curves.stages
    assert any(name.startswith("start 1") for name in stages)
    assert "refinement" in stages


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


def test_start_with_another_mask_prepares_first(crystal, tmp_path):
    phase(crystal)
    room, store = coherent(crystal), crystal.desk.store
    first, mask = room.run.results[0], np.zeros((32, 32), np.uint8)
    mask[3, 4] = 1
    np.save(tmp_path / "mask.npy", mask)
    store.replace(
        store.state.with_parameters(store.state.parameters.with_prepare(mask_file=str(tmp_path / "mask.npy")))
    )
    room.run.start()
    until(lambda: room.run.results and room.run.results[0] is not first and not room.run.running, "it", 60)
    assert len(room.run.results) == 1  # those of another mask are not compared with it
    assert room.run.results[0].phased.pattern.mask[:, 3, 4].all()
    assert room.run.results[0].prepare.mask_file == str(tmp_path / "mask.npy")


def test_results_are_kept_as_far_as_the_memory_goes(crystal, monkeypatch):
    phase(crystal)
    first = coherent(crystal).run.results[0]
    monkeypatch.setattr("braggscope.app.presenters.coherent_run.KEPT_BYTES", 4 * first.obj.nbytes)
    phase(crystal)
    assert len(coherent(crystal).run.results) == 1
    assert coherent(crystal).run.results[0] is not first


def test_another_stack_is_not_phased_unasked(crystal, counts, tmp_path, monkeypatch):
    begun = []

    def endless(*given):
        begun.append(True)
        given[4].cancelled.wait(10)
        given[4].check()

    with monkeypatch.context() as patch:
        patch.setattr("braggscope.app.presenters.coherent.make_volume", endless)
        coherent(crystal).prepare_and_run()
        until(lambda: begun, "the preparation")
    np.save(tmp_path / "other.npy", counts[:, ::-1])
    crystal.open(tmp_path / "other.npy")
    prepared(crystal)
    assert coherent(crystal).volume.stack.location.endswith("other.npy")
    assert not coherent(crystal).run.running
    assert coherent(crystal).run.results == []


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


def test_steps_are_seen_left_out_and_undone(crystal, counts):
    view = panels(crystal).volume
    crystal.window.show_panel("volume")
    before = coherent(crystal).volume.pattern
    crystal.press(view.switches["aliens"])
    until(lambda: "aliens" in coherent(crystal).volume.pattern.steps, "alien peaks")
    settle(0.02)
    assert "peaks" in view.said["aliens"].text()
    page = panels(crystal).page
    crystal.press(page.brush)
    canvas = page.data.canvases[1]
    points = [canvas.point_of((20 + k, 16, 25)).toPoint() for k in range(3)]
    drag(canvas, points)
    until(lambda: "brush" in coherent(crystal).volume.pattern.steps, "the stroke")
    assert coherent(crystal).volume.pattern.mask[20:23, 16, 25].all()
    assert page.data.layer.index[21, 16, 25] == 255
    crystal.program.trigger("undo")
    until(lambda: "brush" not in coherent(crystal).volume.pattern.steps, "the undo of the stroke")
    crystal.program.trigger("undo")
    until(lambda: "aliens" not in coherent(crystal).volume.pattern.steps, "the undo of the aliens")
    np.testing.assert_array_equal(coherent(crystal).volume.pattern.amplitude, before.amplitude)


def test_cancel_is_quick_and_keeps_what_was_there(crystal):
    phase(crystal)
    kept = panels(crystal).starts.texts()
    slow = {"iterations": "9000*RAAR", "coarse_iterations": "9000*RAAR"}
    coherent(crystal).set_phasing(coherent(crystal).phasing.model_copy(update=slow))
    crystal.press(panels(crystal).phasing.start)
    until(lambda: coherent(crystal).run.running, "the start")
    until(lambda: panels(crystal).curves.stages, "the first iterations")
    assert panels(crystal).phasing.start.text() == "Cancel"
    assert panels(crystal).phasing.bar.maximum() > 9000
    begin = time.monotonic()
    crystal.press(panels(crystal).phasing.start)
    until(lambda: not coherent(crystal).run.running, "the end", 2)
    print(f"\ncancelled after {1e3 * (time.monotonic() - begin):.0f} ms")
    until(lambda: coherent(crystal).show.looked is not None, "the former crystal")
    assert panels(crystal).starts.texts() == kept
    assert crystal.rows()["Reconstruction"] in ("done", "cancelled")


def test_every_format_is_written(crystal, monkeypatch, tmp_path):
    monkeypatch.setattr("braggscope.app.export.coherent.TURN_FRAMES", 3)
    phase(crystal)
    chosen: list[Path] = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_, **__: (str(chosen[-1]), "")))
    for key, name in (
        ("h5", "a.h5"), ("cxi", "a.cxi"), ("vti", "a.vti"), ("npz", "a.npz"), ("figure", "a.png"),
        ("picture", "b.png"), ("movie", "a.mp4"),
    ):  # fmt: skip
        chosen.append(tmp_path / name)
        coherent(crystal).exports.ask(key)
        until(chosen[-1].exists, name, 30)
        crystal.idle()
        assert crystal.notice.text == f"The crystal was written to {name}."
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["entry/object"].shape == (32, 32, 32)
    stored = np.load(tmp_path / "a.npz")
    assert json.loads(str(stored["provenance"]))["program"] == "Braggscope"
    assert np.isnan(stored["voxel_nm"]).all()


def test_the_copied_script_gives_the_same_crystal(crystal, capsys, monkeypatch, tmp_path):
    phase(crystal)
    coherent(crystal).run.copy("python")
    monkeypatch.chdir(tmp_path)
    exec(QGuiApplication.clipboard().text(), {"__name__": "__main__"})
    said = capsys.readouterr().out
    assert f"chi {coherent(crystal).run.results[0].chi:.4f}" in said
    assert (tmp_path / "crystal.h5").exists()
    coherent(crystal).run.copy("command")
    text = QGuiApplication.clipboard().text()
    assert "braggscope phase" in text
    assert '"coarse_iterations": "30*RAAR+10*ER"' in text


def no_peak(_):
    return np.random.default_rng(0).poisson(9, (16, 32, 32)).astype(float)


def saturated(counts):
    return np.minimum(counts, 20_000)


def undersampled(_):
    block = np.zeros((32, 32, 32))
    block[5:27, 12:20, 12:20] = 1
    return np.abs(np.fft.fftshift(np.fft.fftn(block))) ** 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_peak, "no Bragg peak"),
        (saturated, "saturated"),
        (undersampled, "oversampled only"),
        (lambda counts: counts[16], "rocking curve of one Bragg peak"),
        (lambda counts: counts[:5], "rocking curve of one Bragg peak"),
    ],
)
def test_what_cannot_be_phased_is_said_in_one_sentence(launch, counts, tmp_path, make, words):
    path = tmp_path / "odd.npy"
    np.save(path, make(counts))
    stage = launch()
    stage.open(path)
    stage.program.trigger("coherent_workspace")
    stage.program.trigger("prepare_volume")
    until(lambda: panels(stage).volume.error.text(), "the sentence")
    said = panels(stage).volume.error.text()
    assert words in said
    assert said.count(".") - sum(said.count(f".{d}") for d in "0123456789") <= 2
    assert panels(stage).volume.error.isVisible()
    coherent(stage).run.start()
    settle(0.1)
    assert not coherent(stage).run.running
    assert stage.state.location is not None


def test_memory_that_is_too_small_is_said(launch, stack, monkeypatch):
    monkeypatch.setattr("braggscope.app.engine.cdi.memory_bytes", lambda _: 1 << 60)
    stage = launch()
    stage.open(stack)
    stage.program.trigger("coherent_workspace")
    until(lambda: "GiB" in panels(stage).volume.error.text(), "the sentence")
    assert panels(stage).page.empty.isVisible()
    assert "crop or bin" in panels(stage).page.empty.detail.text()


def test_a_step_of_the_wrong_sign_is_said(launch, counts, tmp_path):
    path = tmp_path / "rock.h5"
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("data")
        data.attrs.update(NX_class="NXdata", signal="data", axes=["theta", ".", "."])
        data["data"] = counts
        data["theta"] = 20.0 - 0.01 * np.arange(len(counts))
        data["theta"].attrs["units"] = "deg"
    stage = launch()
    stage.open(path)
    stage.program.trigger("coherent_workspace")
    prepared(stage)
    view = panels(stage).volume
    view.instrument.take(
        {"energy_keV": 9, "distance_m": 1, "pixel_row": 55, "pixel_column": 55, "delta_deg": 20,
         "gamma_deg": 15, "step_deg": 0.01}
    )  # fmt: skip
    until(lambda: "wrong sign" in view.error.text(), "the sentence")
    assert coherent(stage).volume.pattern is None
    stage.press(view.instrument.fill)
    until(lambda: coherent(stage).volume.pattern is not None, "the step of the file")
    settle(0.02)
    assert view.error.text() == ""
    assert coherent(stage).phasing.geometry.step_deg == pytest.approx(-0.01)
    assert "|Q|" in view.instrument.note.text()
    coherent(stage).set_phasing(coherent(stage).phasing.model_copy(update=QUICK))
    phase(stage)
    page = panels(stage).page
    assert [page.frame.itemData(k) for k in range(page.frame.count())] == [
        "laboratory",
        "crystal",
        "measured",
    ]
    assert coherent(stage).show.looked.particle.frame == "laboratory"
    assert coherent(stage).show.looked.particle.strain is not None
    right = coherent(stage).phasing.geometry
    wrong = right.model_copy(update={"step_deg": -right.step_deg})
    coherent(stage).set_phasing(coherent(stage).phasing.model_copy(update={"geometry": wrong}))
    until(lambda: "wrong sign" in view.error.text(), "the sentence")
    page.frame.setFocus()
    QTest.keyClick(page.frame, Qt.Key.Key_Down)
    until(lambda: coherent(stage).show.looked.particle.frame == "crystal", "the other frame")
    assert coherent(stage).show.looked.typed.geometry == right


def test_many_scans_go_in_the_background_and_are_not_done_twice(crystal, counts, tmp_path, monkeypatch):
    names = []
    for k in range(2):
        names.append(str(tmp_path / f"scan{k}.npy"))
        np.save(names[-1], np.roll(counts, k, axis=1))
    np.save(tmp_path / "scan2.npy", counts[8])
    names.append(str(tmp_path / "scan2.npy"))
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", staticmethod(lambda *_, **__: (names, "")))
    view = panels(crystal).scans
    crystal.window.show_panel("scans")
    crystal.press(view.choose)
    until(lambda: len(view.texts()) == 3, "the names")
    for text, count in (("nothing*.npy", 3), ("scan?.npy", 3), ("scan[01].npy", 2), ("scan*.npy", 3)):
        view.pattern.setText(str(tmp_path / text))
        QTest.keyClick(view.pattern, Qt.Key.Key_Return)
        until(lambda: not crystal.desk.lanes.small.busy, "the search")
        settle(0.02)
        assert len(view.texts()) == count
    assert "Nothing is called" in crystal.notice.text
    crystal.press(view.start)
    until(lambda: coherent(crystal).scans.running, "the start")
    until(lambda: not coherent(crystal).scans.running, "all scans", 60)
    rows = view.texts()
    assert [row[-1] for row in rows[:2]] == ["done", "done"]
    assert "3-D stack" in rows[2][-1]
    assert 0 < float(rows[0][1]) < 0.4
    folder = tmp_path / "crystals"
    assert len(list(folder.glob("*.h5"))) == 2
    written = {path: path.stat().st_mtime_ns for path in folder.glob("*.h5")}
    crystal.press(view.start)
    until(lambda: coherent(crystal).scans.running, "the start")
    until(lambda: not coherent(crystal).scans.running, "all scans", 60)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.h5")} == written
    assert (folder / "scans.csv").read_text().count("\n") == 4


def test_a_folder_of_tiffs_is_a_stack_and_says_nothing_of_its_geometry(launch, counts, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for k, frame in enumerate(counts):
        tifffile.imwrite(folder / f"frame_{k:04d}.tif", frame)
    stage = launch()
    stage.open(folder)
    stage.program.trigger("coherent_workspace")
    prepared(stage)
    np.testing.assert_allclose(coherent(stage).volume.pattern.amplitude, np.sqrt(counts), rtol=1e-6)
    stage.window.show_panel("volume")
    panels(stage).volume.page.ensureWidgetVisible(panels(stage).volume.instrument.fill)
    stage.press(panels(stage).volume.instrument.fill)
    assert "says nothing about its geometry" in panels(stage).volume.error.text()


def test_the_demo_crystal_comes_with_its_geometry(launch, monkeypatch, stack):
    from braggscope.app import demo_coherent

    known = demo_coherent.Known((6.0, 7.0, 8.0), (0.1, 0.2, 2.6))
    monkeypatch.setattr(demo_coherent, "ensure_demo_coherent", lambda **_: (stack, known))
    stage = launch()
    stage.program.trigger("coherent_workspace")
    stage.press(panels(stage).page.empty.demo_button)
    prepared(stage)
    assert stage.state.workspace == "coherent"
    assert coherent(stage).phasing.voxel_nm == (6.0, 7.0, 8.0)
    assert coherent(stage).volume.pattern is not None


def test_another_stack_forgets_the_crystal_and_keeps_how_it_is_phased(crystal, stack, tmp_path, counts):
    phase(crystal)
    other = tmp_path / "other.npy"
    np.save(other, counts[:, :, ::-1])
    crystal.open(other)
    prepared(crystal)
    assert panels(crystal).starts.texts() == []
    assert coherent(crystal).show.looked is None
    assert coherent(crystal).phasing.iterations == QUICK["iterations"]
    assert panels(crystal).page.shown.value() == "data"


def test_a_network_that_is_missing_is_said(crystal, monkeypatch):
    def missing(*_):
        raise SourceError("The weights of the network are missing; choose others.")

    monkeypatch.setattr("braggscope.app.presenters.coherent_run.phase_stack", missing)
    crystal.press(panels(crystal).phasing.start)
    until(lambda: crystal.notice is not None, "the sentence")
    assert crystal.notice.text == "The weights of the network are missing; choose others."
    assert not coherent(crystal).run.running
    assert panels(crystal).page.shown.value() == "data"
    assert panels(crystal).phasing.start.text() == "Reconstruct"


def test_closing_while_a_crystal_is_phased_leaves_nothing(crystal):
    slow = {"iterations": "9000*RAAR", "coarse_iterations": "9000*RAAR"}
    coherent(crystal).set_phasing(coherent(crystal).phasing.model_copy(update=slow))
    crystal.press(panels(crystal).phasing.start)
    until(lambda: panels(crystal).curves.stages, "the first iterations")
    assert crystal.close() < 2


@pytest.mark.skipif(not GOLD.exists(), reason="needs the gold pattern in the folder BRAGGSCOPE_TEST_DATA")
def test_the_gold_pattern(launch):
    stage = launch()
    stage.open(GOLD)
    stage.program.trigger("coherent_workspace")
    prepared(stage)
    stage.press(panels(stage).volume.input.button("amplitude"))
    until(lambda: coherent(stage).volume.parameters.input == "amplitude", "the amplitudes")
    coherent(stage).set_phasing(coherent(stage).phasing.model_copy(update={"refinement": 0}))
    phase(stage)
    assert coherent(stage).run.results[0].chi < 0.045

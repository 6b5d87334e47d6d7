"""A user brings a crystal, phases it, writes it, and does the same with many scans."""

import json
import os
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from coherent_scan import coherent, panels, phase, prepared
from late import left_alone
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from stage import settle, until

GOLD = (
    Path(os.environ.get("BRAGGSCOPE_TEST_DATA", "/nonexistent")) / "cdi" / "3dcdinn_gold_ft_crop_64_amp.npz"
)


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
    assert crystal.rows()["Reconstruction scan7.npy"] == "done"
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
        left_alone(crystal, chosen[-1], partial(coherent(crystal).exports.write, key), "Crystal")
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

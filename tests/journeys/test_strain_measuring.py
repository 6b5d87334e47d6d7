"""Strain maps in the real window: measured, cancelled, resumed, compared, exported."""

import h5py
import numpy as np
import pytest
from late import left_alone
from pydantic import ValidationError
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from stage import LEFT, NONE, drag, settle, until
from strain_scan import COLUMNS, ROWS, STRAINED, measure, on_scan, panels, strain

from braggscope.models.disks.parameters import Strain


def test_a_run_gives_the_strain_and_the_reference_is_drawn_afterwards(scan, tmp_path, monkeypatch):
    result = measure(scan)
    assert result.complete
    assert not result.strain.valid[0, :2].any()
    left, right = np.s_[1:, : COLUMNS // 2], np.s_[:, COLUMNS // 2 :]
    canvas = panels(scan).maps.maps.cells[0].canvas
    panels(scan).maps.tools["reference"].click()
    drag(canvas, [on_scan(canvas, 2, 0), on_scan(canvas, 8, 4)])
    assert scan.state.parameters.strain.reference == (2, 9, 0, 5)
    until(lambda: strain(scan).runs.result() is not result, "the maps with the reference")
    found = strain(scan).runs.result().strain
    assert np.nanmedian(found.exx[left]) == pytest.approx(0.0, abs=5e-4)
    assert np.nanmedian(found.exx[right]) == pytest.approx(STRAINED, abs=1e-3)
    assert np.nanmedian(np.abs(found.eyy[right])) < 1e-3
    until(lambda: "drawn region" in panels(scan).maps.note.text(), "the note")
    QTest.mouseClick(canvas, LEFT, NONE, on_scan(canvas, 4, 11))
    assert scan.state.frame == 4 * COLUMNS + 11
    assert float(panels(scan).maps.maps.cells[0].value.text().split()[0]) == pytest.approx(2.0, abs=0.3)
    _profile(scan, canvas)
    _export(scan, tmp_path, monkeypatch, found)


def _profile(scan, canvas):
    maps = panels(scan).maps
    maps.tools["line"].click()
    drag(canvas, [on_scan(canvas, 5, 1), on_scan(canvas, 5, 12)])
    until(lambda: maps.plots._lines._items, "the profile")
    line = maps.plots._lines._items[0][0]
    assert maps.plots.profile.isVisible()
    assert line.yData[0] == pytest.approx(0.0, abs=0.2)
    assert line.yData[-1] == pytest.approx(2.0, abs=0.2)
    for shown, cells in (("error", 4), ("validity", 3), ("strain", 4)):
        maps.shown.button(shown).click()
        until(lambda n=cells: sum(cell.isVisible() for cell in maps.maps.cells) == n, shown)
        settle(0.05)


def _export(scan, tmp_path, monkeypatch, found):
    for suffix in ("h5", "csv", "tif", "png"):
        path = tmp_path / f"strain.{suffix}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_, p=path: (str(p), "")))
        panels(scan).maps.export_requested.emit(suffix)
        scan.idle()
        assert scan.rows()[f"Export {path.name}"] == "done"
    with h5py.File(tmp_path / "strain.h5") as file:
        np.testing.assert_array_equal(file["entry/strain/exx"][()], found.exx)
    assert (tmp_path / "strain_exx.tif").exists()
    runs = strain(scan).runs
    for name in ("strain.h5", "strain.csv", "strain.png"):
        left_alone(scan, tmp_path / name, lambda path: runs.export(path, runs.result()), "Export")
    panels(scan).maps.copy_requested.emit("command")
    text = QGuiApplication.clipboard().text()
    assert "braggscope strain" in text
    assert "--reference 2:9,0:5" in text
    panels(scan).maps.copy_requested.emit("python")
    compile(QGuiApplication.clipboard().text(), "copied", "exec")


def test_a_run_is_cancelled_and_resumed(scan, monkeypatch):
    from braggscope.app.engine import disk_tools
    from braggscope.app.engine import strain as engine

    slow = engine.finder

    def finder(tools):
        find = slow(tools)

        def wait(block):
            settle_thread(0.4)
            return find(block)

        return wait

    monkeypatch.setattr(engine, "finder", finder)
    monkeypatch.setitem(disk_tools.SIZES, "correlation", 4)
    maps = panels(scan).maps
    scan.press(maps.run)
    until(lambda: maps.maps.isVisible() and maps.bar.value() > 12, "the first maps", 60)
    assert "left" in maps.progress_text.text()
    partial = strain(scan).runs.result()
    assert not partial.complete
    scan.press(maps.cancel)
    until(lambda: not strain(scan).runs.running, "the end", 5)
    assert scan.rows()["Strain · Correlation"] == "cancelled"
    until(lambda: maps.run.text() == "Resume", "the offer to resume")
    panels(scan).maps.export_requested.emit("h5")
    assert "whole scan first" in scan.notice.text
    monkeypatch.setattr(engine, "finder", slow)
    result = measure(scan)
    assert result.complete
    assert 0 < result.timing.patterns < ROWS * COLUMNS, "what was in the journal was not measured again"
    scan.program.trigger("series_workspace")
    scan.look()
    assert scan.marks is not None
    scan.program.trigger("strain_workspace")
    until(lambda: scan.marks is None or not scan.canvas.overlays.shows("peaks"), "the end of the marks")


def settle_thread(seconds):
    import time

    time.sleep(seconds)


def test_methods_stand_side_by_side(scan):
    one = measure(scan)
    maps = panels(scan).maps
    strain(scan).room.change(method="lattice")
    until(lambda: not maps.maps.isVisible(), "the empty maps")
    two = measure(scan)
    assert two.parameters.strain.method == "lattice"
    maps.view_changed.emit({"beside": "correlation"})
    until(lambda: sum(cell.isVisible() for cell in maps.maps.cells) == 3, "both maps and their difference")
    pictures = [cell.picture for cell in maps.maps.cells[:3]]
    np.testing.assert_allclose(pictures[2].values, pictures[0].values - pictures[1].values, atol=1e-4)
    np.testing.assert_allclose(pictures[1].values, 100 * one.strain.exx, atol=1e-4)
    maps.view_changed.emit({"component": "theta"})
    until(lambda: maps.maps.cells[0].picture.unit == "°", "the rotation")
    panels(scan).disks.overlays["correlation"].click()
    until(lambda: len(scan.canvas.overlays.disks.disks) == 2, "both overlays", 60)


def test_the_lattice_fit_and_the_missing_method_are_one_click_away(scan):
    one, maps = measure(scan), panels(scan).maps
    assert maps.offer.text() == "Refine"
    assert "lattice fit" in maps.offer.toolTip()
    scan.press(maps.offer)
    until(lambda: strain(scan).runs.running, "the lattice fit")
    until(lambda: not strain(scan).runs.running, "its end", 90)
    assert scan.state.parameters.strain.method == "lattice"
    assert scan.state.strain.beside == "correlation"
    until(lambda: sum(cell.isVisible() for cell in maps.maps.cells) == 3, "both maps and their difference")
    until(lambda: maps.maps.cells[2].picture.tip == "Lattice fit − Correlation", "the difference")
    assert strain(scan).runs.result("correlation") is one
    assert not maps.offer.isVisible()
    maps.view_changed.emit({"beside": "network"})
    until(lambda: maps.offer.text() == "Measure Network too", "the offer")
    scan.press(maps.offer)
    until(lambda: strain(scan).runs.running, "the network")
    until(lambda: not strain(scan).runs.running, "its end", 120)
    assert scan.state.parameters.strain.method == "lattice"
    until(lambda: maps.maps.cells[2].picture.tip == "Lattice fit − Network", "the difference")


def test_a_refused_number_leaves_the_measurement_alone(scan):
    result, room = measure(scan), strain(scan).room
    room.change(threshold=2.0)
    assert "old value stays" in scan.notice.text
    assert strain(scan).runs.result() is result
    assert room.probe is not None


def test_results_of_other_settings_are_not_taken_for_these(scan):
    room, calibration, maps = strain(scan).room, strain(scan).calibration, panels(scan).maps
    result = measure(scan)
    calibration._disks = None
    room.change(threshold=0.2)
    calibration.take_disks(result.disks, result.lattice.origin, result.parameters)
    assert calibration._disks is None
    room.change(method="lattice")
    measure(scan)
    maps.view_changed.emit({"beside": "correlation"})
    until(lambda: "Correlation: measured with other settings" in maps.note.text(), "the note")


def test_an_error_goes_when_what_it_complained_of_succeeds(scan):
    room = strain(scan).room
    room.change(probe_file="/nowhere/probe.npy")
    until(lambda: scan.notice is not None and scan.notice.level == "error", "the error")
    assert "/nowhere/probe.npy" in scan.notice.text
    room.change(probe_file=None)
    until(lambda: room.probe is not None and scan.notice is None, "its end")
    room.refuse(_wrong())
    assert "the old value stays" in scan.notice.text
    room.change(threshold=0.2)
    assert scan.notice is None


def _wrong():
    with pytest.raises(ValidationError) as caught:
        Strain(threshold=-1)
    return caught.value

"""A user takes the geometry of a rocking curve from a file of SPEC."""

import pytest
from coherent_scan import coherent, panels, prepared
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from stage import settle, until

SPEC = """#F sample
#O0 Mu  Delta  Gamma  mono
#S 3 ascan Mu 1 1.31 31 1
#P0 1 30 10 8.5
#L Mu  Counts
{rows}
#S 4 loopscan 1 1
#P0 1 30 10 8.5
#L Time  Counts
1 2
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    path = tmp_path / "sample.spec"
    path.write_text(SPEC.format(rows="\n".join(f"{1 + 0.01 * k:.4f} {k}" for k in range(32))))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", staticmethod(lambda *_, **__: (str(path), "")))
    return path


def choose(stage, row, names):
    """Press the button, choose a scan, type names, take it."""
    view, room = panels(stage).volume, coherent(stage)
    view.page.ensureWidgetVisible(view.instrument.spec)
    room.spec.dialog = None
    stage.press(view.instrument.spec)
    until(lambda: room.spec.dialog is not None, "the question")
    dialog = room.spec.dialog
    dialog.scans.setCurrentRow(row)
    dialog.names.clear()
    QTest.keyClicks(dialog.names, names)
    QTest.mouseClick(dialog.take, Qt.MouseButton.LeftButton)
    until(lambda: not stage.desk.lanes.small.busy, "the scan")
    settle(0.02)


def test_geometry_from_a_scan(crystal, spec):
    crystal.program.trigger("coherent_workspace")
    prepared(crystal)
    crystal.window.show_panel("volume")
    view = panels(crystal).volume
    view.instrument.fill_in({"distance_m": 0.8, "pixel_row": 55.0, "pixel_column": 55.0})
    choose(crystal, 1, "energy=mono")
    assert "turns no angle" in view.error.text()
    assert crystal.state.parameters.phasing.geometry is None
    choose(crystal, 0, "enrgy=mono")
    assert "names no motor" in view.error.text()
    choose(crystal, 0, "energy=mono, gamma=-Gamma")
    assert view.error.text() == ""
    geometry = crystal.state.parameters.phasing.geometry
    assert (geometry.energy_keV, geometry.delta_deg, geometry.gamma_deg) == (8.5, 30, -10)
    assert (geometry.step_deg, geometry.axis) == (pytest.approx(0.01), "y")
    assert "32 points" in crystal.notice.text
    assert coherent(crystal).spec.dialog.names.text() == "energy=mono, gamma=-Gamma"

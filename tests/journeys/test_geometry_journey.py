"""The instrument in the window: metadata, files, rings, readout, refinement, undo, bad input."""

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog
from stage import CONTROL, settle, until

from braggscope.app.export.poni import write_poni
from braggscope.app.export.tables import read_peaks
from braggscope.app.sources.instruments import read_instrument
from braggscope.models.calibrants import CALIBRANTS
from braggscope.models.geometry import Beam, Instrument, two_theta_of

Key = Qt.Key
SHAPE = (256, 256)
TRUTH = Instrument.from_beam(0.4, (2e-4, 2e-4), Beam((131.4, 120.7), 0.12))


@pytest.fixture
def powder(tmp_path):
    """A folder of images with spots on the rings of ceria, 12 to a ring."""
    import tifffile

    random = np.random.default_rng(7)
    folder = tmp_path / "powder"
    folder.mkdir()
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    spacings = [ring.d_angstrom for ring in CALIBRANTS["CeO2"].rings(5.0)]
    for frame in range(3):
        image = np.full(SHAPE, 20.0)
        for two_theta in two_theta_of(spacings, TRUTH.wavelength_angstrom)[:4]:
            for azimuth in random.uniform(-np.pi, np.pi, 8):
                ray = [
                    np.sin(two_theta) * np.cos(azimuth),
                    np.sin(two_theta) * np.sin(azimuth),
                    np.cos(two_theta),
                ]
                x, y = TRUTH.pixel_of(np.array(ray))
                image += 900 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * 1.3**2))
        tifffile.imwrite(folder / f"frame_{frame}.tif", random.poisson(image).astype(np.uint16))
    return folder


@pytest.fixture
def poni(tmp_path):
    path = tmp_path / "calibrated.poni"
    write_poni(path, TRUTH, SHAPE)
    return path


def choose(monkeypatch, path) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))


def rings(program):
    return program.canvas.overlays.rings


def test_metadata_give_an_instrument_and_the_readout(program):
    panel = program.window.instrument_panel
    assert program.desk.instrument is not None
    assert "metadata" in panel.sections["instrument"].header.summary
    assert float(panel.fields["energy_keV"].text()) == pytest.approx(program.desk.instrument.energy_keV)
    text = program.program.readout.text(64.0, 64.0)
    assert f"d {program.desk.instrument.d_angstrom(64.0, 64.0):.4f} Å" in text
    assert "azimuth" in text
    assert np.isfinite(program.listed["d"]).any()
    program.key(Key.Key_R)  # d of 4.7 angstrom; the largest of ceria is 3.1
    until(lambda: program.notice is not None, "the sentence")
    assert program.notice.text == "No ring of CeO2 crosses this frame."


def test_a_poni_file_gives_rings_columns_and_readout(launch, powder, poni, monkeypatch, tmp_path):
    program = launch()
    program.open(powder)
    window = program.window
    panel = window.instrument_panel
    assert program.desk.instrument is None
    assert np.isnan(program.listed["d"]).all()
    program.key(Key.Key_R)  # without an instrument: what to do
    assert "Instrument panel" in program.notice.text
    assert not rings(program)
    choose(monkeypatch, poni)
    program.press(panel.load)
    until(lambda: program.desk.instrument is not None, "the instrument")
    until(lambda: len(rings(program)) >= 4, "the rings")
    assert [label for label, _ in rings(program)][:4] == ["111", "200", "220", "311"]
    assert panel.sections["instrument"].header.summary == "calibrated.poni"
    curve = rings(program)[0][1]
    d = program.desk.instrument.d_angstrom(*curve[np.isfinite(curve[:, 0])].T)
    assert d == pytest.approx(CALIBRANTS["CeO2"].rings(2.1)[0].d_angstrom, rel=1e-3)
    listed = program.listed
    good = np.isfinite(listed["x"])
    assert listed["d"][good] == pytest.approx(TRUTH.d_angstrom(listed["x"][good], listed["y"][good]))
    place = float(listed["x"][good][0]), float(listed["y"][good][0])
    assert f"q {TRUTH.q_inv_angstrom(*place):.4f}" in program.program.readout.text(*place)
    table = tmp_path / "peaks.parquet"
    program.program.exports.write_table(table)
    program.idle()
    assert np.array_equal(np.isfinite(read_peaks(table)["q"]), good)
    program.key(Key.Key_R)
    assert not rings(program)
    program.key(Key.Key_R)
    until(lambda: rings(program), "the rings again")
    panel.cells.setCurrentIndex(panel.cells.findText("Si"))
    panel.cells.activated.emit(panel.cells.currentIndex())
    until(lambda: [label for label, _ in rings(program)][:2] == ["111", "220"], "the rings of silicon")
    program.key(Key.Key_Z, CONTROL)
    until(lambda: [label for label, _ in rings(program)][:2] == ["111", "200"], "those of ceria again")
    program.key(Key.Key_Z, CONTROL)
    assert program.desk.instrument is None
    until(lambda: not rings(program), "no rings")


def test_refinement_is_a_proposal_until_it_is_applied(launch, powder, monkeypatch, tmp_path):
    program = launch()
    program.open(powder)
    panel = program.window.instrument_panel
    program.window.show_panel("instrument")
    off = Instrument.from_beam(0.4, (2e-4, 2e-4), Beam((137.4, 114.7), 0.1206))
    program.program.instrument.choose(off, "typed in")
    program.key(Key.Key_R)
    until(lambda: rings(program), "the rings")
    program.run_series()
    panel.page.ensureWidgetVisible(panel.refinement.refine)
    settle(0.05)
    program.press(panel.refinement.refine)
    until(lambda: panel.refinement.decision.isVisible(), "the proposal")
    assert program.desk.instrument == off
    shown = dict(panel.refinement.outcome.items())
    assert float(shown["RMS after"].split()[0]) < 0.3 < 3 < float(shown["RMS before"].split()[0])
    panel.page.ensureWidgetVisible(panel.refinement.discard)
    settle(0.05)
    program.press(panel.refinement.discard)
    assert not panel.refinement.decision.isVisible()
    program.press(panel.refinement.refine)
    until(lambda: panel.refinement.decision.isVisible(), "the proposal again")
    panel.page.ensureWidgetVisible(panel.refinement.apply)
    settle(0.05)
    program.press(panel.refinement.apply)
    beam = program.desk.instrument.beam
    assert beam.centre_px == pytest.approx((131.4, 120.7), abs=0.1)
    assert beam.distance_m == pytest.approx(0.12, rel=2e-3)
    path = tmp_path / "refined.poni"
    choose(monkeypatch, path)
    panel.page.ensureWidgetVisible(panel.save)
    program.press(panel.save)
    until(path.exists, "the saved file")
    assert read_instrument(path, SHAPE) == program.desk.instrument
    program.key(Key.Key_Z, CONTROL)
    assert program.desk.instrument == off


def test_bad_files_say_one_sentence_and_lose_nothing(launch, powder, poni, monkeypatch, tmp_path):
    program = launch()
    program.open(powder)
    panel = program.window.instrument_panel
    program.program.instrument.choose(TRUTH, "typed in")
    other = tmp_path / "other.poni"
    write_poni(other, TRUTH, (1043, 981))
    for path, words in ((other, ("1043 x 981", "256 x 256")), (tmp_path / "none.yml", ("check its name",))):
        choose(monkeypatch, path)
        program.window.show_panel("instrument")
        program.press(panel.load)
        until(lambda: program.notice is not None and program.notice.level == "error", "the sentence")
        for word in words:
            assert word in program.notice.text
        assert program.desk.instrument == TRUTH
        program.window.notices.clear()


def test_the_instrument_comes_back_with_the_session(launch, powder, poni):
    program = launch()
    program.open(powder)
    program.program.instrument.load(str(poni))
    until(lambda: program.desk.instrument is not None, "the instrument")
    program.key(Key.Key_R)
    until(lambda: rings(program), "the rings")
    program.close()
    again = launch()
    again.idle()
    again.look()
    assert again.desk.instrument == read_instrument(poni)
    assert again.window.instrument_panel.sections["instrument"].header.summary == "calibrated.poni"
    until(lambda: rings(again), "the rings")


def test_a_radial_background_is_centred_on_the_beam(launch, powder, poni):
    program = launch()
    program.open(powder)
    program.program.instrument.choose(TRUTH, "typed in")
    program.program.preparation.change(background="radial", binning=2)
    program.look()
    centre = program.state.parameters.prepare.centre
    assert centre == pytest.approx(((131.4 + 0.5) / 2 - 0.5, (120.7 + 0.5) / 2 - 0.5))
    moved = TRUTH.from_beam(0.4, (2e-4, 2e-4), Beam((100.0, 90.0), 0.12))
    program.program.instrument.choose(moved, "typed in")
    program.look()
    assert program.state.parameters.prepare.centre == pytest.approx((49.75, 44.75))


def test_size_and_strain_of_the_peaks_on_rings(launch, powder):
    program = launch()
    program.open(powder)
    program.window.show_panel("instrument")
    panel = program.window.instrument_panel
    program.program.instrument.choose(TRUTH, "typed in")
    program.run_series()
    panel.widths.header.click()
    panel.page.ensureWidgetVisible(panel.widths.analyse)
    settle(0.05)
    program.press(panel.widths.analyse)
    until(lambda: panel.widths.outcome.items(), "size and strain")
    found = dict(panel.widths.outcome.items())
    assert found["Rings"] == "4"
    assert abs(float(found["Strain"].partition("(")[0])) < 0.3  # in thousandths: none was put in
    program.program.instrument.choose(None)
    assert not panel.widths.outcome.items()

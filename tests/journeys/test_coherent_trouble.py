"""What a user does wrong with a crystal is said in one sentence, and nothing is lost."""

import time

import h5py
import numpy as np
import pytest
from coherent_scan import QUICK, coherent, panels, phase, prepared
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from stage import settle, until

from braggscope.app.sources.protocol import SourceError


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


def test_a_network_that_is_missing_is_said(crystal, monkeypatch):
    def missing(*_):
        raise SourceError("The weights of the network are missing; choose others.")

    monkeypatch.setattr("braggscope.app.engine.cdi.phase_stack", missing)
    crystal.press(panels(crystal).phasing.start)
    until(lambda: crystal.notice is not None, "the sentence")
    assert crystal.notice.text == "The weights of the network are missing; choose others."
    assert not coherent(crystal).run.running
    assert panels(crystal).page.shown.value() == "data"
    assert panels(crystal).phasing.start.text() == "Reconstruct"


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
    assert crystal.rows()["Reconstruction scan7.npy"] in ("done", "cancelled")


def test_closing_while_a_crystal_is_phased_leaves_nothing(crystal):
    slow = {"iterations": "9000*RAAR", "coarse_iterations": "9000*RAAR"}
    coherent(crystal).set_phasing(coherent(crystal).phasing.model_copy(update=slow))
    crystal.press(panels(crystal).phasing.start)
    until(lambda: panels(crystal).curves.stages, "the first iterations")
    assert crystal.close() < 2

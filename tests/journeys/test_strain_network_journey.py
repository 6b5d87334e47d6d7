"""The disk network in the real window: its weights are chosen, refused, adapted to the scan, put to use."""

import shutil
import time

import numpy as np
import pytest
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from safetensors.numpy import save_file
from stage import children, until
from strain_scan import panels, strain

from braggscope.app.engine.checkpoint import RefusedError, checkpoint_folder
from braggscope.app.engine.disk_tuning import DiskTuned
from braggscope.app.folders import weights_folder
from braggscope.app.presenters import strain_network
from braggscope.resources.loader import ROOT


@pytest.fixture
def section(scan):
    """The part of the dock Disks about the network, unfolded."""
    found = panels(scan).disks.network
    found.set_open(True)
    return found


def pick(section, key):
    section.weights.setCurrentIndex(section.weights.findData(key))
    section.weights.activated.emit(section.weights.currentIndex())


def fill_in(stage, section, name):
    section.name.clear()
    QTest.keyClicks(section.name, name)
    panels(stage).disks.page.ensureWidgetVisible(section.start)
    stage.press(section.start)


def test_weights_are_chosen_and_wrong_ones_refused(scan, section, tmp_path, monkeypatch):
    pick(section, "disks-fcunet")
    until(lambda: scan.state.parameters.strain.weights_file == "disks-fcunet", "the other weights")
    assert scan.state.parameters.strain.method == "network"
    assert section.header.summary == "FCU-Net"
    until(lambda: "network" in strain(scan).live._seen, "its disks", 60)
    scan.program.trigger("undo")
    assert section.header.summary == "U-Net"
    wrong = tmp_path / "wrong.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, wrong)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", staticmethod(lambda *_: (str(wrong), "")))
    pick(section, "")
    until(lambda: scan.notice is not None and "holds no disk network" in scan.notice.text, "the refusal")
    assert scan.state.parameters.strain.weights_file == "disks"
    right = tmp_path / "right.safetensors"
    shutil.copy(ROOT / "weights" / "disks-fcunet.safetensors", right)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", staticmethod(lambda *_: (str(right), "")))
    pick(section, "")
    until(lambda: scan.state.parameters.strain.weights_file == str(right), "the file")
    assert section.weights.currentText() == "right.safetensors"


def test_an_adaptation_ends_at_once_when_it_is_cancelled(scan, section):
    fill_in(scan, section, "mine / 1")
    until(lambda: any("disk_tuning_child" in " ".join(c.cmdline()) for c in children()), "the process")
    assert section.bar.isVisible()
    assert not section.name.isEnabled()
    began = time.monotonic()
    scan.press(section.start)
    until(lambda: not strain(scan).network.running, "the end", 5)
    assert time.monotonic() - began < 1.0
    assert scan.rows()["Fine-tune disks · mine _ 1"] == "cancelled"
    assert section.start.text() == "Fine-tune to this scan"
    assert not list(weights_folder().iterdir()), "nothing was reached, nothing stays"


def test_better_weights_are_used_and_worse_ones_refused(scan, section, monkeypatch):
    def better(job, context, *, resume=False):
        context.progress(5, 10, "loss 0.5")
        assert job.location == scan.state.location
        shutil.copy(ROOT / "weights" / "disks-fcunet.safetensors", job.out)
        return DiskTuned(job.out, 10, 96, (0.2, 0.9), (0.1, 0.6))

    monkeypatch.setattr(strain_network, "tune", better)
    assert section.name.text() == "scan disks"
    fill_in(scan, section, "mine")
    until(section.use.isVisible, "the offer")
    assert "0.200 → 0.100 px" in section.note.text()
    panels(scan).disks.page.ensureWidgetVisible(section.use)
    scan.press(section.use)
    until(lambda: scan.state.parameters.strain.weights_file.endswith("mine.safetensors"), "the new weights")
    assert section.weights.currentText() == "mine"

    def worse(job, context, *, resume=False):
        raise RefusedError("The training made no better weights, so nothing was written.")

    monkeypatch.setattr(strain_network, "tune", worse)
    fill_in(scan, section, "other")
    until(lambda: "no better weights" in section.note.text(), "the refusal")
    assert not section.use.isVisible()
    assert scan.state.parameters.strain.weights_file.endswith("mine.safetensors")


def test_an_interrupted_adaptation_can_be_resumed_or_forgotten(scan, section, monkeypatch):
    resumed = []

    def interrupted(job, context, *, resume=False):
        resumed.append(resume)
        job.note.write_text(job.plain())
        checkpoint_folder(job.out).mkdir(exist_ok=True)
        (checkpoint_folder(job.out) / "state.pt").write_bytes(b"")
        for step in range(3, 100):
            context.progress(step, 100, "loss 0.5")
            time.sleep(0.1)

    monkeypatch.setattr(strain_network, "tune", interrupted)
    fill_in(scan, section, "mine")
    until(lambda: "/ 100 steps" in section.note.text(), "progress")
    scan.press(section.start)
    until(section.resume.isVisible, "the offer to resume")
    assert "can go on" in section.note.text()
    scan.press(section.resume)
    until(lambda: "left" in section.note.text(), "progress with time left")
    assert resumed == [False, True]
    scan.press(section.start)
    until(section.discard.isVisible, "the offer to forget")
    scan.press(section.discard)
    until(
        lambda: (
            section.start.isVisible()
            and not checkpoint_folder(weights_folder() / "mine.safetensors").exists()
        ),
        "an end",
    )
    until(lambda: not list(weights_folder().iterdir()), "the end of its files")

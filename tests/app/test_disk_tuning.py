"""A disk network is adapted to a scan in a process of its own."""

import time
from dataclasses import replace

import numpy as np
import psutil
import pytest

from braggscope.app.engine import disk_recipes, disk_tuning
from braggscope.app.engine.checkpoint import RefusedError, TrainingError, checkpoint_folder
from braggscope.app.engine.disk_tools import open_disk_network
from braggscope.app.engine.disk_tuning import DiskTuning, answer_of, tune, unfinished
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.models.disks.network import calibrate
from braggscope.models.disks.simulation.scenes import random_strains, wedge
from braggscope.models.parameters import Parameters


@pytest.fixture
def job(tmp_path):
    scan = tmp_path / "scan.npy"
    scene = wedge(random_strains(6, 0), np.full(6, 20.0), np.zeros((6, 2)), 1e5, 0, 64, 4.0)
    np.save(scan, scene.patterns.astype(np.uint16).reshape(2, 3, 64, 64))
    return DiskTuning(str(scan), Parameters(), tmp_path / "mine.safetensors", minutes=1e-4)


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(disk_recipes, "HELD_OUT", 8)
    monkeypatch.setattr(disk_recipes, "ADAPT_GROUPS", 1)
    monkeypatch.setattr(calibrate, "PART", 8)
    monkeypatch.setattr(calibrate, "STEPS", 5)


def speaking(tmp_path, monkeypatch, lines, module="speaking_child"):
    """A process that says these lines of JSON instead of training."""
    text = "\n".join(f"print({line!r}, flush=True)" for line in lines)
    (tmp_path / f"{module}.py").write_text(f"import time\n{text}\ntime.sleep(30 * {'done' not in text})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(disk_tuning, "MODULE", module)


def test_a_job_is_the_same_after_its_file(job):
    assert DiskTuning.parse(job.plain()) == job


def test_the_answer_names_new_weights_or_says_why_not(job, brief):
    answer = answer_of(job, False, silent_context())
    assert job.out.exists() == ("done" in answer)
    if "done" in answer:
        assert answer["done"][1] == 8
        assert open_disk_network(str(job.out)).title == "DiskUNet"
    else:
        assert answer["refused"]
        assert "nothing was written" in answer["failed"]


def test_what_goes_wrong_in_the_process_is_one_sentence(job):
    gone = replace(job, location="/nowhere/scan.h5")
    assert "/nowhere/scan.h5" in answer_of(gone, False, silent_context())["failed"]


def test_progress_and_answer_come_from_the_process(job, tmp_path, monkeypatch):
    speaking(tmp_path, monkeypatch, ['{"progress": [3, 9, "loss 1"]}', "no message",
                                     '{"done": [9, 96, [0.2, 0.8], [0.1, 0.5]]}'])  # fmt: skip
    said = []
    tuned = tune(job, Context(Ticket(0), said.append))
    assert [(p.done, p.total, p.note) for p in said] == [(3, 9, "loss 1")]
    assert (tuned.before_px, tuned.after_px) == ((0.2, 0.8), (0.1, 0.5))
    assert not job.note.exists()


def test_a_cancelled_process_is_gone_and_its_checkpoint_found_again(job, tmp_path, monkeypatch):
    speaking(tmp_path, monkeypatch, ['{"progress": [3, 9, "loss 1"]}'])
    ticket, seen = Ticket(0), []
    others = set(psutil.Process().children())  # of tests before

    def report(_):
        seen.extend(set(psutil.Process().children()) - others)
        checkpoint_folder(job.out).mkdir()
        (checkpoint_folder(job.out) / "state.pt").write_bytes(b"")
        ticket.cancel()
        seen.append(time.monotonic())

    with pytest.raises(Cancelled):
        tune(job, Context(ticket, report))
    assert time.monotonic() - seen.pop() < 1.0
    assert seen
    assert not any(process.is_running() for process in seen)
    assert unfinished(tmp_path) == [job]
    (tmp_path / "gone.disks.json").symlink_to(tmp_path / "nowhere")  # as a note that goes while it is listed
    (tmp_path / ".0123456789ab.disks.json").write_text(job.plain())
    assert unfinished(tmp_path) == [job]


def test_a_process_that_dies_is_one_sentence(job, monkeypatch):
    monkeypatch.setattr(disk_tuning, "MODULE", "this_module_is_not_there")
    with pytest.raises(TrainingError, match="without an answer"):
        tune(job, silent_context())
    job.out.touch()
    with pytest.raises(TrainingError, match="mine already"):
        tune(job, silent_context())


def test_a_refusal_is_told_apart(job, tmp_path, monkeypatch):
    speaking(tmp_path, monkeypatch, ['{"failed": "No better, done.", "refused": true}'])
    with pytest.raises(RefusedError, match="No better"):
        tune(job, silent_context())

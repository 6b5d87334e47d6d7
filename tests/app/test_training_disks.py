import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from braggscope.app.engine import disk_recipes, ship_disks
from braggscope.app.engine.checkpoint import RefusedError, TrainingError, checkpoint_folder
from braggscope.app.engine.disk_lessons import Lesson
from braggscope.app.engine.disk_tools import open_disk_network
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.training import train_network
from braggscope.models.disks.network import calibrate
from braggscope.models.disks.network.adapt import Statistics
from braggscope.models.disks.probe import synthetic_probe
from braggscope.models.disks.simulation.scenes import random_strains, wedge
from braggscope.resources import loader
from braggscope.resources.loader import WeightsError

torch.set_num_threads(1)
STEPS = 2


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(disk_recipes, "HELD_OUT", 8)
    monkeypatch.setattr(disk_recipes, "ADAPT_GROUPS", 1)
    monkeypatch.setattr(disk_recipes, "GROUPS", 1)
    monkeypatch.setattr(disk_recipes, "GROUP", 8)
    monkeypatch.setattr(calibrate, "PART", 8)
    monkeypatch.setattr(calibrate, "STEPS", 5)


@pytest.fixture(scope="module")
def lesson():
    return Lesson(synthetic_probe(4.0, 1.0, 33), Statistics((1e4, 3e4), 0.1, (14.0, 18.0), 64), "scan")


def train(out, *, what="disks", context=None, **options):
    return train_network(
        what, out, **{"seed": 4, "steps": STEPS, "context": context or silent_context(), **options}
    )


@pytest.mark.parametrize(("what", "title"), [("disks", "DiskUNet"), ("disks-fcunet", "FCUNet")])
def test_weights_say_what_they_are_and_find_disks_when_opened(tmp_path, what, title):
    report = train(tmp_path / "w.safetensors", what=what)
    with safe_open(report.out, "pt") as file:
        metadata = file.metadata()
    assert metadata["network"] == title
    record = json.loads(metadata["training"])
    assert record["steps"] == STEPS
    assert record["settings"]["groups"] == 1
    network = open_disk_network(str(report.out))
    assert network.title == title
    found = network.find(np.ones((2, 40, 48), np.float32), None, synthetic_probe(4.0, 1.0, 33))
    assert len(found) < 400


def test_a_cancelled_training_resumes_identically(tmp_path):
    whole = train(tmp_path / "whole.safetensors", steps=3)
    out, ticket = tmp_path / "w.safetensors", Ticket(0)

    def report(progress):
        if progress.done == 1:
            ticket.cancel()

    with pytest.raises(Cancelled):
        train(out, steps=3, context=Context(ticket, report))
    assert not out.exists()
    assert train(out, steps=3, resume=True).steps == 3
    states = load_file(whole.out), load_file(out)
    assert all(torch.equal(states[0][name], array) for name, array in states[1].items())
    assert not checkpoint_folder(out).exists()


def test_weights_that_are_no_better_for_a_scan_are_refused(tmp_path, lesson, monkeypatch):
    base, out = train(tmp_path / "base.safetensors").out, tmp_path / "w.safetensors"
    answers = iter([(0.5, 1.0), (0.7, 1.0), (0.7, 1.0), (0.7, 1.0)])
    monkeypatch.setattr(disk_recipes.DisksRecipe, "measure", lambda self, network: next(answers))
    with pytest.raises(RefusedError, match=r"0\.500 px before, 0\.700 px after"):
        train(out, base=base, lesson=lesson)
    assert not out.exists()
    assert not checkpoint_folder(out).exists()


def test_better_weights_for_a_scan_are_written(tmp_path, lesson, monkeypatch):
    base, out = train(tmp_path / "base.safetensors").out, tmp_path / "w.safetensors"
    answers = iter([(0.5, 1.0), (0.4, 1.0), (0.4, 1.0), (0.4, 1.0)])
    monkeypatch.setattr(disk_recipes.DisksRecipe, "measure", lambda self, network: next(answers))
    report = train(out, base=base, lesson=lesson)
    assert report.improved
    assert out.exists()


def test_unusable_starts_are_one_sentence(tmp_path, lesson):
    with pytest.raises(TrainingError, match="give --base disks"):
        train(tmp_path / "w.safetensors", lesson=lesson)
    with pytest.raises(TrainingError, match="holds no disk network"):
        train(tmp_path / "w.safetensors", base="braggnn")
    with pytest.raises(WeightsError, match="holds no disk network"):
        open_disk_network("braggnn")


def test_the_command_adapts_to_a_scan(run, tmp_path):
    base, scan, out = tmp_path / "base.safetensors", tmp_path / "scan.npy", tmp_path / "w.safetensors"
    train(base)
    scene = wedge(random_strains(6, 0), np.full(6, 20.0), np.zeros((6, 2)), 1e5, 0, 64, 4.0)
    np.save(scan, scene.patterns.astype(np.uint16).reshape(2, 3, 64, 64))
    code, _, said = run("train", "disks", "-o", out, "--data", scan, "--minutes", "0.0001")
    assert code == 2
    assert "give --base disks" in said
    code, _, said = run("train", "disks", "-o", out, "--data", scan, "--base", base, "--minutes", "0.0001")
    assert code == 2  # two steps of training find no disks
    assert "disks were found" in said
    assert not out.exists()
    code, _, said = run("train", "disks", "-o", out, "--data", scan, "--base", "disks", "--minutes", "0.0001")
    assert out.exists() == (code == 0)
    assert ("nothing was written" in said) == (code == 1)


def test_shipping_writes_weights_curve_and_entry(tmp_path, monkeypatch):
    base = loader.ROOT / "weights" / "disks.safetensors"
    (tmp_path / "manifest.json").write_text(loader.MANIFEST.read_text())
    (tmp_path / "weights").mkdir()
    for module in (ship_disks, loader):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(module, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.setattr(ship_disks, "BROAD", 8)
    monkeypatch.setattr(ship_disks, "wedges", dict)
    report = train(tmp_path / "w.safetensors", base=base)
    entry = ship_disks.ship(report.out, "disks")
    assert loader.manifest()["disks"] == entry
    assert "braggnn" in loader.manifest()
    assert len(entry["accuracy"]["cases"]["all that is simulated, held-out crystals"]) == 6
    assert (tmp_path / "weights" / "disks_curve.csv").read_text().startswith("step,samples")
    assert open_disk_network("disks").parameters == entry["parameters"]

"""Training of the network of coherent imaging: files, refusals, shipping."""

import pytest
import torch
from safetensors.torch import load_file

from braggscope.app.engine import cdi_recipe, ship_cdi
from braggscope.app.engine.cdi_network import open_improver
from braggscope.app.engine.checkpoint import TrainingError
from braggscope.app.engine.jobs import Context, Ticket
from braggscope.app.engine.training import train_network
from braggscope.models.cdi import dataset
from braggscope.models.cdi.network import train as training
from braggscope.resources import loader


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A small network on few samples."""
    made = {}

    def block(seed, crystals=1, views=4):
        if seed not in made:
            made[seed] = dataset.Samples(*ONE)
        return made[seed]

    monkeypatch.setattr(dataset, "block", block)
    monkeypatch.setattr(cdi_recipe, "HELD_OUT_BLOCKS", 1)
    original = training.CdiSettings
    network = training.CdiConfig((8, 8, 16), (1, 1, 1))

    def settings(steps, seed=0, config=network, **more):
        return original(steps, seed, config, batch=2, first_blocks=1, blocks=2, half=False, **more)

    monkeypatch.setattr(training, "CdiSettings", settings)


ONE = dataset.block(77, crystals=1, views=4)


def train(out, **options):
    given = {"steps": 2, "context": Context(Ticket(0), lambda progress: None)} | options
    return train_network("cdi", out, **given)


def test_a_training_writes_weights_and_curve(tmp_path):
    report = train(tmp_path / "w.safetensors", data=tmp_path / "kept")
    assert (report.steps, report.samples, report.held_out) == (2, 4, 4)
    assert report.curve.read_text().splitlines()[0].endswith("loss,median_unexplained,p95_unexplained")
    assert [path.suffix for path in (tmp_path / "kept").iterdir()] == [".safetensors"]
    plain = train(tmp_path / "plain.safetensors")
    states = load_file(report.out), load_file(plain.out)
    assert all(torch.equal(states[0][name], array) for name, array in states[1].items())
    further = train(tmp_path / "further.safetensors", base=report.out)
    assert further.before_px == pytest.approx(report.after_px, abs=1e-3)


def test_unusable_starts_are_one_sentence(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(TrainingError, match="give a folder after --data"):
        train(tmp_path / "w.safetensors", data=file)
    with pytest.raises(TrainingError, match="holds no network of coherent imaging"):
        train(tmp_path / "w.safetensors", base="braggnn")
    kept = tmp_path / "kept"
    train(tmp_path / "w.safetensors", data=kept)
    for path in kept.iterdir():
        path.write_bytes(b"no samples")
    with pytest.raises(TrainingError, match="delete it and train again"):
        train(tmp_path / "again.safetensors", data=kept)


def test_shipping_writes_weights_curve_and_entry(tmp_path, monkeypatch):
    (tmp_path / "manifest.json").write_text(loader.MANIFEST.read_text())
    (tmp_path / "weights").mkdir()
    for module in (ship_cdi, loader):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(module, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.setattr(ship_cdi, "BLOCKS", 1)
    entry = ship_cdi.ship(train(tmp_path / "w.safetensors").out)
    assert loader.manifest()["cdi"] == entry
    assert "braggnn" in loader.manifest()
    assert set(entry["accuracy"]["cases"]) == {"rough objects", "after the network"}
    assert (tmp_path / "weights" / "cdi_curve.csv").read_text().startswith("step,samples")
    open_improver("cdi")

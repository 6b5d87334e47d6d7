import csv
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from braggscope.app.engine.checkpoint import TrainingError, checkpoint_folder
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.localizers import open_net, open_networks, weights_in_use, weights_record
from braggscope.app.engine.ship import ship
from braggscope.app.engine.training import train_network
from braggscope.models.localizer import calibrate
from braggscope.models.parameters import Localization
from braggscope.models.weights import build_localizer
from braggscope.resources import loader
from braggscope.resources.loader import WeightsError, load_weights, weights_hash

torch.set_num_threads(1)
STEPS = 4


@pytest.fixture(autouse=True)
def brief_calibration(monkeypatch):
    monkeypatch.setattr(calibrate, "EPOCHS", 1)


def train(out, *, context=None, **options):
    options = {"seed": 4, "steps": STEPS, **options}
    return train_network("net", out, context=context or silent_context(), **options)


def stop_at(step):
    ticket = Ticket(0)

    def report(progress):
        if progress.done == step:
            ticket.cancel()

    return Context(ticket, report)


def test_a_cancelled_training_resumes_identically(tmp_path):
    whole = train(tmp_path / "whole.safetensors")
    out = tmp_path / "w.safetensors"
    with pytest.raises(Cancelled):
        train(out, context=stop_at(2))
    assert not out.exists()
    report = train(out, resume=True)
    assert report.steps == STEPS
    assert report.samples == STEPS * 512
    states = load_file(whole.out), load_file(out)
    assert all(torch.equal(states[0][name], array) for name, array in states[1].items())
    assert not checkpoint_folder(out).exists()
    again = train(out, resume=True)
    assert again == report


def test_weights_say_what_they_are_and_where_they_come_from(tmp_path):
    first = train(tmp_path / "a.safetensors", steps=1)
    second = train(tmp_path / "b.safetensors", base=first.out, steps=1)
    with safe_open(second.out, "pt") as file:
        metadata = file.metadata()
    assert (metadata["network"], metadata["axis_order"]) == ("Localizer", "xy")
    record = json.loads(metadata["training"])
    assert record["base"]["sha256"] == first.sha256
    assert record["base"]["training"]["steps"] == 1
    build_localizer(load_file(second.out))


def test_what_cannot_be_trained_is_said_in_one_sentence(tmp_path):
    data = tmp_path / "peaks.h5"
    data.write_bytes(b"")
    with pytest.raises(TrainingError, match="not from the peaks listed in"):
        train(tmp_path / "w.safetensors", data=data)
    shipped = loader.ROOT / "weights" / "braggnn.safetensors"
    with pytest.raises(TrainingError, match="holds no localiser network"):
        train(tmp_path / "w.safetensors", base=shipped)
    with pytest.raises(TrainingError, match="There is no file"):
        train(tmp_path / "w.safetensors", base=tmp_path / "none.safetensors")


def test_networks_in_use_are_opened_and_recorded(tmp_path):
    settings = Localization()
    assert weights_in_use(settings) == {"braggnn": "braggnn", "net": "net"}
    ready = open_networks(settings)
    assert ready.complete(settings.methods)
    names, hashes = weights_record(settings)
    assert names == "braggnn, net"
    assert hashes == f"{weights_hash('braggnn')}, {weights_hash('net')}"
    fit_only = Localization(methods=("fit",))
    assert weights_record(fit_only) == ("", "")
    assert not open_networks(fit_only).complete(("net",))
    with pytest.raises(WeightsError, match="holds no localiser network"):
        open_net("braggnn")


def test_shipping_keeps_the_other_weights(tmp_path, monkeypatch):
    from braggscope.app.engine import ship as shipping
    from braggscope.models.localizer import evaluate

    (tmp_path / "weights").mkdir()
    (tmp_path / "manifest.json").write_text(loader.MANIFEST.read_text())
    for module in (shipping, loader):
        monkeypatch.setattr(module, "ROOT", tmp_path)
        monkeypatch.setattr(module, "MANIFEST", tmp_path / "manifest.json")
    table = evaluate.accuracy_table
    monkeypatch.setattr(evaluate, "accuracy_table", lambda network: table(network, count=20))
    monkeypatch.setattr(calibrate.calibrate, "__defaults__", (2000, *calibrate.calibrate.__defaults__[1:]))
    report = train(tmp_path / "w.safetensors")
    entry = ship(report.out)
    entries = loader.manifest()
    assert entries["net"] == entry
    assert "braggnn" in entries
    assert entry["training"]["steps"] == STEPS
    assert len(entry["accuracy"]["cases"]["round, SNR 10"]["raw"]) == 3
    state, provenance = load_weights("net")
    assert provenance.shipped
    build_localizer(state)


def test_the_command_line_trains_and_uses_what_it_trained(run, series, tmp_path):
    weights, table = tmp_path / "w.safetensors", tmp_path / "p.csv"
    code, _, said = run("train", "net", "-o", weights, "--minutes", "0.0001", "--seed", "2")
    assert code == 0
    assert "2000 held-out patches" in said
    flags = ("--minval", "60", "--minscore", "150", "--frames", "0:1")
    code, _, said = run("peaks", series.path, "-o", table, *flags, "--weights", f"net={weights}")
    assert code == 0
    provenance = json.loads((tmp_path / "p.csv.json").read_text())
    assert provenance["weights"] == f"braggnn, {weights}"
    assert provenance["weights_sha256"] == f"{weights_hash('braggnn')}, {weights_hash(weights)}"
    first = next(csv.DictReader(table.read_text().splitlines()))
    assert float(first["x_net_err"]) > 0
    assert 0 <= float(first["quality"]) <= 1

import json
import os
import pickle
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from braggscope.models.braggnn.network import BraggNN
from braggscope.models.weights import build_braggnn
from braggscope.resources import loader
from braggscope.resources.loader import WeightsError, load_weights, weights_hash

torch.set_num_threads(1)


@pytest.fixture
def state():
    torch.manual_seed(0)
    return BraggNN().state_dict()


def test_shipped_weights_are_whole_and_described():
    state, provenance = load_weights("braggnn")
    entry = loader.manifest()["braggnn"]
    assert provenance.sha256 == entry["sha256"] == weights_hash("braggnn")
    assert provenance.shipped
    assert provenance.axis_order == "xy"
    assert build_braggnn(state).config.window == entry["window"] == 11
    assert entry["parameters"] == 33_172
    assert provenance.metadata["training"]["steps"] > 1000


def test_damaged_shipped_weights_are_refused(tmp_path, monkeypatch):
    content = bytearray((loader.ROOT / "weights" / "braggnn.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "braggnn.safetensors").write_bytes(content)
    monkeypatch.setattr(loader, "ROOT", tmp_path)
    with pytest.raises(WeightsError, match="damaged"):
        load_weights("braggnn")


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapper", [None, "model_state_dict", "state_dict"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_torch_checkpoints_come_back_as_they_were(tmp_path, state, prefix, wrapper, suffix):
    path = tmp_path / f"fc16_8_4_2-sz11{suffix}"
    content = OrderedDict((prefix + name, array) for name, array in state.items())
    torch.save({wrapper: content, "epoch": 3, "loss": 0.1} if wrapper else content, path)
    loaded, provenance = load_weights(path)
    built = build_braggnn(loaded).state_dict()
    assert all(torch.equal(built[name], array) for name, array in state.items())
    assert provenance.axis_order == ""
    assert provenance.path == path
    assert not provenance.shipped


def test_safetensors_bring_their_axis_order(tmp_path, state):
    path = tmp_path / "own.safetensors"
    save_file(state, path, {"axis_order": "yx"})
    loaded, provenance = load_weights(str(path))
    assert provenance.axis_order == "yx"
    assert all(torch.equal(loaded[name], array) for name, array in state.items())


class Bomb:
    def __reduce__(self):
        return os.mkdir, (self.path,)

    def __init__(self, path):
        self.path = path


@pytest.mark.parametrize("plain", [True, False])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, plain):
    trace = tmp_path / "executed"
    path = tmp_path / "evil.pth"
    if plain:
        path.write_bytes(pickle.dumps({"cnn_layers.0.weight": Bomb(str(trace))}))
    else:
        torch.save({"cnn_layers.0.weight": Bomb(str(trace))}, path)
    with pytest.raises(WeightsError, match=r"never run|not a whole torch checkpoint") as caught:
        load_weights(path)
    assert not trace.exists()
    assert "\n" not in str(caught.value)


def test_a_whole_pickled_model_is_refused_with_advice(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(BraggNN(), path)
    with pytest.raises(WeightsError, match="state_dict"):
        load_weights(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("cut.pth", b"PK\x03\x04 nothing", "not a whole torch checkpoint"),
        ("cut.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{", "not a whole safetensors"),
        ("empty.pt", b"", "not a whole torch checkpoint"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=says) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)


def test_other_content_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    torch.save([1, 2], tmp_path / "b.pth")
    with pytest.raises(WeightsError, match="epoch is not an array"):
        load_weights(tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="no state dict"):
        load_weights(tmp_path / "b.pth")


def test_unknown_names_and_missing_files(tmp_path):
    with pytest.raises(WeightsError, match="There are no weights called bragnn; give one of braggnn"):
        load_weights("bragnn")
    with pytest.raises(WeightsError, match="is not there"):
        load_weights(tmp_path / "none.pth")


def test_the_learning_curve_is_shipped_too():
    lines = (loader.ROOT / "weights" / "braggnn_curve.csv").read_text().splitlines()
    steps = [int(line.split(",")[0]) for line in lines[1:]]
    assert steps == sorted(steps)
    assert len(steps) > 5
    assert json.loads(loader.MANIFEST.read_text())["version"] == 1

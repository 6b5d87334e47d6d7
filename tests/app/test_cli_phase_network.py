"""The command that phases with the network: its methods, its weights, its sentences."""

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from braggscope.app.engine.cdi_network import open_improver
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.network.network import CdiConfig, CdiNet, initialise
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.reconstruct import Reconstructor
from braggscope.resources.loader import WeightsError, weights_hash


@pytest.fixture(scope="module")
def counts():
    spec = CoherentSpec(seed=4, shape=(32, 32, 32), peak_counts=1e5)
    return measure(grow(spec), spec).counts.astype(np.uint32)


@pytest.fixture(scope="module")
def stack(counts, tmp_path_factory):
    path = tmp_path_factory.mktemp("stack") / "scan.npy"
    np.save(path, counts)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    network = CdiNet(CdiConfig((8, 8, 16), (1, 1, 1)))
    initialise(network, 0)
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    save_file({k: v.half() for k, v in network.state_dict().items()}, path, {"network": "CdiNet"})
    return path


@pytest.mark.parametrize(
    ("method", "found"),
    [("network", ["network"]), ("network-only", ["network-only"]), ("all", ["network", "iterative"])],
)
def test_every_method_says_what_it_used(run, stack, weights, tmp_path, method, found):
    out = tmp_path / "out.h5"
    flags = ["--iterations", "6*ER", "--starts", "1", "--weights", f"cdi={weights}"]
    code, _, err = run("phase", stack, "-o", out, "--method", method, *flags)
    assert code == 0, err
    assert "method " in err
    with h5py.File(out) as file:
        assert sorted(file["entry/runs/method"].asstr()[()]) == sorted(found)
        assert file["entry/process/weights_sha256"].asstr()[()] == weights_hash(weights)
        free = file["entry/runs/free_log_likelihood"][()]
        assert (np.diff(free) <= 0).all()


def test_bad_weights_are_one_sentence(fails, stack, weights, tmp_path):
    out = tmp_path / "out.h5"
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(weights.read_bytes()[:1000])
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(3)}, other)
    words = ("phase", stack, "-o", out, "--method", "network", "--weights")
    assert "not a whole safetensors file" in fails(*words, f"cdi={torn}")
    assert "no network of coherent imaging" in fails(*words, f"cdi={other}")
    assert "is not there" in fails(*words, f"cdi={tmp_path / 'none.safetensors'}")
    assert "write cdi=FILE" in fails(*words, f"net={weights}")
    assert "invalid choice" in fails("phase", stack, "-o", out, "--method", "guess")
    assert not out.exists()


def test_a_missing_network_is_said(counts):
    with pytest.raises(ValueError, match="needs the network"):
        Reconstructor(np.sqrt(counts.astype(np.float32)), None, Phasing(method="network"))
    with pytest.raises(WeightsError, match="no weights called"):
        open_improver("no such weights")


def test_iterations_are_counted_to_the_end(counts, weights):
    amplitude = np.sqrt(counts.astype(np.float32))
    for method in ("network", "network-only", "all"):
        settings = Phasing(method=method, iterations="4*ER", starts=2, refinement=3)
        work = Reconstructor(amplitude, None, settings, improve=open_improver(weights))
        live = list(work.iterate())
        assert [step.done for step in live] == list(range(1, len(live) + 1))
        assert live[-1].total == len(live)
        assert [run.method for run in work.outcome.runs].count("network") == (method != "network-only")

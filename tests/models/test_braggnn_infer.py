from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from braggscope.models.braggnn.infer import SMALLEST_BATCH, Localizer
from braggscope.models.braggnn.network import BraggNN, BraggNNConfig
from braggscope.models.device import resolve

torch.set_num_threads(1)


@pytest.fixture(params=[11, 15])
def network(request):
    torch.manual_seed(1)
    return BraggNN(BraggNNConfig(request.param)).eval()


def patches_for(network, count):
    side = network.config.window
    return np.random.default_rng(0).random((count, side, side), np.float32)


def plain(network, patches):
    with torch.no_grad():
        return network(torch.from_numpy(patches)[:, None]).double().numpy() * network.config.window


@pytest.mark.parametrize("count", [1, 128, 300])
def test_it_gives_the_plain_networks_positions(network, count):
    patches = patches_for(network, count)
    found = Localizer(network).locate(patches)
    assert found.dtype == np.float64
    assert found.shape == (count, 2)
    np.testing.assert_allclose(found, plain(network, patches), rtol=0, atol=1e-5)


def test_the_axis_order_is_undone(network):
    patches = patches_for(network, 5)
    xy = Localizer(network, "xy").locate(patches)
    np.testing.assert_array_equal(Localizer(network, "yx").locate(patches), xy[:, ::-1])


def test_no_patches_and_wrong_patches(network):
    localizer = Localizer(network)
    assert localizer.locate(patches_for(network, 0)).shape == (0, 2)
    with pytest.raises(ValueError, match="need"):
        localizer.locate(np.zeros((4, 9, 9), np.float32))


def test_threads_may_share_it(network):
    localizer = Localizer(network)
    many = [patches_for(network, count) for count in (7, 130, 33, 200)] * 4
    alone = [localizer.locate(patches) for patches in many]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(localizer.locate, many))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


class SmallDevice(Localizer):
    """A device whose memory holds only so many patches. It computes on the CPU."""

    def __init__(self, network, room):
        self.room, self.sizes, self.heard = room, [], []
        super().__init__(network, "xy", "cpu", self.heard.append)
        self._remote = network

    def _forward(self, network, images):
        self.sizes.append(len(images))
        if len(images) > self.room:
            raise torch.OutOfMemoryError("too many")
        return super()._forward(network, images)


def test_a_full_device_gets_smaller_batches():
    network = BraggNN().eval()
    localizer = SmallDevice(network, 5000)
    patches = patches_for(network, 9000)
    np.testing.assert_allclose(localizer.locate(patches), plain(network, patches), rtol=0, atol=1e-5)
    assert localizer.sizes == [9000, 8192, 4096, 4096, 808]
    assert localizer.warning == ""


def test_a_device_without_memory_hands_over_to_the_cpu_and_says_so_once():
    network = BraggNN().eval()
    localizer = SmallDevice(network, 10)
    patches = patches_for(network, 300)
    for _ in range(2):
        np.testing.assert_allclose(localizer.locate(patches), plain(network, patches), rtol=0, atol=1e-5)
    assert len(localizer.heard) == 1
    assert "CPU" in localizer.warning
    assert min(localizer.sizes) == SMALLEST_BATCH


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(network):
    patches = patches_for(network, 1000)
    on_cuda = Localizer(network, "xy", "cuda").locate(patches)
    np.testing.assert_allclose(on_cuda, Localizer(network).locate(patches), rtol=0, atol=1e-3)


def test_devices_resolve():
    assert resolve("cpu") == "cpu"
    assert resolve("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        resolve("tpu")


def test_cuda_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="No CUDA device"):
        resolve("cuda")

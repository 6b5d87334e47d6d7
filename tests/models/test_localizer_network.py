import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.localizer.infer import CHUNK, NetLocalizer
from braggscope.models.localizer.network import LocalizerConfig, LocalizerNet, initialise, prepare
from braggscope.models.weights import build_localizer
from braggscope.resources.loader import load_weights

torch.set_num_threads(1)
MIDDLE = 5


@pytest.fixture(scope="module")
def localizer():
    return NetLocalizer(build_localizer(load_weights("net")[0]))


def spot(x, y, sigma=1.4, noise=0.0, seed=0, second=None):
    """(1, 11, 11) counts of a peak at (x, y) from the middle pixel, and perhaps another."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[-5:6, -5:6].astype(float)
    counts = 40 + 100 * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * sigma**2))
    if second is not None:
        counts += 80 * np.exp(-((u - second[0]) ** 2 + (v - second[1]) ** 2) / (2 * sigma**2))
    counts += noise * rng.normal(size=counts.shape)
    return counts[None].astype(np.float32)


def whole(counts):
    return np.ones(counts.shape, np.bool_)


places = st.floats(-0.5, 0.5)
scenes = st.fixed_dictionaries(
    {
        "x": places,
        "y": places,
        "sigma": st.floats(1.0, 2.5),
        "noise": st.floats(0.3, 10.0),
        "seed": st.integers(0, 2**16),
    }
)


def same(a, b, tolerance=2e-3):
    for name in ("x", "y", "x_err", "y_err", "overlap", "quality"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=tolerance)


@given(scenes, st.floats(1e-3, 1e4), st.floats(-1e3, 1e3))
def test_gain_and_offset_change_nothing(localizer, scene, gain, offset):
    counts = spot(**scene)
    changed = (gain * (counts + offset)).astype(np.float32)
    same(localizer.locate(counts, whole(counts)), localizer.locate(changed, whole(counts)), 5e-3)


@given(scenes, st.integers(0, 120), st.sampled_from([0.0, np.nan, np.inf, 1e9, -1e9]))
def test_what_is_not_valid_has_no_influence(localizer, scene, pixel, junk):
    counts = spot(**scene)
    valid = whole(counts)
    valid.flat[pixel] = False
    spoiled = counts.copy()
    spoiled.flat[pixel] = junk
    same(localizer.locate(counts, valid), localizer.locate(spoiled, valid), 0.0)


@given(scenes)
def test_mirrored_and_turned_patches_give_mirrored_and_turned_answers(localizer, scene):
    """Not exactly: each within 3 sigma of the truth, as if their errors had nothing to do with each other."""
    counts = spot(**scene)
    plain = localizer.locate(counts, whole(counts))
    flat = localizer.locate(np.ascontiguousarray(counts[:, :, ::-1]), whole(counts))
    turned = localizer.locate(np.ascontiguousarray(counts.transpose(0, 2, 1)), whole(counts))
    for x, y, x_err, y_err in (
        (2 * MIDDLE - flat.x, flat.y, flat.x_err, flat.y_err),
        (turned.y, turned.x, turned.y_err, turned.x_err),
    ):
        assert abs(x[0] - plain.x[0]) < 3 * np.hypot(x_err[0], plain.x_err[0]) + 0.02
        assert abs(y[0] - plain.y[0]) < 3 * np.hypot(y_err[0], plain.y_err[0]) + 0.02


@given(st.sampled_from(["zeros", "constant", "noise", "one pixel", "nothing valid", "all nan"]), places)
def test_senseless_patches_give_finite_answers(localizer, kind, level):
    counts = np.full((1, 11, 11), level if kind != "zeros" else 0.0, np.float32)
    valid = whole(counts)
    if kind == "noise":
        counts += np.random.default_rng(0).normal(size=counts.shape).astype(np.float32)
    elif kind == "one pixel":
        valid[:] = False
        valid[0, 5, 5] = True
    elif kind == "nothing valid":
        valid[:] = False
    elif kind == "all nan":
        counts[:] = np.nan
    answer = localizer.locate(counts, valid)
    assert all(np.isfinite(part).all() for part in answer)
    assert answer.x_err[0] > 0


def test_the_answer_follows_the_peak(localizer):
    for dx in (-0.8, 0.0, 0.8):
        answer = localizer.locate(spot(dx, 0.3, noise=1.0), np.ones((1, 11, 11), np.bool_))
        assert answer.x[0] == pytest.approx(MIDDLE + dx, abs=0.1)
        assert answer.y[0] == pytest.approx(MIDDLE + 0.3, abs=0.06)
        assert answer.quality[0] > 0.95


def test_a_second_peak_is_seen_and_placed(localizer):
    one, two = spot(0.1, 0.2, noise=1.0), spot(0.1, 0.2, noise=1.0, second=(3.2, -2.1))
    alone, pair = (localizer.locate(counts, whole(counts)) for counts in (one, two))
    assert alone.overlap[0] < 0.1
    assert pair.overlap[0] > 0.9
    np.testing.assert_allclose(pair.second[0], (MIDDLE + 3.2, MIDDLE - 2.1), atol=0.5)


def test_many_patches_give_what_each_gives_alone(localizer):
    counts = np.concatenate([spot(0.1, 0.0, noise=3.0, seed=k) for k in range(CHUNK + 3)])
    together = localizer.locate(counts, whole(counts))
    alone = localizer.locate(counts[-1:], whole(counts[-1:]))
    assert together.x[-1] == pytest.approx(alone.x[0], abs=1e-5)
    assert together.second.shape == (CHUNK + 3, 2)


def test_empty_input_and_wrong_shapes(localizer):
    nothing = np.zeros((0, 11, 11), np.float32)
    answer = localizer.locate(nothing, nothing > 0)
    assert answer.x.shape == (0,)
    assert answer.second.shape == (0, 2)
    with pytest.raises(ValueError, match=r"\(N, 11, 11\)"):
        localizer.locate(np.zeros((2, 9, 9), np.float32), np.ones((2, 9, 9), np.bool_))


@pytest.mark.parametrize("window", [7, 11, 15])
def test_weights_of_any_window_are_recognised(window):
    network = LocalizerNet(LocalizerConfig(window))
    initialise(network, 3)
    built = build_localizer(network.state_dict())
    assert built.config == network.config
    inputs = prepare(torch.rand(4, window, window), torch.ones(4, window, window, dtype=torch.bool))
    torch.testing.assert_close(built.calibrated(inputs).offset, network(inputs).offset)


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="holds no localiser network"):
        build_localizer(load_weights("braggnn")[0])
    state = LocalizerNet().state_dict()
    with pytest.raises(ValueError, match=r"head\.0\.bias is missing"):
        build_localizer({name: array for name, array in state.items() if name != "head.0.bias"})
    state["head.0.bias"] = state["head.0.bias"] * torch.nan
    with pytest.raises(ValueError, match="not finite"):
        build_localizer(state)
    with pytest.raises(ValueError, match="odd window"):
        LocalizerNet(LocalizerConfig(8))


class SmallDevice(NetLocalizer):
    """Pretends to be a device on which only so many patches fit."""

    def __init__(self, network, room):
        self.heard = []
        super().__init__(network, on_warning=self.heard.append)
        self.room, self.device, self._remote = room, "small", network

    def _remote_run(self, counts, valid, batch):
        if min(batch, len(counts)) > self.room:
            raise torch.OutOfMemoryError("full")
        return super()._remote_run(counts, valid, batch)


@pytest.mark.parametrize(("room", "warnings"), [(5000, 0), (10, 1)])
def test_a_full_device_gets_smaller_batches_then_the_processor(localizer, monkeypatch, room, warnings):
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    small = SmallDevice(build_localizer(load_weights("net")[0]), room)
    counts = np.repeat(spot(0.2, -0.1), 9000, axis=0)
    answer = small.locate(counts, whole(counts))
    np.testing.assert_allclose(answer.x, localizer.locate(counts[:1], whole(counts[:1])).x[0], atol=1e-5)
    assert len(small.heard) == warnings
    assert ("CPU" in small.warning) == bool(warnings)

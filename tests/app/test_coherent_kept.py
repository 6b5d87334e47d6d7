"""Reconstructions of several stacks: none is shown with another stack, and memory has an end."""

from types import SimpleNamespace

import numpy as np
import pytest

from braggscope.app.engine.cdi import Stack
from braggscope.app.engine.coherent_kept import KEPT, Kept
from braggscope.app.engine.coherent_pace import WHOLE, Pace
from braggscope.app.engine.coherent_parameters import again, fresh, stack_name
from braggscope.app.engine.coherent_results import Candidate
from braggscope.app.engine.coherent_volume import prepared
from braggscope.app.engine.jobs import Cancelled, Context, Ticket
from braggscope.app.sources.protocol import SourceInfo
from braggscope.models.cdi.geometry import BraggGeometry
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.parameters import Preparation

BYTES = 8 * 1000
NONE = (None, None, None)
INFO = SourceInfo("scan.npy", "npy", 12, (16, 16), "float32", identity="now")


def candidate(free):
    """One that holds ``BYTES``."""
    pattern = SimpleNamespace()
    row = Candidate("iterative", 0, 0.1, 0.1, 0.1, 0.1, free, 0.0, np.zeros(1), np.zeros(1), pattern,
                    Preparation(), ("", ""))  # fmt: skip
    object.__setattr__(row, "phased", [np.zeros(BYTES, np.uint8)])
    return row


def volume(name, pattern="full"):
    stack = SimpleNamespace(location=f"/data/{name}")
    return SimpleNamespace(stack=stack, stack_key=name, key=f"{name} {pattern}")


def made(values=None, mask=None, location="scan.npy", identity="now", files=NONE, **parameters):
    """A volume of a stack; it shows no peak, which is no matter here."""
    values = np.arange(12.0 * 16 * 16).reshape(12, 16, 16) if values is None else values
    mask = np.zeros(values.shape, bool) if mask is None else mask
    return prepared(Stack(values, mask, location, identity), files, INFO, Phasing(**parameters))


def test_each_stack_has_its_own():
    kept = Kept()
    kept.add(volume("a"), [candidate(1.0)])
    kept.add(volume("b"), [candidate(2.0), candidate(3.0)])
    assert [row.free for row in kept.rows("a full")] == [1.0]
    assert [row.free for row in kept.rows("b full")] == [3.0, 2.0]
    assert kept.find(volume("c")) == ""
    assert kept.rows("") == []
    assert (kept.count("/data/a"), kept.count("/data/b"), kept.count("/data/c")) == (1, 2, 0)
    kept.drop("b full")
    assert kept.find(volume("b")) == ""


def test_the_same_pattern_comes_first_else_the_last_one_of_the_stack():
    kept = Kept()
    for pattern in ("full", "cropped", "binned"):
        kept.add(volume("a", pattern), [candidate(1.0)])
    assert kept.find(volume("a", "cropped")) == "a cropped"
    assert kept.find(volume("a", "other")) == "a binned"
    kept.touch("a full")
    assert kept.find(volume("a", "other")) == "a full"


def test_the_oldest_go_first_and_what_is_new_or_on_screen_stays():
    kept = Kept(most=3 * BYTES)
    for name in "abc":
        assert kept.add(volume(name), [candidate(1.0)]) == []
    assert kept.add(volume("d"), [candidate(1.0)], shown="a full") == ["/data/b"]
    assert [bool(kept.find(volume(name))) for name in "abcd"] == [True, False, True, True]
    tight = Kept(most=1)
    tight.add(volume("a"), [candidate(1.0), candidate(2.0)])
    assert tight.add(volume("b"), [candidate(1.0)], shown="a full") == []
    assert [row.free for row in tight.rows("a full")] == [2.0]
    assert tight.add(volume("a"), [candidate(0.5)], shown="a full") == ["/data/b"]
    assert [row.free for row in tight.rows("a full")] == [0.5]


def test_of_one_pattern_the_most_likely_stay():
    kept = Kept(most=10**9)
    for free in range(KEPT + 5):
        kept.add(volume("a"), [candidate(float(free))])
    kept.add(volume("a"), [candidate(-1.0)])
    rows = [row.free for row in kept.rows("a full")]
    assert len(rows) == KEPT
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] == -1.0
    assert rows[-2] == 6.0


def test_the_key_of_a_stack_follows_its_values_and_not_when_they_were_written():
    first, touched = made(), made(identity="later")
    assert first.key == touched.key
    values = np.arange(12.0 * 16 * 16).reshape(12, 16, 16)
    values[3, 4, 5] += 1
    assert made(values).stack_key != first.stack_key
    assert made(first.stack.values.astype(np.float32)).stack_key != first.stack_key
    assert made(first.stack.values.reshape(12, 8, 32)).stack_key != first.stack_key
    assert made(location="copy.npy").stack_key != first.stack_key
    mask = np.zeros(values.shape, bool)
    mask[0, 0, 0] = True
    masked = made(mask=mask)
    assert masked.stack_key == first.stack_key
    assert masked.key != first.key
    for other in (made(crop=16), made(files=("mask.npy", None, None))):
        assert other.stack_key == first.stack_key
        assert other.key != first.key
    assert made(seed=7).key == first.key


def test_what_belongs_to_the_stack_comes_back_and_how_it_is_phased_stays():
    angles = BraggGeometry(
        energy_keV=9, distance_m=1, pixel_um=(55, 55), delta_deg=20, gamma_deg=15, step_deg=0.02
    )
    left, now = Phasing(crop=32, geometry=angles, seed=1), Phasing(seed=2, iterations="5*ER")
    assert again(left, now) == Phasing(crop=32, geometry=angles, seed=2, iterations="5*ER")
    assert fresh(left) == Phasing(seed=1)


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("/data/scan7.npy", "scan7.npy"),
        ("/data/a.h5::/entry/1/data", "a.h5::/entry/1/data"),
        ("/data/run/", "run"),
    ],
)
def test_names_of_stacks(location, name):
    assert stack_name(location) == name


def test_progress_grows_over_reading_and_preparing_and_is_cancelled_in_any_call(monkeypatch):
    seen, ticket, now = [], Ticket(0), [100.0]
    monkeypatch.setattr("braggscope.app.engine.coherent_pace.time.monotonic", lambda: now[0])
    pace = Pace(Context(ticket, seen.append), 80_000_000, aliens=False)  # 4 s
    for frame in range(20):
        pace.progress(frame, 20, "reading")
        now[0] += 0.2
    for _ in range(4):
        pace.step()
        now[0] += 0.8
    parts = [progress.done for progress in seen]
    assert parts == sorted(parts)
    assert parts[0] == 0
    assert {progress.total for progress in seen} == {WHOLE}
    halfway = seen[10]
    assert halfway.note == "frame 10 of 20"
    assert halfway.done / WHOLE == pytest.approx(0.25, abs=0.01)  # 2 of 4 s of reading, and 4 s to come
    assert seen[-1].note == "preparing"
    assert 0.85 < parts[-1] / WHOLE < 1
    ticket.cancel()
    for call in (pace.check, pace.step, lambda: pace.progress(1, 20)):
        with pytest.raises(Cancelled):
            call()
    assert pace.cancelled.is_set()

"""Virtual images of a scan, in one pass and bit by bit."""

import contextlib
import threading
import time

import numpy as np
import pytest
from scans import SIDE, small_scan

from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.scan_images import run_virtual
from braggscope.models.parameters import Parameters


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return small_scan(tmp_path_factory.mktemp("strain") / "scan.h5")


def test_virtual_images_are_sums_over_detectors(scan):
    half = np.zeros((SIDE, SIDE), bool)
    half[:, :20] = True
    seen = []
    found = run_virtual(str(scan.path), Parameters(), {"left": half}, silent_context(), seen.append)
    assert np.array_equal(found.images["left"], scan.patterns[..., :20].sum(axis=(2, 3)))
    assert np.array_equal(found.images["sum"], scan.patterns.sum(axis=(2, 3)))
    assert np.array_equal(found.images["max"], scan.patterns.max(axis=(2, 3)))
    np.testing.assert_allclose(found.mean, scan.patterns.mean(axis=(0, 1)))
    assert np.array_equal(found.maximum, scan.patterns.max(axis=(0, 1)))
    columns = (scan.patterns * np.arange(SIDE)).sum(axis=(2, 3)) / scan.patterns.sum(axis=(2, 3))
    np.testing.assert_allclose(found.centre[..., 0], columns)
    assert found.count == 24


def test_virtual_images_come_bit_by_bit_and_stop(scan, monkeypatch):
    from braggscope.app.engine import scan_images

    monkeypatch.setattr(scan_images, "REPORT_S", 0.0)
    monkeypatch.setattr(scan_images, "SIZE", 4)
    seen = []
    run_virtual(str(scan.path), Parameters(), {}, silent_context(), seen.append, workers=1)
    counts = [partial.count for partial in seen]
    assert counts == list(range(4, 25, 4))
    assert np.isfinite(seen[0].images["sum"]).sum() == 4
    ticket = Ticket(1)
    with pytest.raises(Cancelled):
        run_virtual(str(scan.path), Parameters(), {}, Context(ticket, lambda _: ticket.cancel()))
    with pytest.raises(ValueError, match=r"left is \(3, 3\)"):
        run_virtual(str(scan.path), Parameters(), {"left": np.ones((3, 3))}, silent_context())


def test_a_run_is_cancelled_in_time(scan):
    context = Context(Ticket(1), lambda _: None)
    ended = []
    thread = threading.Timer(0.3, lambda: (context.cancelled.set(), ended.append(time.monotonic())))
    thread.start()
    with contextlib.suppress(Cancelled):
        while True:
            run_virtual(str(scan.path), Parameters(), {}, context)
    assert time.monotonic() - ended[0] < 1.0  # 0.2 s on a quiet machine

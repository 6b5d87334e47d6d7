"""Cancelling while a job still gathers what it needs: masks that a disk does not give, networks."""

import os
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from scans import small_scan

from braggscope.app.engine import localizers
from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import Cancelled, Context, Lane, Order, Ticket, silent_context
from braggscope.app.engine.movies import MovieJob, make_movie
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.scan import patterns_of
from braggscope.app.presenters.weights import WeightShelf
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters
from braggscope.resources.loader import WeightsError

SOON_S = 0.4  # 0.2 s and what a busy machine adds


def series_run(location, parameters, folder, context):
    run_series(SeriesJob(location, range(4), parameters), None, context)


def movie(location, parameters, folder, context):
    make_movie(MovieJob(location, range(4), parameters, folder / "a.gif"), None, context)


def patterns(location, parameters, folder, context):
    with patterns_of(location, parameters, context):
        raise AssertionError


def seconds_to_cancel(work, begun):
    """Seconds from a cancellation, which comes after ``begun`` is set, to the end of ``work(context)``."""
    ticket, at = Ticket(0), []

    def cancel():
        assert begun.wait(20)
        time.sleep(0.1)
        at.append(time.monotonic())
        ticket.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(Cancelled):
        work(Context(ticket, lambda _: None))
    took = time.monotonic() - at[0]
    thread.join()
    return took


@pytest.mark.parametrize("stuck", ["mask", "load_image"])
@pytest.mark.parametrize("job", [series_run, movie, patterns])
def test_a_mask_that_does_not_come_is_not_waited_for(job, stuck, tmp_path, monkeypatch):
    location, begun = str(small_scan(tmp_path / "scan.h5").path), threading.Event()
    np.save(tmp_path / "mask.npy", np.zeros((64, 64), np.uint8))
    parameters = Parameters().with_prepare(mask_file=str(tmp_path / "mask.npy"))
    plain = getattr(Reader, stuck)

    def hang(self, *arguments, **options):
        os.kill(self.pid, signal.SIGSTOP)
        begun.set()
        return plain(self, *arguments, **options)

    monkeypatch.setattr(Reader, stuck, hang)
    assert seconds_to_cancel(lambda context: job(location, parameters, tmp_path, context), begun) < SOON_S


@pytest.fixture
def shelf():
    lane = Lane("models", lambda call: call(), Order.FIFO)
    desk = SimpleNamespace(
        device_changed=SimpleNamespace(connect=lambda _: None),
        device_choice="cpu",
        lanes=SimpleNamespace(models=lane),
    )
    yield WeightShelf(desk)
    assert lane.close(5)


def test_networks_that_load_slowly_are_not_waited_for(shelf, monkeypatch):
    begun = threading.Event()

    def slow(settings, device):
        begun.set()
        time.sleep(1.5)
        return Networks()

    monkeypatch.setattr(localizers, "open_networks", slow)
    assert seconds_to_cancel(lambda context: shelf.blocking(Parameters(), context), begun) < SOON_S


def test_networks_come_with_what_is_wrong_with_them(shelf, monkeypatch):
    made = Networks()
    monkeypatch.setattr(localizers, "open_networks", lambda settings, device: made)
    assert shelf.blocking(Parameters(), silent_context()) is made

    def broken(settings, device):
        raise WeightsError("These are no weights.")

    monkeypatch.setattr(localizers, "open_networks", broken)
    with pytest.raises(WeightsError, match="no weights"):
        shelf.blocking(Parameters(), silent_context())


def test_a_window_that_closes_gives_up_its_networks(shelf):
    shelf._desk.lanes.models.close()
    with pytest.raises(Cancelled):
        shelf.blocking(Parameters(), silent_context())

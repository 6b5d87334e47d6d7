"""Lanes: order, cancellation, and never a result that nobody wants any more."""

import os
import queue
import sys
import threading
import time

import pytest

from braggscope.app.engine.jobs import (
    NICE,
    Cancelled,
    Context,
    Lane,
    Order,
    Progress,
    Ticket,
    give_way,
    silent_context,
)


class Desk:
    """Stands for the GUI thread: takes deliveries and runs them when told."""

    def __init__(self):
        self.inbox = queue.Queue()
        self.heard = []

    def __call__(self, call):
        self.inbox.put(call)

    def note(self, *what):
        return lambda *values: self.heard.append((*what, *values))

    def run(self, until=None, timeout=5.0):
        """Run deliveries until ``until()`` holds, or only those that wait."""
        end = time.monotonic() + timeout
        while until is not None and not until():
            self.inbox.get(timeout=max(0.01, end - time.monotonic()))()
        while not self.inbox.empty():
            self.inbox.get()()


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def lanes(desk):
    made = []

    def make(order):
        made.append(Lane("test", desk, order))
        return made[-1]

    yield make
    for lane in made:
        assert lane.close()


class Hold:
    """A job that runs until it is released or cancelled."""

    def __init__(self, result=None):
        self.started, self.release = threading.Event(), threading.Event()
        self.result = result

    def __call__(self, context):
        self.started.set()
        while not self.release.wait(0.005):
            context.check()
        return self.result


def test_fifo_runs_all_in_order(lanes, desk):
    lane = lanes(Order.FIFO)
    for i in range(20):
        lane.submit(lambda _, i=i: i, desk.note("done"))
    desk.run(lambda: len(desk.heard) == 20)
    assert desk.heard == [("done", i) for i in range(20)]


def test_latest_keeps_only_the_newest(lanes, desk):
    lane = lanes(Order.LATEST)
    first = Hold()
    lane.submit(first, desk.note("done", 0), on_cancelled=desk.note("gone", 0))
    assert first.started.wait(5)
    for i in range(1, 6):
        lane.submit(lambda _, i=i: i, desk.note("done"), on_cancelled=desk.note("gone", i))
    desk.run(lambda: ("done", 5) in desk.heard)
    assert [h for h in desk.heard if h[0] == "done"] == [("done", 5)]
    assert sorted(h[1] for h in desk.heard if h[0] == "gone") == [0, 1, 2, 3, 4]


def test_a_result_that_waits_for_delivery_can_become_stale(lanes, desk):
    lane = lanes(Order.LATEST)
    hold = Hold("old")
    old = lane.submit(hold, desk.note("done"), on_progress=desk.note("step"), on_cancelled=desk.note("gone"))
    hold.release.set()
    while lane.busy:
        time.sleep(0.002)
    assert desk.heard == []  # finished, but nobody was told yet
    old.cancel()
    desk.run()
    assert desk.heard == [("gone",)]


def test_progress_after_cancellation_is_not_shown(lanes, desk):
    lane = lanes(Order.FIFO)
    reported = threading.Event()

    def run(context):
        context.progress(1, 2, "half", payload="p")
        reported.set()
        while True:
            context.check()
            time.sleep(0.005)

    ticket = lane.submit(
        run, desk.note("done"), on_progress=desk.note("step"), on_cancelled=desk.note("gone")
    )
    assert reported.wait(5)
    ticket.cancel()
    desk.run(lambda: ("gone",) in desk.heard)
    assert desk.heard == [("gone",)]


def test_cancel_is_heard_within_a_fifth_of_a_second(lanes, desk):
    lane, hold = lanes(Order.FIFO), Hold()
    ticket = lane.submit(hold, desk.note("done"), on_cancelled=desk.note("gone"))
    assert hold.started.wait(5)
    start = time.monotonic()
    ticket.cancel()
    desk.run(lambda: desk.heard)
    assert time.monotonic() - start < 1.0
    assert desk.heard == [("gone",)]


def test_a_waiting_job_that_is_cancelled_never_runs(lanes, desk):
    lane, hold, ran = lanes(Order.FIFO), Hold("x"), []
    lane.submit(hold, desk.note("done"))
    ticket = lane.submit(ran.append, desk.note("never"), on_cancelled=desk.note("gone"))
    third = lane.submit(lambda _: 3, desk.note("done"))
    ticket.cancel()
    ticket.cancel()
    desk.run()
    assert desk.heard == [("gone",)], "at once, though the lane is busy"
    hold.release.set()
    desk.run(lambda: len(desk.heard) == 3)
    assert desk.heard == [("gone",), ("done", "x"), ("done", 3)]
    assert ran == []
    third.cancel()
    desk.run()
    assert len(desk.heard) == 3


@pytest.mark.parametrize("cancel", [lambda lane, ticket: ticket.cancel(), lambda lane, _: lane.cancel_all()])
def test_what_follows_a_cancelled_wait_may_use_the_lane(cancel):
    """The callback runs outside the lock: another thread can ask the lane meanwhile."""
    lane, hold, heard = Lane("direct", lambda call: call()), Hold(), []

    def gone():
        asked = threading.Thread(target=lambda: heard.append(lane.busy), daemon=True)
        asked.start()
        asked.join(2)

    lane.submit(hold, heard.append)
    assert hold.started.wait(5)
    cancel(lane, lane.submit(heard.append, heard.append, on_cancelled=gone))
    assert heard == [True]
    assert lane.close()


def test_waiting_jobs_are_cancelled_from_many_threads_while_the_lane_works(lanes, desk):
    lane, tickets = lanes(Order.FIFO), []
    for i in range(200):
        tickets.append(lane.submit(lambda _, i=i: i, desk.note("done"), on_cancelled=desk.note("gone", i)))
    threads = [threading.Thread(target=lambda k=k: [t.cancel() for t in tickets[k::4]]) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.run(lambda: len(desk.heard) == 200)
    assert sorted(number for _, number in desk.heard) == list(range(200)), "one answer each"


def test_a_job_says_that_it_has_begun(lanes, desk):
    lane, hold = lanes(Order.FIFO), Hold()
    for name, run in (("a", hold), ("b", lambda _: 2)):
        lane.submit(run, desk.note("done", name), on_begun=desk.note("begun", name))
    assert hold.started.wait(5)
    desk.run()
    assert desk.heard == [("begun", "a")]
    hold.release.set()
    desk.run(lambda: len(desk.heard) == 4)
    assert desk.heard[1:] == [("done", "a", None), ("begun", "b"), ("done", "b", 2)]


def test_a_committed_job_is_done_and_a_cancelled_one_cannot_commit(lanes, desk):
    lane, committed, release = lanes(Order.FIFO), threading.Event(), threading.Event()

    def run(context):
        context.commit()
        committed.set()
        assert release.wait(5)
        context.progress(1, 1)
        return "written"

    ticket = lane.submit(run, desk.note("done"), on_cancelled=desk.note("gone"))
    assert committed.wait(5)
    ticket.cancel()
    release.set()
    desk.run(lambda: desk.heard)
    ticket.cancel()
    assert desk.heard == [("done", "written")]
    early = Ticket(1)
    early.cancel()
    with pytest.raises(Cancelled):
        Context(early, lambda _: None).commit()


def test_an_error_is_delivered_and_the_lane_goes_on(lanes, desk):
    lane = lanes(Order.FIFO)

    def broken(_):
        raise ValueError("no")

    lane.submit(broken, desk.note("done"), on_error=desk.note("error"))
    lane.submit(broken, desk.note("done"))  # nobody listens: it is logged
    lane.submit(lambda _: 1, desk.note("done"))
    desk.run(lambda: len(desk.heard) == 2)
    assert desk.heard[0][0] == "error"
    assert str(desk.heard[0][1]) == "no"
    assert desk.heard[1] == ("done", 1)


def test_an_error_of_a_cancelled_job_is_no_error(lanes, desk):
    lane, hold = lanes(Order.FIFO), Hold()

    def run(_):
        hold.started.set()
        hold.release.wait(5)
        raise OSError("the reader was closed under us")

    ticket = lane.submit(run, desk.note("done"), on_error=desk.note("error"), on_cancelled=desk.note("gone"))
    assert hold.started.wait(5)
    ticket.cancel()
    hold.release.set()
    desk.run(lambda: desk.heard)
    assert desk.heard == [("gone",)]


def test_a_cancellation_may_submit_again(lanes):
    """With a delivery that calls at once, as a test or a script has it."""
    lane, hold, heard = Lane("direct", lambda call: call(), Order.LATEST), Hold(), []
    lane.submit(hold, heard.append)
    assert hold.started.wait(5)
    lane.submit(lambda _: 1, heard.append, on_cancelled=lambda: lane.submit(lambda _: 3, heard.append))
    lane.submit(lambda _: 2, heard.append)
    while lane.busy:
        time.sleep(0.002)
    assert heard == [3]
    assert lane.close()


def test_close_cancels_and_ends(desk):
    lane, hold = Lane("test", desk), Hold()
    lane.submit(hold, desk.note("done"), on_cancelled=desk.note("gone"))
    lane.submit(hold, desk.note("done"), on_cancelled=desk.note("gone"))
    assert hold.started.wait(5)
    start = time.monotonic()
    assert lane.close()
    assert time.monotonic() - start < 1.0
    late = lane.submit(hold, desk.note("late"), on_cancelled=desk.note("late"))
    assert late.cancelled.is_set()
    desk.run()
    assert desk.heard == [("gone",), ("gone",)]
    assert lane.close()  # twice is fine


def test_a_random_scrub_never_shows_what_was_superseded(lanes, desk):
    lane, shown, wanted = lanes(Order.LATEST), [], []
    for i in range(300):
        wanted.append(i)

        def run(context, i=i):
            time.sleep((i * 7919 % 13) * 1e-4)
            context.check()
            return i

        lane.submit(run, lambda value: shown.append((value, wanted[-1])))
        if i % 3 == 0:
            desk.run()
        time.sleep((i * 104729 % 7) * 1e-4)
    desk.run(lambda: shown and shown[-1][0] == 299)
    assert all(value == newest for value, newest in shown)


def test_remaining_time():
    assert Progress(0, 10, 5.0).remaining is None
    assert Progress(4, 10, 2.0).remaining == pytest.approx(3.0)
    assert Progress(10, 10, 2.0).remaining == 0


def test_context_reports_and_raises():
    ticket, seen = Ticket(1), []
    context = Context(ticket, seen.append)
    context.progress(1, 3, "n", payload=7)
    assert (seen[0].done, seen[0].total, seen[0].note, seen[0].payload) == (1, 3, "n", 7)
    ticket.cancel()
    with pytest.raises(Cancelled):
        context.progress(2, 3)
    assert len(seen) == 1
    silent_context().progress(1, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives every thread its own priority")
def test_a_thread_gives_way_alone():
    seen = []

    def run():
        give_way()
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [max(mine, NICE)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine

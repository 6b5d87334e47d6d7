import gc
import threading
import weakref

import pytest

from braggscope.app.shell.collector import Collector


class Ring:
    """Garbage that only the collector can free."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def collector(qapp):
    one = Collector()
    yield one
    one.close()


def test_garbage_is_not_collected_by_other_threads(collector):
    ring = weakref.ref(Ring())
    worker = threading.Thread(target=lambda: [[[]] for _ in range(200_000)])
    worker.start()
    worker.join()
    assert ring() is not None
    keep = [[] for _ in range(1000)]  # more than the youngest generation may hold
    collector.look()
    assert ring() is None
    assert len(keep) == 1000


def test_what_is_kept_is_collected_after_closing(collector):
    ring = weakref.ref(Ring())
    collector.keep_what_is_there()
    gc.collect()
    assert ring() is not None
    collector.close()
    gc.collect()
    assert ring() is None


def test_what_an_earlier_window_left_is_collected_when_the_next_begins(collector):
    ring = weakref.ref(Ring())
    collector.keep_what_is_there()
    Collector().close()
    assert ring() is None

"""What computes is loaded in parts, behind the window."""

import threading

import pytest

from braggscope.app.engine import loading
from braggscope.app.engine.jobs import Cancelled


def test_loading_can_be_stopped_between_parts_and_taken_up_again(monkeypatch):
    loaded: list[str] = []
    monkeypatch.setattr(loading, "import_module", loaded.append)

    def check() -> None:
        if len(loaded) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        loading.load(check)
    assert loaded == list(loading.NUMERICS[:2])
    loading.load()
    assert tuple(loaded[2:]) == loading.NUMERICS


def test_who_comes_while_it_is_loaded_waits(monkeypatch):
    begun, go_on, loaded = threading.Event(), threading.Event(), []

    def slowly(name: str) -> None:
        begun.set()
        assert go_on.wait(30)
        loaded.append(name)

    monkeypatch.setattr(loading, "import_module", slowly)
    first, second = (threading.Thread(target=loading.load) for _ in range(2))
    first.start()
    assert begun.wait(30)
    second.start()
    second.join(0.1)
    assert second.is_alive()
    assert not loaded
    go_on.set()
    first.join(30)
    second.join(30)
    assert loaded == [*loading.NUMERICS, *loading.NUMERICS]

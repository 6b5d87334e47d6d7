"""What was done by hand on a series is kept beside it."""

import pytest

from braggscope.app.state import handwork as kept
from braggscope.app.state.session import PeakKey, Session
from braggscope.models.regions import Region


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAGGSCOPE_HOME", str(tmp_path))
    return tmp_path


def worked(**changes: object) -> Session:
    return Session().model_copy(update=changes)


REJECTED = frozenset({PeakKey(frame=3, row=4, col=5), PeakKey(frame=3, row=9, col=5)})


def test_rejections_and_sets_come_back_for_the_same_content_only():
    sets = (Session().sets[0], Session().sets[0].model_copy(update={"key": "B", "name": "B"}))
    kept.keep_handwork(worked(rejected=REJECTED, sets=sets, active="B", frame=7), "a series, as it was")
    back = kept.load_handwork("a series, as it was")
    assert back == {"sets": sets, "active": "B", "rejected": REJECTED, "track_edits": ()}
    assert kept.load_handwork("a series, as it is now") == {}
    assert kept.told(back) == (
        "What was done on this series before is back: 2 rejected peaks, 2 parameter sets."
        " Undo takes that away."
    )


def test_nothing_is_kept_of_looking_or_of_what_was_taken_back():
    kept.keep_handwork(worked(frame=9), "a")
    assert not kept.handwork_path("a").exists()
    kept.keep_handwork(worked(rejected=REJECTED), "a")
    assert kept.handwork_path("a").exists()
    kept.keep_handwork(worked(), "a")
    assert kept.load_handwork("a") == {}
    assert not kept.handwork_path("a").exists()


def test_drawn_regions_count_unless_they_are_there_already():
    session = Session()
    prepare = session.parameters.prepare.model_copy(
        update={"masked": (Region(kind="rectangle", points=((1, 1), (5, 5))),)}
    )
    session = session.with_parameters(session.parameters.model_copy(update={"prepare": prepare}))
    kept.keep_handwork(session, "a")
    back = kept.load_handwork("a")
    assert back["sets"][0].parameters.prepare.masked == prepare.masked
    assert kept.told(back).endswith("1 drawn region. Undo takes that away.")
    assert kept.load_handwork("a", drawn=False) == {}


def test_those_left_longest_ago_go(monkeypatch):
    import os

    monkeypatch.setattr(kept, "MOST", 3)
    for k in range(5):
        kept.keep_handwork(worked(rejected=REJECTED), str(k))
        os.utime(kept.handwork_path(str(k)), (k, k))
    assert [bool(kept.load_handwork(str(k))) for k in range(5)] == [False, False, True, True, True]
    kept.keep_handwork(worked(rejected=REJECTED), "0")
    assert [bool(kept.load_handwork(str(k))) for k in range(5)] == [True, False, False, True, True]


def test_a_damaged_file_is_nothing(monkeypatch):
    said = []
    monkeypatch.setattr(kept.log, "warning", lambda text, *values: said.append(text % values))
    kept.keep_handwork(worked(rejected=REJECTED), "a")
    kept.handwork_path("a").write_text("{")
    assert kept.load_handwork("a") == {}
    assert "is lost" in said[0]

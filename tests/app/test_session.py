"""Sessions: what is saved is what is read, across versions, and damage is named."""

import json

import pytest

from braggscope.app.state.session import (
    VERSION,
    Display,
    ParameterSet,
    PeakKey,
    Session,
    SessionError,
    load_session,
    save_session,
)
from braggscope.models.parameters import Parameters
from braggscope.models.regions import Region

CIRCLE = Region(kind="ellipse", points=((1.5, 2.0), (30.0, 40.25)))


def full() -> Session:
    second = Parameters().with_detect(minval=3.5, minscore=0.1).with_prepare(masked=(CIRCLE,), binning=2)
    return Session(
        location="/data/a b/ß.h5::/entry/data",
        frame_axis=1,
        frame=213,
        sets=(
            ParameterSet(key="A", name="first", colour="#56b4e9"),
            ParameterSet(key="B", name="zweite", colour="#ffb000", parameters=second, visible=False),
        ),
        active="B",
        selected=PeakKey(frame=213, row=4, col=9),
        rejected=frozenset({PeakKey(frame=1, row=2, col=3), PeakKey(frame=2, row=2, col=3)}),
        display=Display(colormap="gray", scale="log", levels=(0.1, 1e6), rotation=270, flip_v=True),
        fps=0.5,
        play_mode="realtime",
        follow=True,
        workspace="export",
    )


@pytest.mark.parametrize("session", [Session(), full()], ids=["fresh", "full"])
def test_round_trip(tmp_path, session):
    path = tmp_path / "a.json"
    save_session(session, path)
    assert load_session(path) == session
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_the_first_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.json"
    parameters = Parameters().with_detect(minval=7.0)
    old = {"version": 0, "location": "/x.h5", "frame": 3, "parameters": parameters.model_dump(mode="json")}
    path.write_text(json.dumps(old))
    session = load_session(path)
    assert session.version == VERSION
    assert session.parameters == parameters
    assert (session.location, session.frame) == ("/x.h5", 3)
    path.write_text(json.dumps({"version": 0}))
    assert load_session(path) == Session()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"version": 99, "new": 1}', "newer Braggscope"),
        ("{", "could not be read"),
        ("", "could not be read"),
        ("[" * 100_000, "could not be read"),
        ("[1, 2]", "no Braggscope session"),
        ('{"frame": 1}', "no Braggscope session"),
        ('{"version": true}', "no Braggscope session"),
        ('{"version": -1}', "no Braggscope session"),
        ('{"version": "1"}', "no Braggscope session"),
        ('{"version": 1, "frame": "x"}', "damaged: frame"),
        ('{"version": 1, "frame": -2}', "damaged: frame"),
        ('{"version": 1, "sets": []}', "damaged: sets"),
        ('{"version": 1, "fps": 0}', "damaged: fps"),
        ('{"version": 1, "unknown": 0}', "damaged: unknown"),
        ('{"version": 0, "parameters": {"detect": {"minval": -1}}}', "damaged: sets"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(SessionError, match=words) as caught:
        load_session(path)
    assert str(caught.value).startswith("a.json")
    assert "\n" not in str(caught.value)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SessionError, match="could not be read"):
        load_session(path)
    with pytest.raises(SessionError, match="could not be read"):
        load_session(tmp_path / "none.json")


def test_preparation_is_shared_by_all_sets():
    session = full()
    changed = session.with_parameters(session.parameters.with_prepare(binning=4).with_detect(minval=9.0))
    first, second = changed.sets
    assert first.parameters.prepare == second.parameters.prepare == changed.parameters.prepare
    assert first.parameters.detect == session.sets[0].parameters.detect
    assert second.parameters.detect.minval == 9.0


def test_sets_by_key():
    session = full().with_set("A", name="other")
    assert [s.name for s in session.sets] == ["other", "zweite"]
    assert session.current.key == "B"
    assert session.model_copy(update={"active": "gone"}).current.key == "A"

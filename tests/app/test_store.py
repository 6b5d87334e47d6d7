"""The store: one state, everybody hears every change in order, undo takes back what was decided."""

from braggscope.app.state.session import Display, ParameterSet, PeakKey, Session
from braggscope.app.state.store import DEPTH, Store


def minval(store: Store, value: float, merge: str = "") -> None:
    state = store.state
    store.replace(state.with_parameters(state.parameters.with_detect(minval=value)), merge=merge)


def value(store: Store) -> float:
    return store.state.parameters.detect.minval


def test_listeners_hear_changes_and_only_changes():
    store, heard = Store(), []
    store.subscribe(lambda old, new: heard.append((old.frame, new.frame)))
    store.update(frame=3)
    store.update(frame=3)
    store.update(frame=4)
    assert heard == [(0, 3), (3, 4)]


def test_a_listener_that_changes_the_state_does_not_disturb_the_order():
    store, heard = Store(), []
    store.subscribe(lambda old, new: store.update(fps=5.0) if new.frame == 1 else None)
    store.subscribe(lambda old, new: heard.append((old.frame, old.fps, new.frame, new.fps)))
    store.update(frame=1)
    assert heard == [(0, 12.0, 1, 12.0), (1, 12.0, 1, 5.0)]
    assert store.state.fps == 5.0


def test_a_listener_that_fails_does_not_silence_the_store():
    store, heard = Store(), []

    def fail(old, new):
        if new.frame == 1:
            raise RuntimeError("no")

    store.subscribe(fail)
    store.subscribe(lambda old, new: heard.append(new.frame))
    try:
        store.update(frame=1)
    except RuntimeError:
        heard.append("failed")
    store.update(frame=2)
    assert heard == ["failed", 2]


def test_undo_and_redo_of_decisions_only():
    store = Store()
    minval(store, 1.0)
    store.update(frame=7, display=Display(colormap="gray"))
    store.update(rejected=frozenset({PeakKey(frame=0, row=1, col=1)}))
    assert store.can_undo
    store.undo()
    assert store.state.rejected == frozenset()
    assert value(store) == 1.0
    store.undo()
    assert value(store) == 0.0
    assert (store.state.frame, store.state.display.colormap) == (7, "gray")
    assert not store.can_undo
    store.undo()
    store.redo()
    store.redo()
    assert value(store) == 1.0
    assert len(store.state.rejected) == 1
    assert not store.can_redo
    store.redo()


def test_a_new_decision_forgets_what_was_undone():
    store = Store()
    minval(store, 1.0)
    store.undo()
    minval(store, 2.0)
    assert not store.can_redo


def test_one_gesture_is_one_step():
    store = Store()
    for v in (1.0, 2.0, 3.0):
        minval(store, v, merge="minval")
    store.end_merge()
    for v in (4.0, 5.0):
        minval(store, v, merge="minval")
    store.undo()
    assert value(store) == 3.0
    store.undo()
    assert value(store) == 0.0
    minval(store, 8.0, merge="minval")
    store.undo()
    assert value(store) == 0.0


def test_reset_begins_a_new_history():
    store, heard = Store(), []
    minval(store, 1.0, merge="minval")
    store.subscribe(lambda old, new: heard.append(new.frame))
    store.reset(Session(frame=9))
    assert heard == [9]
    assert not store.can_undo
    minval(store, 2.0, merge="minval")  # the same gesture's name, but of the new session
    assert store.can_undo
    store.undo()
    assert value(store) == 0.0


def test_history_is_bounded():
    store = Store()
    for i in range(DEPTH + 50):
        minval(store, float(i + 1))
    steps = 0
    while store.can_undo:
        store.undo()
        steps += 1
    assert steps == DEPTH


def test_sets_are_undone_with_their_active_one():
    store = Store()
    new = ParameterSet(key="B", name="B", colour="#ffb000")
    store.update(sets=(*store.state.sets, new), active="B")
    store.undo()
    assert store.state.active == "A"
    assert len(store.state.sets) == 1

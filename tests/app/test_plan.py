"""What follows from a change of state, as a table."""

import pytest

from braggscope.app.state.plan import Request, plan
from braggscope.app.state.session import Display, ParameterSet, PeakKey, Session

BASE = Session(location="/a.h5", frame=3)
R = Request
KEY = PeakKey(frame=3, row=1, col=2)
SECOND = ParameterSet(key="B", name="B", colour="#ffb000")
EVERYTHING = frozenset(Request) - {R.PREPARE}


def parameters(**groups):
    p = BASE.parameters
    for group, changes in groups.items():
        p = getattr(p, f"with_{group}")(**changes)
    return BASE.with_parameters(p)


@pytest.mark.parametrize(
    ("new", "wanted"),
    [
        (BASE, set()),
        (BASE.model_copy(update={"location": "/b.h5"}), EVERYTHING),
        (BASE.model_copy(update={"frame_axis": 1}), EVERYTHING),
        (BASE.model_copy(update={"frame": 4}), {R.FRAME, R.SAVE}),
        (parameters(prepare={"binning": 2}), {R.PREPARE, R.SETS, R.SAVE}),
        (parameters(prepare={"binning": 2}, detect={"minval": 1.0}), {R.PREPARE, R.SETS, R.SAVE}),
        (parameters(prepare={"binning": 2}).model_copy(update={"frame": 4}), {R.PREPARE, R.SETS, R.SAVE}),
        (parameters(detect={"minval": 1.0}), {R.SELECT, R.SETS, R.SAVE}),
        (parameters(detect={"minscore": 1.0}), {R.SELECT, R.SETS, R.SAVE}),
        (parameters(detect={"minval": 1.0}, localize={"window": 15}), {R.SELECT, R.SETS, R.SAVE}),
        (parameters(localize={"window": 15}), {R.LOCALIZE, R.SETS, R.SAVE}),
        (BASE.model_copy(update={"display": Display(colormap="gray")}), {R.RENDER, R.SAVE}),
        (
            BASE.model_copy(update={"frame": 4, "display": Display(scale="log")}),
            {R.FRAME, R.RENDER, R.SAVE},
        ),
        (BASE.model_copy(update={"rejected": frozenset({KEY})}), {R.MARKS, R.PATCH, R.SETS, R.SAVE}),
        (BASE.model_copy(update={"selected": KEY}), {R.MARKS, R.PATCH, R.SAVE}),
        (BASE.model_copy(update={"sets": (*BASE.sets, SECOND)}), {R.SETS, R.SAVE}),
        (BASE.model_copy(update={"active": "B"}), {R.SETS, R.SAVE}),
        (BASE.model_copy(update={"fps": 3.0}), {R.SAVE}),
        (BASE.model_copy(update={"follow": True}), {R.SAVE}),
        (BASE.model_copy(update={"workspace": "export"}), {R.SAVE}),
    ],
)
def test_plan(new, wanted):
    assert plan(BASE, new) == frozenset(wanted)


def test_another_set_brings_its_thresholds():
    second = SECOND.model_copy(update={"parameters": BASE.parameters.with_detect(minval=5.0)})
    both = BASE.model_copy(update={"sets": (*BASE.sets, second)})
    assert R.SELECT in plan(both, both.model_copy(update={"active": "B"}))
    assert R.SELECT not in plan(BASE, both)

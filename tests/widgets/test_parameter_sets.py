import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication

from braggscope.widgets.parameter_sets import ParameterSetsPanel, SetEntry

LEFT = Qt.MouseButton.LeftButton


def record(widget, *names):
    heard = []
    for name in names:
        getattr(widget, name).connect(lambda *args, name=name: heard.append((name, *args)))
    return heard


@pytest.fixture
def sets(qtbot):
    widget = ParameterSetsPanel()
    qtbot.addWidget(widget)
    widget.resize(344, 260)
    widget.show()
    widget.set_sets(entries())
    QApplication.processEvents()
    return widget


def entries(**changes):
    first = {
        "key": "a",
        "name": "A",
        "colour": "#56b4e9",
        "summary": "minval 45 · minscore 60",
        "active": True,
    }
    return [
        SetEntry(**{**first, **changes}),
        SetEntry("b", "B", "#e69f00", "minval 20 · minscore 15", "done"),
    ]


def test_rows_show_the_sets(sets):
    assert [row.name.text() for row in sets.rows] == ["A", "B"]
    assert [row.state.text() for row in sets.rows] == ["not run", "done"]
    assert not sets.hint.isVisible()
    sets.set_sets([])
    assert sets.hint.isVisible()
    assert not sets.remove.isEnabled()


def test_buttons_ask(sets, qtbot):
    heard = record(sets, "add_requested", "remove_requested", "run_requested", "cancel_requested")
    qtbot.mouseClick(sets.add, LEFT)
    qtbot.mouseClick(sets.remove, LEFT)
    qtbot.mouseClick(sets.run, LEFT)
    sets.set_running(True)
    assert sets.run.text() == "Cancel"
    assert not sets.remove.isEnabled()
    qtbot.mouseClick(sets.run, LEFT)
    expected = [("add_requested",), ("remove_requested", "a"), ("run_requested",), ("cancel_requested",)]
    assert heard == expected


def test_a_click_activates_and_the_eye_hides(sets, qtbot):
    heard = record(sets, "activated", "visibility_changed")
    qtbot.mouseClick(sets.rows[1], LEFT, pos=sets.rows[1].summary.geometry().center())
    qtbot.mouseClick(sets.rows[0].eye, LEFT)
    assert heard == [("activated", "b"), ("visibility_changed", "a", False)]


def test_a_double_click_renames_in_place(sets, qtbot):
    heard = record(sets, "renamed")
    row = sets.rows[1]
    qtbot.mouseDClick(row, LEFT, pos=row.name.geometry().center())
    qtbot.keyClicks(row.name, "Low thresholds")
    sets.set_sets(entries(state="307 of 480", progress=0.64))  # must not disturb the typing
    assert row.name.text() == "Low thresholds"
    qtbot.keyClick(row.name, Qt.Key.Key_Return)
    assert heard == [("renamed", "b", "Low thresholds")]


def test_escape_and_an_empty_name_keep_the_old_one(sets, qtbot):
    heard = record(sets, "renamed")
    row = sets.rows[0]
    for last in (Qt.Key.Key_Escape, Qt.Key.Key_Return):
        qtbot.mouseDClick(row, LEFT, pos=row.name.geometry().center())
        qtbot.keyClicks(row.name, "   ")
        qtbot.keyClick(row.name, last)
        assert row.name.text() == "A"
    assert heard == []


def test_a_colour_is_picked_from_the_readable_ones(sets):
    heard = record(sets, "colour_changed")
    menu = sets.rows[0].colour_menu()
    menu.actions()[3].trigger()
    assert heard == [("colour_changed", "a", menu.actions()[3].text())]


def test_parameter_set_setters_never_emit(sets):
    names = (
        "add_requested",
        "remove_requested",
        "renamed",
        "colour_changed",
        "visibility_changed",
        "activated",
    )
    heard = record(sets, *names, "run_requested", "cancel_requested")
    sets.set_sets(entries(visible=False, name="Other", progress=0.5))
    sets.set_sets(entries()[:1])
    sets.set_running(True)
    sets.set_running(False)
    sets.grab()
    QApplication.processEvents()
    assert heard == []

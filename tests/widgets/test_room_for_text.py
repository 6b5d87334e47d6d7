"""Who gets the width where names, values and sentences stand side by side."""

import pytest
from PyQt6.QtTest import QTest

from braggscope.widgets.dataset_tree import DatasetTree, Entry
from braggscope.widgets.jobs_panel import Job, JobsPanel
from braggscope.widgets.key_values import KeyValues
from braggscope.widgets.source_panel import Recent, SourcePanel

LONG = "a sentence that no panel of this width can show as a whole, however little the name asks for"


@pytest.fixture
def values(qtbot):
    widget = KeyValues()
    qtbot.addWidget(widget)
    widget.show()
    return widget


def shown(values, items, width):
    values.set_items(items)
    values.resize(width, 90)
    QTest.qWait(10)
    return [(label.shown_text(), field.shown_text()) for label, field in values._rows]


def test_names_are_whole_beside_short_values(values):
    items = [("chi", "0.0375"), ("Resolution at 1/e", "12 nm")]
    metrics = values.fontMetrics()
    width = metrics.horizontalAdvance(items[1][0]) * 2
    assert shown(values, items, width) == items


def test_names_are_whole_beside_long_values(values):
    name = "Resolution at 1/e"
    width = values.fontMetrics().horizontalAdvance(name) * 2
    ((label, field),) = shown(values, [(name, LONG)], width)
    assert label == name
    assert "…" in field


def test_long_values_have_what_short_names_leave(values):
    width = values.fontMetrics().horizontalAdvance("title" + LONG) + 40
    assert shown(values, [("title", LONG)], width) == [("title", LONG)]


def test_a_long_name_leaves_room_for_its_value(values):
    ((label, field),) = shown(values, [(LONG, "9.0000 keV")], 240)
    assert "…" in label
    assert field == "9.0000 keV"


def test_a_short_name_beside_a_long_one_leaves_more_to_its_value(values):
    long_name = "the distance of the detector from the sample"
    width = values.fontMetrics().horizontalAdvance("title" + LONG) + 40
    assert shown(values, [("title", LONG), (long_name, "1 m")], width) == [
        ("title", LONG),
        (long_name, "1 m"),
    ]


def test_a_dataset_shows_its_name_where_its_own_shape_leaves_room(qtbot):
    tree = DatasetTree()
    qtbot.addWidget(tree)
    entries = (Entry("/data/data", (480, 256, 256), "uint16"), Entry("/data/incident_energy", (), "float64"))
    tree.set_entries("", entries, "/data/data")
    tree.resize(240, 200)
    tree.show()
    for entry in entries:
        index = tree.indexFromItem(tree.item_of(entry.path))
        name, shape = tree.parts(index)
        assert name.right() < shape.left()
        assert name.width() >= tree.sizeHintForIndex(index).width()
        assert shape.width() >= tree.sizeHintForIndex(index.siblingAtColumn(1)).width()


def test_recent_files_take_no_more_room_than_they_need(qtbot):
    panel = SourcePanel()
    qtbot.addWidget(panel)
    panel.set_source("/a/b.h5", (Entry("/data", (9, 9), "uint8"),), "/data")
    panel.set_recent((Recent("/a/b.h5"),))
    panel.resize(240, 240)
    panel.show()
    qtbot.waitUntil(lambda: panel.tree.height() > 3 * panel.recent.height() > 0)


def test_the_result_of_a_job_has_what_its_title_leaves(qtbot):
    panel = JobsPanel()
    qtbot.addWidget(panel)
    panel.set_jobs([Job("a", "Tracks", 2, 2, None, "done", LONG)])
    row = panel.rows["a"]
    panel.resize(row.fontMetrics().horizontalAdvance("Tracks" + LONG) + 120, 200)
    panel.show()
    qtbot.waitUntil(lambda: row.result.shown_text() == LONG)
    assert row.title.shown_text() == "Tracks"


def test_a_short_result_is_whole_beside_a_long_title(qtbot):
    panel = JobsPanel()
    qtbot.addWidget(panel)
    panel.set_jobs([Job("a", f"Opening {LONG}.h5", 2, 2, None, "done", "1,536 frames")])
    row = panel.rows["a"]
    panel.resize(360, 200)
    panel.show()
    qtbot.waitUntil(lambda: row.result.shown_text() == "1,536 frames")
    assert "…" in row.title.shown_text()

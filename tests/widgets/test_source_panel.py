from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QTreeWidgetItem

from braggscope.widgets.dataset_dialog import DatasetDialog
from braggscope.widgets.dataset_tree import DatasetTree, shape_text, short_shape_text
from braggscope.widgets.metadata_panel import MetadataPanel
from braggscope.widgets.source_panel import Entry, Recent, SourcePanel

ENTRIES = (
    Entry("/entry/data/data", (480, 256, 256), "uint16"),
    Entry("/entry/data/voltage", (480,), "float64", "This dataset has one dimension."),
    Entry("/entry/instrument/detector/pixel_mask", (256, 256), "uint32"),
    Entry("/entry/scan", (40, 60, 256, 256), "uint16"),
)
LOCATION = "/data/cathode_charge1_with_a_very_long_name_indeed.h5::/entry/data/data"


def click(qtbot, tree, item: QTreeWidgetItem) -> None:
    rect = tree.visualItemRect(item)
    place = QPoint(rect.left() + 5, rect.center().y())
    qtbot.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=place)


def shown(qtbot, widget, width=240, height=500):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    return widget


def panel(qtbot) -> SourcePanel:
    made = shown(qtbot, SourcePanel())
    made.set_source(LOCATION, ENTRIES, "/entry/data/data")
    return made


def record(signal) -> list:
    got: list = []
    signal.connect(lambda *args: got.append(args))
    return got


def test_click_on_dataset_chooses_it(qtbot):
    made = panel(qtbot)
    got = record(made.dataset_chosen)
    click(qtbot, made.tree, made.tree.item_of("/entry/scan"))
    assert got == [("/entry/scan",)]


def test_dataset_with_a_problem_is_greyed_and_cannot_be_chosen(qtbot):
    made = panel(qtbot)
    got = record(made.dataset_chosen)
    item = made.tree.item_of("/entry/data/voltage")
    click(qtbot, made.tree, item)
    assert got == []
    assert "one dimension" in item.toolTip(0)
    usable = made.tree.item_of("/entry/scan")
    assert item.foreground(0).color() != usable.foreground(0).color()


def test_return_chooses_the_dataset_under_the_cursor(qtbot):
    made = panel(qtbot)
    got = record(made.dataset_chosen)
    made.tree.setCurrentItem(made.tree.item_of("/entry/scan"))
    qtbot.keyClick(made.tree, Qt.Key.Key_Return)
    assert got == [("/entry/scan",)]


def test_single_children_share_a_line_and_current_is_bold(qtbot):
    tree = panel(qtbot).tree
    mask = tree.item_of("/entry/instrument/detector/pixel_mask")
    assert mask.text(0) == "instrument / detector / pixel_mask"
    assert (
        tree.item_of("/entry/data/data").font(0).bold()
        or tree.item_of("/entry/data/data").font(0).weight() > 400
    )
    assert tree.currentItem() is tree.item_of("/entry/data/data")


def test_shapes_are_shortened_in_a_narrow_tree(qtbot):
    tree = shown(qtbot, DatasetTree(), 600)
    tree.set_entries("", ENTRIES[:1], "")
    assert tree.item_of("/entry/data/data").text(1) == shape_text((480, 256, 256), "uint16")
    tree.resize(150, 200)
    assert "uint16" not in tree.item_of("/entry/data/data").text(1)
    assert short_shape_text((480, 256, 256), "uint16") == "480×256×256 u16"
    assert shape_text(()) == "scalar"
    assert tree.columnWidth(0) + tree.columnWidth(1) <= tree.viewport().width()


def test_recent_files_open_by_click_unless_missing(qtbot):
    made = panel(qtbot)
    got = record(made.recent_chosen)
    made.set_recent((Recent("/data/a.h5"), Recent("/data/gone.h5", exists=False)))
    last = made.recent.topLevelItem(1)
    qtbot.waitUntil(lambda: 0 < made.recent.visualItemRect(last).bottom() < made.recent.viewport().height())
    for row in (0, 1):
        click(qtbot, made.recent, made.recent.topLevelItem(row))
    assert got == [("/data/a.h5",)]
    assert "no longer there" in made.recent.topLevelItem(1).toolTip(0)


def test_buttons_and_axis(qtbot):
    made = panel(qtbot)
    opened, followed, axes = (
        record(made.open_requested),
        record(made.follow_toggled),
        record(made.axis_chosen),
    )
    made.set_axes((40, 60, 256, 256), 0)
    qtbot.mouseClick(made.open_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(made.follow, Qt.MouseButton.LeftButton)
    made.axis.setFocus()
    qtbot.keyClick(made.axis, Qt.Key.Key_Down)
    assert (opened, followed, axes) == ([()], [(True,)], [(1,)])


def test_setters_do_not_emit(qtbot):
    made = shown(qtbot, SourcePanel())
    got = [
        record(s) for s in (made.dataset_chosen, made.recent_chosen, made.follow_toggled, made.axis_chosen)
    ]
    made.set_source(LOCATION, ENTRIES, "/entry/scan")
    made.set_recent((Recent("/data/a.h5"),))
    made.set_follow(True)
    made.set_axes((40, 60, 256, 256), 1)
    assert got == [[], [], [], []]
    assert made.follow.isChecked()
    assert made.axis.currentData() == 1
    made.set_axes((480, 256, 256), 0)
    assert not made.axis.isVisible()


def test_empty_state_says_what_to_do(qtbot):
    made = panel(qtbot)
    assert not made.empty.isVisible()
    made.set_source("", (), "")
    assert made.empty.isVisible()
    assert not made.follow.isEnabled()


def test_dialog_opens_only_usable_datasets(qtbot):
    dialog = shown(qtbot, DatasetDialog(ENTRIES, current="/entry/scan"), 560, 420)
    got = record(dialog.dataset_chosen)
    dialog.tree.setCurrentItem(dialog.tree.item_of("/entry/data/voltage"))
    assert not dialog.open_button.isEnabled()
    assert dialog.hint.text() == "This dataset has one dimension."
    click(qtbot, dialog.tree, dialog.tree.item_of("/entry/scan"))
    assert dialog.axis_box.isVisible()
    dialog.axis_box.setCurrentIndex(1)
    qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    assert got == [("/entry/scan", 1)]
    assert dialog.dataset() == "/entry/scan"


def test_metadata_is_selectable_shortened_and_updated_in_place(qtbot):
    made = shown(qtbot, MetadataPanel(), 200, 200)
    assert made.empty.isVisible()
    made.set_items([("Energy", "9.00 keV"), ("Detector", "A detector with a name that is far too long")])
    first, second = made.values.field(0), made.values.field(1)
    assert "…" in second.shown_text()
    assert second.toolTip() == second.text()
    assert first.toolTip() == ""
    qtbot.mouseDClick(first, Qt.MouseButton.LeftButton, pos=QPoint(first.width() - 8, first.height() // 2))
    assert first.selectedText()
    made.set_items([("Energy", "9.10 keV")])
    assert made.values.field(0) is first
    assert made.values.items() == [("Energy", "9.10 keV")]
    assert made.horizontalScrollBar().maximum() == 0

from braggscope.widgets.spec_dialog import SpecDialog

LONG = "a2scan delta 30.12345 31.12345 gamma 12.00001 13.00001 201 10 and more than fits into a line"
SCANS = [("1", "ascan eta 10 20 40 1"), ("3.1", LONG), ("3.2", "dscan eta -0.35 0.35 128 2")]


def dialog(qtbot, **changes):
    shown = SpecDialog(SCANS, **changes)
    qtbot.addWidget(shown)
    shown.show()
    return shown


def test_a_long_command_is_cut_and_told_whole(qtbot):
    shown = dialog(qtbot, current="3.1")
    assert shown.scans.currentRow() == 1
    assert not shown.scans.horizontalScrollBar().isVisible()
    assert shown.scans.item(1).toolTip() == LONG


def test_the_chosen_scan_and_the_motors_are_told(qtbot):
    shown = dialog(qtbot, names="axis=y")
    assert shown.scans.currentRow() == 2  # the last one, where none is to begin with
    told = []
    shown.scan_chosen.connect(lambda *what: told.append(what))
    shown.scans.setCurrentRow(0)
    assert not told
    shown.names.setText("energy=mono")
    shown.take.click()
    assert told == [("1", "energy=mono")]
    assert not shown.isVisible()


def test_leaving_it_tells_nothing(qtbot):
    shown = dialog(qtbot)
    shown.scan_chosen.connect(lambda *_: told.append(1))
    told = []
    shown.reject()
    assert not told

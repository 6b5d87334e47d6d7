"""The docks of every workspace come back as they were left, whatever the settings file holds."""

import pytest
from PyQt6.QtWidgets import QLabel, QMainWindow

from braggscope.app.shell.docks import DOCKS, WORKSPACES
from braggscope.app.shell.layouts import Layouts

FIRST, SECOND = list(WORKSPACES)[:2]


@pytest.fixture
def window(qtbot):
    made = QMainWindow()
    qtbot.addWidget(made)
    made.resize(1200, 800)
    return made


@pytest.fixture
def layouts(window):
    return Layouts(window, {key: QLabel(key) for key in DOCKS}, FIRST)


def test_what_was_left_comes_back(window, layouts):
    window.show()
    shown = next(toggle for toggle in layouts.toggles() if toggle.isChecked())
    shown.trigger()
    texts = layouts.texts()
    layouts.reset()
    assert shown.isChecked()
    layouts.restore(texts)
    assert not shown.isChecked()


@pytest.mark.parametrize("damaged", ["AAA", "é", "", None, 7, [1]])
def test_what_cannot_be_read_is_ignored(layouts, damaged):
    layouts.restore({FIRST: damaged, "no such workspace": "AAAA"})
    assert set(layouts.texts()) == {FIRST}

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget

from braggscope.widgets import fuzzy
from braggscope.widgets.command_palette import Command, CommandPalette
from braggscope.widgets.help_overlay import HelpOverlay

COMMANDS = (
    Command("open", "Open file…", "Ctrl+O", "File"),
    Command("save", "Save session", "Ctrl+S", "File"),
    Command("undo", "Undo", "Ctrl+Z", "Edit", enabled=False),
    Command("export", "Export peak table…", "Ctrl+E", "File"),
    Command("demo", "Open demo series", "", "File"),
    Command("play", "Play or pause", "Space", "Frames"),
)


@pytest.fixture
def window(qtbot) -> QWidget:
    made = QWidget()
    made.edit = QLineEdit(made)
    QVBoxLayout(made).addWidget(made.edit)
    qtbot.addWidget(made)
    made.resize(900, 600)
    with qtbot.waitExposed(made):
        made.show()
    made.activateWindow()
    made.edit.setFocus()
    return made


@pytest.fixture
def palette(window) -> CommandPalette:
    made = CommandPalette(window)
    made.got = []
    made.chosen.connect(made.got.append)
    made.popup(COMMANDS)
    return made


def test_match_needs_the_letters_in_order():
    assert fuzzy.match("sv", "Save") == (fuzzy.match("sv", "Save")[0], (0, 2))
    assert fuzzy.match("vs", "Save") is None
    assert fuzzy.match("", "Save") == (0, ())


def test_match_prefers_words_and_runs():
    assert fuzzy.match("se", "Save session")[1] == (5, 6)
    assert fuzzy.match("SS", "save as session")[1] == (0, 8)
    ranked = fuzzy.rank("pe", ["Open demo", "Play or pause", "Peaks", "Export peak table"], str)
    assert ranked[0][0] == "Peaks"


def test_best_alignment_equals_brute_force():
    from itertools import combinations

    text, query = "abcab cab-bca ab", "abca"
    every = [p for p in combinations(range(len(text)), len(query)) if "".join(text[i] for i in p) == query]
    assert every

    def score(places):
        total, last = 0, -1
        for place in places:
            total += fuzzy._WORD if place == 0 or not text[place - 1].isalnum() else 0
            total += fuzzy._step(last, place)
            last = place
        return total

    assert fuzzy.match(query, text)[0] == max(map(score, every))


def test_typing_and_return_choose(qtbot, window, palette):
    assert palette.isVisible()
    assert palette.geometry() == window.rect()
    qtbot.keyClicks(palette.input, "expo")
    assert palette.shown()[0].key == "export"
    qtbot.keyClick(palette.input, Qt.Key.Key_Return)
    assert palette.got == ["export"]
    assert not palette.isVisible()


def test_arrows_skip_disabled_commands(qtbot, palette):
    for _ in range(2):
        qtbot.keyClick(palette.input, Qt.Key.Key_Down)
    assert palette.list.currentIndex().row() == 3  # over "Undo", which is disabled
    qtbot.keyClick(palette.input, Qt.Key.Key_Up)
    assert palette.list.currentIndex().row() == 1
    qtbot.keyClick(palette.input, Qt.Key.Key_Up)
    qtbot.keyClick(palette.input, Qt.Key.Key_Up)
    assert palette.list.currentIndex().row() == 0
    qtbot.keyClick(palette.input, Qt.Key.Key_Return)
    assert palette.got == ["open"]


def test_page_keys_stay_in_the_list(qtbot, palette):
    qtbot.keyClick(palette.input, Qt.Key.Key_PageDown)
    assert palette.list.currentIndex().row() == len(COMMANDS) - 1


def test_click_chooses(qtbot, palette):
    rect = palette.list.visualRect(palette.list.model().index(4, 0))
    qtbot.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=rect.center())
    assert palette.got == ["demo"]


def test_disabled_command_cannot_be_chosen(qtbot, palette):
    qtbot.keyClicks(palette.input, "undo")
    qtbot.keyClick(palette.input, Qt.Key.Key_Return)
    assert palette.got == []


def test_escape_and_click_beside_close_and_give_the_focus_back(qtbot, window, palette):
    qtbot.keyClick(palette.input, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    assert window.focusWidget() is window.edit
    palette.popup(COMMANDS)
    qtbot.mouseClick(palette, Qt.MouseButton.LeftButton, pos=QPoint(4, 590))
    assert not palette.isVisible()
    assert palette.got == []


def test_the_focus_is_not_given_back_to_what_is_gone(qtbot, window, palette):
    sip.delete(window.edit)
    qtbot.keyClick(palette, Qt.Key.Key_Escape)
    assert not palette.isVisible()


def test_nothing_found_is_said(qtbot, palette):
    qtbot.keyClicks(palette.input, "zzq")
    assert palette.shown() == []
    assert palette.empty.isVisible()
    qtbot.keyClick(palette.input, Qt.Key.Key_Return)
    assert palette.got == []


def test_palette_follows_the_window(palette, window):
    window.resize(700, 500)
    assert palette.size() == window.size()
    assert palette.rect().contains(palette.card.geometry())


@pytest.mark.parametrize("key", [Qt.Key.Key_Escape, Qt.Key.Key_Question])
def test_help_shows_all_keys_and_closes(qtbot, window, key):
    sheet = HelpOverlay(window)
    sheet.popup(COMMANDS)
    texts = {label.text() for label in sheet.findChildren(QLabel)}
    assert {"Open file…", "Ctrl+O", "Play or pause", "Space", "File", "Frames"} <= texts
    assert "Open demo series" not in texts  # it has no key
    assert sheet.rect().contains(sheet.card.geometry())
    qtbot.keyClick(sheet, key)
    assert not sheet.isVisible()


def test_help_rearranges_in_a_small_window(window):
    sheet = HelpOverlay(window)
    sheet.popup(COMMANDS)
    window.resize(360, 300)
    assert sheet._columns == 1
    assert sheet.rect().contains(sheet.card.geometry())

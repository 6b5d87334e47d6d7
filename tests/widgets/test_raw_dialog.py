"""What is asked of files without a header: proposals that fit, and sentences where nothing does."""

import pytest
from strain_hands import heard, shown

from braggscope.widgets import theme
from braggscope.widgets.raw_dialog import RawDialog, ScanShapeDialog, likely, pairs_of


@pytest.mark.parametrize(
    ("size", "expected"),
    [(64 * 256 * 256 * 2, (256, "uint16")), (9 * 128 * 128 * 2, (128, "uint16")),
     (25 * 64 * 64, (64, "uint8")), (12345, (256, "uint16"))],
)  # fmt: skip
def test_the_likeliest_layout_is_proposed(size, expected):
    assert likely(size) == expected


def test_rows_and_columns_are_proposed_from_the_square_on():
    assert pairs_of(16)[0] == (4, 4)
    assert pairs_of(12) == [(3, 4), (4, 3), (2, 6), (6, 2)]
    assert pairs_of(7) == [(1, 7)]
    assert pairs_of(1) == []
    assert all(a * b == 3600 for a, b in pairs_of(3600))


def test_what_is_left_over_is_said(qtbot):
    dialog = shown(qtbot, RawDialog("/data/scan.raw", 9 * 64 * 64 * 2 + 5), 440, 300)
    chosen = heard(dialog.chosen)
    dialog.pattern.setEditText("64 x 64")
    assert dialog.verdict.text() == "9 patterns; 5 bytes at the end belong to no pattern."
    assert dialog.scan.currentText() == "3 × 3"
    dialog.offset.setText("five")
    assert "whole numbers" in dialog.verdict.text()
    dialog.offset.setText("5")
    dialog.scan.setEditText("2 x 4")
    assert dialog.verdict.text() == "8 patterns; 1 more are left out."
    dialog.take()
    assert chosen == [((2, 4, 64, 64), "uint16", 5, 0)]


def test_a_gap_need_not_follow_the_last_pattern(qtbot):
    dialog = shown(qtbot, RawDialog("/data/scan.raw", 4 * 64 * 64 * 2 + 3 * 1024), 440, 300)
    dialog.pattern.setEditText("64 x 64")
    dialog.gap.setText("1024")
    dialog.scan.setEditText("")
    chosen = heard(dialog.chosen)
    assert dialog.verdict.text() == "4 patterns."
    dialog.take()
    assert chosen == [((4, 64, 64), "uint16", 0, 1024)]


def test_both_themes_paint_the_questions(qapp, qtbot):
    dialogs = [RawDialog("/data/scan.raw", 10**6), ScanShapeDialog("scan.mib", 24)]
    try:
        for colours in (theme.LIGHT, theme.DARK):
            theme.apply(qapp, colours, "")
            assert not any(shown(qtbot, d, 440, 300).grab().isNull() for d in dialogs)
    finally:
        theme.apply(qapp, theme.DARK, "")

"""What a file says is shown as it is written, never as HTML."""

import pytest
from PyQt6.QtGui import QTextDocument

from braggscope.widgets.dataset_tree import DatasetTree, Entry
from braggscope.widgets.elided import ElidedField, ElidedLabel
from braggscope.widgets.spec_dialog import SpecDialog
from braggscope.widgets.tips import as_written

EVIL = 'ascan th 0 1 <img src="file:///etc/passwd"> & more'


def read(tip):
    """What a tooltip shows; an image is one odd character."""
    document = QTextDocument()
    document.setHtml(tip)
    return document.toPlainText()


@pytest.mark.parametrize("text", [EVIL, "R&D/a.h5", "a &lt; b\nb > c", "<b>x</b>"])
def test_a_tip_shows_what_is_written(text):
    assert as_written(text).startswith("<p")  # so that Qt takes the escaped text for HTML
    assert read(as_written(text)) == text


def test_a_tip_without_signs_of_html_is_left_alone():
    assert as_written("/data/a.h5\n4 × 8") == "/data/a.h5\n4 × 8"


def test_tips_with_text_of_files(qtbot):
    dialog, tree = SpecDialog([("1", EVIL)]), DatasetTree()
    label, field = ElidedLabel(EVIL), ElidedField(EVIL)
    for widget in (dialog, tree, label, field):
        qtbot.addWidget(widget)
    tree.set_entries("", (Entry("/<img src=a>/<b>d", (4, 8, 8), "uint16", "Bad <img src=b>."),), "")
    assert read(dialog.scans.item(0).toolTip()) == EVIL
    assert read(tree._leaves()[0].toolTip(0)) == "/<img src=a>/<b>d\n4 × 8 × 8  uint16\nBad <img src=b>."
    for widget in (label, field):
        widget.resize(40, 20)
        widget._tip()
        assert read(widget.toolTip()) == EVIL

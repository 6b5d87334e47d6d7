import pytest
from PyQt6.QtCore import QEvent, QPoint, Qt
from PyQt6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QFrame,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QSlider,
    QSpinBox,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets import dressing, theme


class Counting(QPushButton):
    """Counts how often Qt dresses it anew, which lays everything out again."""

    changes = 0

    def changeEvent(self, event):
        self.changes += event.type() == QEvent.Type.StyleChange
        super().changeEvent(event)


class Pages(QStackedWidget):
    """Two pages of everything that the sheet speaks of; the first is seen."""

    def __init__(self):
        super().__init__()
        for _ in range(2):
            self.addWidget(self.page())
        self.resize(500, 400)

    def page(self):
        page = QFrame()
        page.setProperty("role", "card")
        table = QTableWidget(2, 2)
        table.setItem(0, 0, QTableWidgetItem("1.5"))
        label, own = QLabel("good"), QLabel("own")
        label.setProperty("role", "good")
        own.setStyleSheet("padding: 3px; font-weight: 600")
        checked, disabled, bar = QCheckBox("checked"), QLineEdit("disabled"), QProgressBar()
        checked.setChecked(True)
        disabled.setEnabled(False)
        bar.setValue(40)
        nested = QTabWidget()
        for name in ("one", "two"):
            nested.addTab(QLabel(name), name)
        column = QVBoxLayout(page)
        for widget in (
            Counting("button"), QComboBox(), QSpinBox(), QSlider(), table, label, own, checked, disabled, bar,
            nested,
        ):  # fmt: skip
            column.addWidget(widget)
        for widget in page.findChildren(QWidget):
            widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return page


def shown(qtbot, index=0):
    pages = Pages()
    qtbot.addWidget(pages)
    pages.show()
    for k in (1, 0, index):  # every page is dressed once
        pages.setCurrentIndex(k)
        QApplication.processEvents()
    return pages


@pytest.mark.parametrize("which", [theme.DARK, theme.LIGHT], ids=lambda t: t.name)
def test_seen_and_hidden_widgets_look_as_if_they_were_born_in_the_theme(which, put_on, qtbot):
    put_on(theme.LIGHT if which is theme.DARK else theme.DARK)
    pages = shown(qtbot)
    put_on(which)
    for k in range(2):
        pages.setCurrentIndex(k)
        QApplication.processEvents()
        assert pages.grab().toImage() == shown(qtbot, k).grab().toImage()


def test_a_menu_opened_after_the_change_has_its_colours(put_on, qtbot):
    menu = QMenu()
    qtbot.addWidget(menu)
    menu.addAction("An action")

    def picture():
        menu.popup(QPoint(10, 10))
        image = menu.grab().toImage()
        menu.close()
        return image

    put_on(theme.LIGHT)
    light = picture()
    put_on(theme.DARK)
    assert picture() != light
    put_on(theme.LIGHT)
    assert picture() == light


def test_hidden_widgets_are_dressed_when_they_are_shown_and_only_once(put_on, qtbot, monkeypatch):
    put_on(theme.DARK)
    pages = shown(qtbot)
    dressed = []

    def count(widgets):
        dressed.extend(widgets := tuple(widgets))
        dress(widgets)

    dress = dressing._dress
    monkeypatch.setattr(dressing, "_dress", count)
    for which in (theme.LIGHT, theme.DARK, theme.LIGHT):
        put_on(which)
    seen, hidden = (pages.widget(k).findChild(Counting) for k in range(2))
    assert (dressed.count(seen), dressed.count(hidden)) == (3, 0)
    for k in (1, 0, 1):
        pages.setCurrentIndex(k)
    assert (dressed.count(seen), dressed.count(hidden)) == (3, 1)


def test_nothing_is_laid_out_anew_by_other_colours(put_on, qtbot):
    put_on(theme.DARK)
    pages = shown(qtbot)
    buttons = pages.findChildren(Counting)
    before = [button.changes for button in buttons]
    put_on(theme.LIGHT)
    pages.setCurrentIndex(1)
    assert [button.changes for button in buttons] == before
    assert not any(button.testAttribute(Qt.WidgetAttribute.WA_SetStyle) for button in buttons)
    assert all(button.testAttribute(Qt.WidgetAttribute.WA_WState_Polished) for button in buttons)


def test_the_same_theme_again_is_nothing(put_on, qtbot, monkeypatch):
    put_on(theme.DARK)
    monkeypatch.setattr(theme, "recolour", lambda *_: pytest.fail("dressed anew"))
    put_on(theme.DARK)

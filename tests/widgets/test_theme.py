import gc
import re
from dataclasses import fields

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QObject, QPoint, QPointF, QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QWheelEvent
from PyQt6.QtWidgets import QApplication, QWidget

from braggscope.resources.files import ROOT, style_sheet
from braggscope.widgets import icons, plotting, theme
from braggscope.widgets.bench_controls import BenchControls

THEMES = [theme.DARK, theme.LIGHT]


def luminance(colour):
    def linear(v):
        return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4

    r, g, b, _ = QColor(colour).getRgbF()
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("which", THEMES, ids=lambda t: t.name)
def test_text_can_be_read(which):
    for ground in (which.window, which.panel, which.raised):
        assert contrast(which.text, ground) >= 7
        assert contrast(which.muted, ground) >= 4.5
    for role in ("warning", "error", "good", "fit", "braggnn", "net"):
        assert contrast(getattr(which, role), which.panel) >= 4
    assert contrast(which.on_accent, which.accent) >= 4.5
    assert contrast(which.text, which.progress) >= 4.5


def test_every_token_of_the_sheet_exists():
    used = set(re.findall(r"@(\w+)", re.sub(r"/\*.*?\*/", "", style_sheet(), flags=re.S)))
    assert used <= {field.name for field in fields(theme.Theme)}


@pytest.mark.parametrize("which", THEMES, ids=lambda t: t.name)
def test_every_picture_of_the_sheet_exists(which, qapp):
    paths = re.findall(r"url\((.*?)\)", style_sheet().replace("@name", which.name))
    assert paths
    for path in paths:
        assert path.startswith(ROOT.as_posix())
        assert not QIcon(path).pixmap(16).isNull()


def test_the_sheet_is_understood(put_on, qtbot):
    put_on(theme.LIGHT)  # Qt complains about what it cannot parse, and pytest-qt would show it
    assert "@" not in QApplication.instance().styleSheet()
    with qtbot.captureExceptions() as caught:
        put_on(theme.DARK)
    assert not caught


@pytest.mark.parametrize("name", icons.GLYPHS)
def test_every_icon_paints_something(qapp, name):
    image = icons.icon(name).pixmap(QSize(24, 24)).toImage()
    assert any(image.pixelColor(x, y).alpha() > 128 for x in range(24) for y in range(24))


def test_an_unknown_icon_is_refused(qapp):
    with pytest.raises(KeyError, match="unicorn"):
        icons.icon("unicorn")


def test_an_icon_follows_the_theme(put_on):
    play = icons.icon("play")
    seen = []
    for which in THEMES:
        put_on(which)
        image = play.pixmap(QSize(32, 32)).toImage()
        seen.append(image.pixelColor(15, 16).name())
    assert seen == [theme.DARK.text, theme.LIGHT.text]


def test_a_disabled_icon_is_seen_on_a_filled_button(put_on):
    for which in THEMES:
        put_on(which)
        image = icons.icon("play", "on_accent").pixmap(QSize(32, 32), QIcon.Mode.Disabled).toImage()
        assert image.pixelColor(15, 16).name() == which.muted != which.line


class Listener(QObject):
    def __init__(self):
        super().__init__()
        self.heard = []
        theme.on_change(self.change)

    def change(self, which):
        self.heard.append(which.name)


def test_listeners_are_told_until_they_are_gone(put_on):
    listener = Listener()
    put_on(theme.LIGHT)
    assert listener.heard[-1] == "light"
    before = len(listener.heard)
    theme.forget(listener.change)
    put_on(theme.DARK)
    assert len(listener.heard) == before


def test_only_what_qt_can_delete_may_listen_by_a_method():
    class Painter:
        def paint(self, which):
            raise AssertionError

    with pytest.raises(TypeError, match="Painter"):
        theme.on_change(Painter().paint)


def test_dead_widgets_are_no_listeners(put_on):
    deleted, collected = Listener(), Listener()
    heard = deleted.heard
    before = list(heard)
    sip.delete(deleted)
    del collected
    gc.collect()
    put_on(theme.LIGHT)
    assert heard == before


def test_plots_follow_the_theme_and_ignore_the_wheel(put_on, qtbot):
    plot = plotting.make_plot("frame", "error", y_units="px")
    qtbot.addWidget(plot)
    plot.resize(300, 200)
    plot.plot([1.0, 2.0, 3.0])
    plot.show()
    put_on(theme.LIGHT)
    assert plot.backgroundBrush().color().name() == theme.LIGHT.panel
    assert plot.getAxis("left").textPen().color().name() == theme.LIGHT.muted
    assert plot.getAxis("left").labelText == "error / px"
    before = plot.getPlotItem().viewRange()
    event = QWheelEvent(
        QPointF(150, 100), QPointF(150, 100), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(plot.viewport(), event)
    assert plot.getPlotItem().viewRange() == before


def test_nothing_of_a_window_with_plots_stays_when_it_is_destroyed(qapp):
    before = len(QApplication.allWidgets())
    window = QWidget()
    plotting.make_plot(parent=window)
    BenchControls(window)
    window.show()
    sip.delete(window)
    assert len(QApplication.allWidgets()) == before


def test_listeners_go_with_their_widgets(qapp):
    class Painted(QWidget):
        def recolour(self, _: theme.Theme) -> None:
            """Nothing to do."""

    before = len(theme._listeners)
    for _ in range(3):
        widget = Painted()
        theme.on_change(widget.recolour)
        assert len(theme._listeners) == before + 1
        del widget
    assert len(theme._listeners) == before


def test_a_recolour_hook_hears_of_every_change(put_on, qtbot):
    plot = plotting.make_plot()
    qtbot.addWidget(plot)
    heard = []
    plot.recoloured(lambda which: heard.append(which.name))
    put_on(theme.LIGHT)
    assert heard[-1] == "light"
    assert len(heard) == 2


def test_an_icon_without_room_is_nothing(qapp):
    from PyQt6.QtCore import qInstallMessageHandler

    said = []
    before = qInstallMessageHandler(lambda kind, context, text: said.append(text))
    try:
        engine = icons._ThemedEngine("open", "text")
        assert engine.pixmap(QSize(0, 0), QIcon.Mode.Normal, QIcon.State.Off).isNull()
    finally:
        qInstallMessageHandler(before)
    assert said == []

import math
from dataclasses import replace

import numpy as np
import pytest
from PyQt6 import sip
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QScrollBar

from braggscope.models.results import Status
from braggscope.widgets import theme
from braggscope.widgets.method_grid import concise
from braggscope.widgets.patch_panels import to_image
from braggscope.widgets.patch_view import REASONS, MethodRow, PatchContent, PatchView, panels_of

LEFT = Qt.MouseButton.LeftButton
NAN = math.nan


def content(side=11, status=Status.OK, masked=False):
    y, x = np.mgrid[:side, :side].astype(float)
    model = 12 + 400 * np.exp(-((x - 5.2) ** 2 + (y - 4.7) ** 2) / 5)
    data = np.random.default_rng(1).poisson(model).astype(np.uint16)
    valid = np.ones((side, side), bool)
    if masked:
        valid[:, 7:] = False
        data[:, 7:] = 65535
    rows = (
        MethodRow("fit", "Gaussian", 143.214, 88.702, 0.008, 0.009, "1.42 × 2.03", 1.04, 0.02),
        MethodRow("braggnn", "BraggNN", 143.36, 88.61, ms=0.04),
        MethodRow("distance", "distance", 0.146, -0.092, size_text="0.173 px"),
    )
    network = (data - data.min()) / np.ptp(data)
    return PatchContent(3, 213, (138.0, 84.0), data, valid, network, model, rows, int(status))


@pytest.fixture
def view(qtbot):
    widget = PatchView()
    qtbot.addWidget(widget)
    widget.resize(344, 320)
    widget.show()
    return widget


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (143.214, 0.008, "143.214(8)"), (9.3137, 0.0123, "9.314(12)"), (5.0, 0.3, "5.0(3)"),
        (5.0, 0.096, "5.00(10)"), (5.0, 0.019, "5.00(2)"),
        (124.0, 31.0, "120(30)"), (124.4, 2.2, "124(2)"),
        (7.0, NAN, "7.000"), (7.0, 0.0, "7.000"), (NAN, 0.1, "–"),
        (12345.678, 0.0004, "12345.6780(4)"),
    ],
)  # fmt: skip
def test_concise_notation(value, error, text):
    assert concise(value, error) == text


def test_data_and_model_share_a_scale_and_the_residual_is_symmetric():
    data, network, model, residual = panels_of(content())
    assert data.limits == model.limits == (content().data.min(), content().data.max())
    assert network.limits == (0.0, 1.0)
    assert residual.limits[0] == -residual.limits[1]
    assert residual.diverging
    assert np.allclose(residual.image, content().data - content().model)


def test_bad_pixels_set_no_scale_and_are_left_clear():
    data, _, _, residual = panels_of(content(masked=True))
    assert data.limits[1] < 65535
    assert np.isnan(residual.image[:, 7:]).all()
    image = to_image(data)
    assert image.pixelColor(9, 3).alpha() == 0
    assert image.pixelColor(3, 3).alpha() == 255


def test_the_brightest_pixel_is_where_it_should_be():
    shown = content()
    image = to_image(panels_of(shown)[0])
    lightness = [[image.pixelColor(x, y).lightness() for x in range(11)] for y in range(11)]
    assert np.argmax(lightness) == np.argmax(shown.data)


def test_marks_lie_in_patch_pixels():
    marks = {mark.kind: mark for mark in panels_of(content())[0].marks}
    assert set(marks) == {"fit", "braggnn"}
    assert marks["fit"].x == pytest.approx(5.214)
    assert marks["braggnn"].y == pytest.approx(4.61)
    assert [m.kind for m in panels_of(content())[1].marks] == ["braggnn"]
    assert [m.kind for m in panels_of(content())[2].marks] == ["fit"]


def test_the_numbers_are_written_in_the_grid(view):
    view.set_content(content())
    assert view.caption.text() == "PEAK 3 · FRAME 213"
    assert view.grid.texts() == [
        ["Gaussian", "143.214(8)", "88.702(9)", "1.42 × 2.03", "1.04", "0.02"],
        ["BraggNN", "143.360", "88.610", "", "", "0.04"],
        ["distance", "+0.146", "−0.092", "0.173 px", "", ""],
    ]
    assert not view.sentence.isVisible()


def test_more_and_fewer_rows(view):
    five = content().rows + (
        MethodRow("net", "Localiser", 143.22, 88.7, 0.01, 0.01),
        MethodRow("fit", "x", 1, 2),
    )
    view.set_content(replace(content(), rows=five))
    assert len(view.grid.texts()) == 5
    view.set_content(replace(content(), rows=five[:1]))
    assert [line[0] for line in view.grid.texts()] == ["Gaussian"]


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK])
def test_a_peak_without_a_fit_says_why(view, status):
    view.set_content(replace(content(status=status), model=None, note="3 pixels."))
    assert view.sentence.isVisible()
    assert view.sentence.text() == f"{REASONS[status]} 3 pixels."
    assert view.reject.isChecked() == (status is Status.REJECTED)
    view.grab()


def test_nothing_selected_is_an_invitation(view):
    view.set_content(content())
    view.set_content(None)
    assert view.caption.text() == "NO PEAK SELECTED"
    assert not view.next.isEnabled()
    view.grab()


def test_all_bad_all_nan_and_flat_patches_can_be_painted(view):
    base = content()
    for data, valid in (
        (np.full((11, 11), np.nan), np.ones((11, 11), bool)),
        (np.zeros((11, 11)), np.ones((11, 11), bool)),
        (base.data, np.zeros((11, 11), bool)),
    ):
        view.set_content(replace(base, data=data, valid=valid, network_input=None))
        view.grab()


def test_buttons_ask_and_setters_never_emit(view, qtbot):
    heard = []
    view.next_requested.connect(lambda: heard.append("next"))
    view.previous_requested.connect(lambda: heard.append("previous"))
    view.reject_toggled.connect(lambda on: heard.append(on))
    view.set_content(content(status=Status.REJECTED))
    view.set_content(None)
    view.set_content(content())
    assert heard == []
    for button in (view.next, view.previous, view.reject, view.reject):
        qtbot.mouseClick(button, LEFT)
    assert heard == ["next", "previous", True, False]


def test_it_fits_a_dock_without_scroll_bars_and_grows(view, qtbot):
    view.set_content(content())
    QApplication.processEvents()
    assert view.minimumSizeHint().width() <= 344
    assert not view.findChildren(QScrollBar)
    small = view.panels.side(view.panels.width())
    view.resize(640, 500)
    qtbot.waitUntil(lambda: view.panels.side(view.panels.width()) > 1.5 * small, timeout=2000)
    assert view.panels.height() == view.panels.height_for(view.panels.width())


def test_columns_are_given_up_before_text_is_clipped(view):
    long = MethodRow("fit", "Gaussian", 65143.214, 65088.702, 0.0008, 0.0009, "11.42 × 12.03", 1234.5, 123.4)
    view.resize(344, 320)
    view.set_content(replace(content(), rows=(long,)))
    QApplication.processEvents()
    labels = [
        label for label in view.grid.findChildren(type(view.caption)) if label.isVisible() and label.text()
    ]
    assert all(label.width() >= label.sizeHint().width() for label in labels)
    assert "65143.2140(8)" in [label.text() for label in labels]


def test_colours_follow_the_theme_and_a_deleted_view_is_left_alone(view, qtbot, qapp):
    gone = PatchView()
    gone.deleteLater()
    qtbot.waitUntil(lambda: sip.isdeleted(gone), timeout=2000)
    view.set_content(replace(content(status=Status.MASKED), model=None))
    try:
        theme.apply(qapp, theme.LIGHT, "")
        assert theme.LIGHT.warning in view.sentence.styleSheet()
    finally:
        theme.apply(qapp, theme.DARK, "")
    assert theme.DARK.warning in view.sentence.styleSheet()

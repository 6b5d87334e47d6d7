import pytest
from PyQt6.QtCore import Qt

from braggscope.models.parameters import Preparation
from braggscope.models.regions import Region
from braggscope.widgets.prepare_panel import PreparePanel
from braggscope.widgets.region_panel import RegionPanel

LEFT = Qt.MouseButton.LeftButton
RECTANGLE = Region(kind="rectangle", points=((10, 20), (80, 90)))
POLYGON = Region(kind="polygon", points=((1, 2), (30, 40), (5, 60)))
RICH = Preparation(
    dtype_limits=False, saturation=60000, hot_pixels=8, threshold_low=-1, threshold_high=9e5,
    mask_file="/d/mask.tif", dark_file="/d/dark.tif", flat_file="/d/flat.tif", masked=(RECTANGLE, POLYGON),
    regions=(RECTANGLE,), binning=4, sum_frames=3, background="radial", background_window=41, centre=(1.5, 2),
)  # fmt: skip


@pytest.fixture
def panel(qtbot) -> PreparePanel:
    made = PreparePanel()
    qtbot.addWidget(made)
    made.resize(240, 760)
    for section in made.sections.values():
        section.set_open(True)
    with qtbot.waitExposed(made):
        made.show()
    return made


def record(signal) -> list:
    got: list = []
    signal.connect(lambda *args: got.append(args))
    return got


def enter(qtbot, field, text: str) -> None:
    field.setFocus()
    field.selectAll()
    qtbot.keyClick(field, Qt.Key.Key_Delete)
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def test_setters_do_not_emit_and_show_everything(panel):
    signals = (panel.preparation_changed, panel.tool_requested, panel.orientation_changed)
    got = [record(s) for s in (*signals, panel.show_background_toggled)]
    panel.set_preparation(RICH)
    panel.set_orientation(90, True, False)
    panel.set_background_shown(True)
    panel.set_tool("ellipse")
    panel.set_counts("912 px masked (1.4 %)")
    panel.set_preparation(Preparation())
    assert got == [[], [], [], []]
    assert panel.numbers["saturation"].text() == ""
    assert panel.tools.tools["ellipse"].isChecked()
    assert panel.sections["mask"].header.summary == "912 px masked (1.4 %)"


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("threshold_low", "-2", -2.0),
        ("threshold_high", "1e5", 1e5),
        ("hot_pixels", "7.5", 7.5),
        ("saturation", "60,000", 60000.0),
    ],
)
def test_typed_number_gives_a_full_new_preparation(qtbot, panel, field, text, expected):
    start = RICH.model_copy(update={field: None})
    panel.set_preparation(start)
    got = record(panel.preparation_changed)
    enter(qtbot, panel.numbers[field], text)
    assert got == [(start.model_copy(update={field: expected}),)]


def test_emptied_number_means_none(qtbot, panel):
    panel.set_preparation(RICH)
    got = record(panel.preparation_changed)
    enter(qtbot, panel.numbers["saturation"], "")
    assert got[0][0].saturation is None


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("hot_pixels", "-3", "greater than 0"),
        ("saturation", "many", "not a number"),
        ("saturation", "7,5", "not a number"),
        ("threshold_low", "1e6", "not below high"),
        ("threshold_high", "inf", "finite"),
        ("saturation", "nan", "finite"),
    ],
)
def test_invalid_entry_is_explained_and_not_emitted(qtbot, panel, field, text, words):
    panel.set_preparation(RICH)
    got = record(panel.preparation_changed)
    enter(qtbot, panel.numbers[field], text)
    assert got == []
    assert panel.error.isVisible()
    assert words in panel.error.text()
    enter(qtbot, panel.numbers["hot_pixels"], "9")
    assert not panel.error.isVisible()


def test_escape_takes_an_edit_back(qtbot, panel):
    panel.set_preparation(RICH)
    got = record(panel.preparation_changed)
    field = panel.numbers["hot_pixels"]
    field.setFocus()
    qtbot.keyClicks(field, "123")
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert (field.text(), got) == ("8", [])


def test_clicks_on_choices(qtbot, panel):
    got = record(panel.preparation_changed)
    qtbot.mouseClick(panel.binning.button(2), LEFT)
    qtbot.keyClick(panel.sum_frames, Qt.Key.Key_Up)
    panel.background.setFocus()
    qtbot.keyClick(panel.background, Qt.Key.Key_Down)
    assert [p.binning for (p,) in got] == [2, 2, 2]
    assert [p.sum_frames for (p,) in got] == [1, 2, 2]
    assert got[-1][0].background == "radial"
    assert panel.centre_x.isVisible()
    assert not panel.background_window.isVisible()


def test_centre_needs_both_numbers(qtbot, panel):
    panel.set_preparation(Preparation(background="radial"))
    got = record(panel.preparation_changed)
    enter(qtbot, panel.centre_x, "120.5")
    assert got == []
    assert "x and y" in panel.error.text()
    enter(qtbot, panel.centre_y, "99")
    assert got[-1][0].centre == (120.5, 99.0)


def test_shapes_are_deleted_one_by_one(qtbot, panel):
    panel.set_preparation(RICH)
    got = record(panel.preparation_changed)
    qtbot.mouseClick(panel.shapes.delete_button(0), LEFT)
    assert got[-1][0].masked == (POLYGON,)
    qtbot.mouseClick(panel.shapes.delete_button(1), LEFT)
    assert got[-1][0].regions == ()
    assert got[-1][0].masked == (POLYGON,)


def test_tools_name_their_target_and_can_be_put_down(qtbot, panel):
    got = record(panel.tool_requested)
    qtbot.mouseClick(panel.tools.tools["polygon"], LEFT)
    qtbot.mouseClick(panel.tools.target.button("region"), LEFT)
    qtbot.mouseClick(panel.tools.tools["polygon"], LEFT)
    assert got == [("polygon", "mask"), ("polygon", "region"), ("", "region")]


def test_files(qtbot, panel):
    panel.set_preparation(RICH)
    chosen, changed = record(panel.choose_file_requested), record(panel.preparation_changed)
    saved = record(panel.save_mask_requested)
    for name in ("mask_file", "dark_file", "flat_file"):
        qtbot.mouseClick(panel.files[name].choose, LEFT)
    qtbot.mouseClick(panel.save_mask, LEFT)
    qtbot.mouseClick(panel.files["dark_file"].clear, LEFT)
    assert chosen == [("mask_file",), ("dark_file",), ("flat_file",)]
    assert saved == [()]
    assert changed[-1][0].dark_file is None
    assert panel.files["flat_file"].file.text() == "flat.tif"


def test_orientation_and_background_view(qtbot, panel):
    panel.set_preparation(RICH)
    turned, seen = record(panel.orientation_changed), record(panel.show_background_toggled)
    qtbot.mouseClick(panel.rotation.button(90), LEFT)
    panel.flip_v.setFocus()
    qtbot.keyClick(panel.flip_v, Qt.Key.Key_Space)
    panel.show_background.setFocus()
    qtbot.keyClick(panel.show_background, Qt.Key.Key_Space)
    assert turned == [(90, False, False), (90, False, True)]
    assert seen == [(True,)]


def test_fits_a_narrow_dock_without_horizontal_scrolling(panel):
    panel.set_preparation(RICH)
    assert panel.minimumSizeHint().width() <= 240
    assert panel.page.page.minimumSizeHint().width() <= panel.page.viewport().width()


def test_sections_fold_by_click_and_key(qtbot, panel):
    section = panel.sections["calibration"]
    qtbot.mouseClick(section.header, LEFT)
    assert not section.body.isVisible()
    section.header.setFocus()
    qtbot.keyClick(section.header, Qt.Key.Key_Space)
    assert section.body.isVisible()


def test_region_panel(qtbot):
    region = RegionPanel()
    qtbot.addWidget(region)
    region.show()
    got = [record(s) for s in (region.statistics_requested, region.line_requested, region.radial_requested)]
    assert region.empty.isVisible()
    region.set_statistics([("Mean", "41.2 counts")])
    region.set_profile([0, 1, 2], [5, float("nan"), 7], "radius / px", "counts", "Radial profile")
    assert got == [[], [], []]
    assert not region.empty.isVisible()
    assert region.plot.isVisible()
    assert region.curve.getData()[0].tolist() == [0, 1, 2]
    for button in region.buttons.values():
        qtbot.mouseClick(button, LEFT)
    assert got == [[()], [()], [()]]
    region.set_profile([], [])
    assert not region.plot.isVisible()

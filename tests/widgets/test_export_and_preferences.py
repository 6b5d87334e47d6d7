import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QImage

from braggscope.widgets.export_panel import ExportPanel, MovieChoice
from braggscope.widgets.preferences import Machine, Preferences, PreferencesDialog, problems

LEFT = Qt.MouseButton.LeftButton


def record(signal) -> list:
    got: list = []
    signal.connect(lambda *args: got.append(args))
    return got


@pytest.fixture
def panel(qtbot) -> ExportPanel:
    made = ExportPanel()
    qtbot.addWidget(made)
    made.resize(1000, 800)
    with qtbot.waitExposed(made):
        made.show()
    return made


def test_setters_do_not_emit(panel):
    signals = (panel.table_requested, panel.figure_requested, panel.movie_requested, panel.copy_requested)
    got = [record(signal) for signal in (*signals, panel.preview_requested)]
    panel.set_available(100, 480, 307)
    image = QImage(40, 30, QImage.Format.Format_RGB32)
    image.fill(QColor("red"))
    panel.set_preview(image)
    assert got == [[]] * 5
    assert not panel.preview.pixmap().isNull()
    panel.set_preview(None)
    assert "once a series is open" in panel.preview.text()


def test_what_is_missing_is_said_and_disabled(panel):
    panel.set_available(0, 0, 0)
    buttons = [*panel.tables.values(), *panel.figures.values(), *panel.copies.values(), panel.movie.write]
    assert not any(button.isEnabled() for button in buttons)
    assert panel.table_note.text() == "Open a series first."
    panel.set_available(22, 480, 0)
    assert panel.table_note.text() == "22 peaks in the current frame; the series is not analysed yet."
    panel.set_available(0, 480, 0)
    assert "analyse the series" in panel.table_note.text()
    assert panel.movie.write.isEnabled()
    assert panel.figures[".png"].isEnabled()
    assert not panel.tables[".csv"].isEnabled()
    panel.set_available(5812, 480, 307)
    assert panel.table_note.text().startswith("5,812 peaks in 307 of 480 frames")
    panel.set_available(5812, 480, 480)
    assert panel.table_note.text() == "5,812 peaks in all 480 frames."


@pytest.mark.parametrize("width", [480, 640, 700, 800, 1000, 1500])
def test_no_card_is_cut(qtbot, panel, width):
    panel.set_available(10, 480, 480)
    panel.resize(width, 500)
    qtbot.wait(20)
    port = panel.page.viewport()
    for card in panel.cards:
        left = card.mapTo(port, card.rect().topLeft()).x()
        assert left >= 0
        assert left + card.width() <= port.width()
        assert card.width() >= card.minimumSizeHint().width()
        assert card.height() >= card.minimumSizeHint().height()
    assert panel.columns == {480: 1, 1000: 2}.get(width, panel.columns)


def test_tables_figures_and_copies(qtbot, panel):
    panel.set_available(10, 480, 480)
    tables, figures, copies = (
        record(panel.table_requested), record(panel.figure_requested), record(panel.copy_requested)
    )  # fmt: skip
    for button in (*panel.tables.values(), *panel.copies.values()):
        qtbot.mouseClick(button, LEFT)
    panel.figure.setFocus()
    qtbot.keyClick(panel.figure, Qt.Key.Key_Down)
    for button in panel.figures.values():
        qtbot.mouseClick(button, LEFT)
    assert tables == [(".csv",), (".parquet",), (".h5",), (".cxi",), (".flt",)]
    assert figures == [("error", ".png"), ("error", ".svg"), ("error", ".pdf")]
    assert copies == [("python",), ("command",), ("json",)]


def test_a_report_needs_an_analysed_series(qtbot, panel):
    reports = record(panel.report_requested)
    panel.set_available(3, 480, 0)
    assert not panel.report.isEnabled()
    panel.set_available(3, 480, 1)
    qtbot.mouseClick(panel.report, LEFT)
    assert len(reports) == 1


def test_figure_without_peaks(qtbot, panel):
    panel.set_available(0, 480, 0)
    panel.figure.setFocus()
    qtbot.keyClick(panel.figure, Qt.Key.Key_Down)
    assert not panel.figures[".svg"].isEnabled()
    assert "needs peaks" in panel.figure_note.text()


def test_movie_choice(qtbot, panel):
    panel.set_available(10, 480, 480)
    movies, previews = record(panel.movie_requested), record(panel.preview_requested)
    movie = panel.movie
    assert movie.estimate.text() == "480 frames, plays 20 s"
    movie.start.setFocus()
    movie.start.selectAll()
    qtbot.keyClicks(movie.start, "470")
    movie.layers["braggnn"].setFocus()
    qtbot.keyClick(movie.layers["braggnn"], Qt.Key.Key_Space)
    assert movie.estimate.text() == "10 frames, plays 0.4 s"
    assert previews
    qtbot.mouseClick(movie.write, LEFT)
    choice = movies[0][0]
    assert isinstance(choice, MovieChoice)
    assert (choice.format, choice.fps, choice.start, choice.stop, choice.step) == ("mp4", 24, 470, 480, 1)
    assert "braggnn" not in choice.layers
    assert "fit" in choice.layers


def test_movie_range_survives_updates_of_the_same_series(qtbot, panel):
    panel.set_available(10, 480, 100)
    qtbot.keyClick(panel.movie.start, Qt.Key.Key_Up)
    panel.set_available(20, 480, 200)
    assert panel.movie.choice().start == 1
    panel.set_available(20, 500, 200)
    assert (panel.movie.choice().start, panel.movie.choice().stop) == (0, 500)


def test_empty_range_cannot_be_written(qtbot, panel):
    panel.set_available(10, 5, 5)
    for _ in range(5):
        qtbot.keyClick(panel.movie.stop, Qt.Key.Key_Down)
    assert not panel.movie.write.isEnabled()
    assert "No frame" in panel.movie.estimate.text()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Preferences(threads=17), "16 cores"),
        (Preferences(memory_mb=100), "at least 256"),
        (Preferences(memory_mb=30000), "at most 25,600"),
        (Preferences(device="cuda"), "No CUDA device"),
    ],
)
def test_problems_of_preferences(value, words):
    assert words in problems(value, Machine(16, 32000, cuda=False))[0]
    assert problems(Preferences(), Machine(16, 32000, cuda=False)) == []


def dialog(qtbot, value: Preferences) -> PreferencesDialog:
    made = PreferencesDialog(value, machine=Machine(16, 32000, cuda=False))
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    return made


def test_preferences_round_trip_and_emit_on_ok(qtbot):
    value = Preferences("light", "cpu", 3, 1024, 20, False)
    made = dialog(qtbot, value)
    got = record(made.accepted_preferences)
    assert made.value() == value
    qtbot.mouseClick(made.theme.button("dark"), LEFT)
    assert got == []
    qtbot.mouseClick(made.ok, LEFT)
    assert got == [(Preferences("dark", "cpu", 3, 1024, 20, False),)]


def test_preferences_are_checked_while_typing(qtbot):
    made = dialog(qtbot, Preferences())
    got = record(made.accepted_preferences)
    made.threads.setFocus()
    made.threads.selectAll()
    qtbot.keyClicks(made.threads, "99")
    assert "16 cores" in made.problem.text()
    assert not made.ok.isEnabled()
    qtbot.keyClick(made, Qt.Key.Key_Escape)
    assert got == []


def test_defaults_are_put_back(qtbot):
    made = dialog(qtbot, Preferences("light", "cpu", 3, 1024, 20, False))
    kind = made.buttons.StandardButton.RestoreDefaults
    qtbot.mouseClick(made.buttons.button(kind), LEFT)
    assert made.value() == Preferences()

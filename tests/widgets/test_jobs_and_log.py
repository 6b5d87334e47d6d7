import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QCursor, QGuiApplication

from braggscope.widgets import notice_bar
from braggscope.widgets.jobs_panel import Job, JobsPanel, progress_text, time_text
from braggscope.widgets.log_panel import MAX_LINES, LogPanel
from braggscope.widgets.notice_bar import NoticeBar

LEFT = Qt.MouseButton.LeftButton


def record(signal) -> list:
    got: list = []
    signal.connect(lambda *args: got.append(args))
    return got


def show(qtbot, widget, width=400, height=240):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    return widget


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.42, "1.4 s"), (9.96, "10 s"), (59.4, "59 s"), (185, "3 min 05 s"), (3599.7, "1 h 00 min")],
)  # fmt: skip
def test_time_text(seconds, text):
    assert time_text(seconds) == text


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (Job("a", "A", 307, 480, 1.4), "307 / 480 · 1.4 s left"),
        (Job("a", "A", 1307, 4800), "1,307 / 4,800"),
        (Job("a", "A"), "working"),
        (Job("a", "A", 0, 480, None, "waiting"), "waiting"),
        (Job("a", "A", 210, 480, None, "cancelled"), "cancelled at 210 / 480"),
        (Job("a", "A", 1, 1, None, "done", "5 peaks"), "5 peaks"),
    ],
)
def test_progress_text(job, text):
    assert progress_text(job) == text


def test_jobs_are_updated_in_place_and_cancelled_by_click(qtbot):
    panel = show(qtbot, JobsPanel())
    got = record(panel.cancel_requested)
    assert panel.empty.isVisible()
    panel.set_jobs([Job("a", "Series", 1, 480), Job("b", "Movie", 0, 480, None, "waiting")])
    row = panel.rows["a"]
    panel.set_jobs([Job("a", "Series", 307, 480, 1.4), Job("b", "Movie", 0, 480, None, "waiting")])
    assert panel.rows["a"] is row
    assert (row.bar.value(), row.bar.maximum(), row.text.text()) == (307, 480, "307 / 480 · 1.4 s left")
    assert not row.bar.isTextVisible()
    assert got == []
    qtbot.waitUntil(lambda: panel.rows["b"].cancel.isVisible())
    qtbot.mouseClick(panel.rows["b"].cancel, LEFT)
    assert got == [("b",)]


def test_finished_jobs_become_lines_that_can_be_cleared(qtbot):
    panel = show(qtbot, JobsPanel())
    cleared = record(panel.clear_requested)
    panel.set_jobs([Job("a", "Series", 1, 2)])
    assert not panel.clear.isVisible()
    panel.set_jobs(
        [Job("a", "Series", 2, 2, None, "done", "5 peaks"), Job("b", "F", 0, 1, None, "failed", "No.")]
    )
    done, failed = panel.rows["a"], panel.rows["b"]
    assert not done.bar.isVisible()
    assert not done.cancel.isVisible()
    assert done.result.text() == "5 peaks"
    assert failed.text.text() == "No."
    assert failed.text.property("role") == "error"
    qtbot.mouseClick(panel.clear, LEFT)
    assert cleared == [()]
    panel.set_jobs([])
    assert panel.empty.isVisible()


def test_order_of_jobs_is_the_order_given(qtbot):
    panel = show(qtbot, JobsPanel())
    panel.set_jobs([Job("a", "A"), Job("b", "B"), Job("c", "C")])
    panel.set_jobs([Job("c", "C"), Job("a", "A")])
    column = panel.page.column
    assert [column.itemAt(i).widget().job.key for i in range(2)] == ["c", "a"]


def test_jobs_fit_a_narrow_dock(qtbot):
    panel = show(qtbot, JobsPanel(), 240)
    panel.set_jobs([Job("a", "A title that is much too long for this dock", 307, 480, 1.4)])
    assert panel.page.page.minimumSizeHint().width() <= panel.page.viewport().width()


def test_log_is_bounded_and_filtered(qtbot):
    panel = show(qtbot, LogPanel())
    for i in range(MAX_LINES + 50):
        panel.append("error" if i % 2 else "debug", "12:00:00", f"line {i}\nand more")
    panel.append("warning", "12:00:01", "odd")
    panel.level.setFocus()
    qtbot.keyClick(panel.level, Qt.Key.Key_Up)  # everything
    assert panel.view.blockCount() == MAX_LINES
    assert panel.view.toPlainText().endswith("odd")
    for _ in range(3):
        qtbot.keyClick(panel.level, Qt.Key.Key_Down)  # errors only
    assert "odd" not in panel.view.toPlainText()
    assert panel.view.blockCount() == 1000  # the odd ones of 51 … 2049


def test_log_copies_and_asks_for_a_report(qtbot):
    panel = show(qtbot, LogPanel())
    got = record(panel.report_requested)
    panel.append("INFO", "12:00:00", "opened")
    panel.append("debug", "12:00:00", "hidden")
    qtbot.mouseClick(panel.copy, LEFT)
    assert QGuiApplication.clipboard().text() == "12:00:00  opened"
    qtbot.mouseClick(panel.report, LEFT)
    assert got == [()]


def test_notices_queue_by_urgency(qtbot):
    bar = show(qtbot, NoticeBar(), 800, 40)
    acted, closed = record(bar.action_clicked), record(bar.closed)
    bar.show_notice("info", "hello")
    bar.show_notice("error", "broken", "Show log", "log")
    bar.show_notice("warning", "odd", key="odd")
    bar.show_notice("warning", "odder", key="odd")
    assert (acted, closed) == ([], [])
    assert bar.text.text() == "broken"
    assert bar.waiting.text() == "2 more"
    qtbot.mouseClick(bar.action, LEFT)
    assert acted == [("log",)]
    assert bar.text.text() == "odder"
    assert not bar.action.isVisible()
    qtbot.mouseClick(bar.close_button, LEFT)
    assert closed == [("odd",)]
    assert bar.text.text() == "hello"


def test_infos_fade_and_errors_stay(qtbot):
    bar = show(qtbot, NoticeBar(), 800, 40)
    assert notice_bar.FADE_MS == 6000
    bar._timer.setInterval(20)
    QCursor.setPos(bar.mapToGlobal(QPoint(20, 300)))
    bar.show_notice("info", "hello")
    qtbot.waitUntil(lambda: not bar.isVisible(), timeout=2000)
    bar.show_notice("error", "broken")
    qtbot.wait(60)
    assert bar.isVisible()
    bar.show_notice("error", "other", key="k")
    bar.remove("k")
    assert bar.waiting.text() == ""

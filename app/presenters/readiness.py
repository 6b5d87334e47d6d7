"""Loading what computes behind a window that is on screen already."""

from collections.abc import Callable

from PyQt6.QtCore import QEvent, QObject, QTimer

from braggscope.app.engine.loading import get_ready
from braggscope.app.main_window import MainWindow
from braggscope.app.presenters.desk import Desk

PATIENCE_MS = 4000  # without a word


class _FirstPicture(QObject):
    """Starts ``after`` when its parent has been painted for the first time."""

    def __init__(self, window: MainWindow, after: QTimer) -> None:
        super().__init__(window)
        self._after = after
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """See the window being painted; what lies in it follows before a timer does."""
        if event is not None and watched is not None and event.type() == QEvent.Type.Paint:
            watched.removeEventFilter(self)
            self._after.start(0)
        return False


def get_ready_behind(window: MainWindow, desk: Desk, ready: Callable[[], object]) -> None:
    """Load in the background, tell if that takes long, and call ``ready`` at the end."""
    patience, painted = (QTimer(window) for _ in range(2))  # of the window: closing it stops them

    def over() -> None:
        patience.stop()
        window.notices.remove("warmup")

    def done(_: None) -> None:
        over()
        ready()

    def failed(error: Exception) -> None:
        over()
        desk.fail(error)

    def begin() -> None:
        patience.start(PATIENCE_MS)
        desk.lanes.models.submit(lambda job: get_ready(job.check), done, on_error=failed)

    def tell() -> None:
        text = "What computes is being loaded; a first start compiles it, which takes about a minute."
        desk.say("info", text, key="warmup")

    for timer, action in ((patience, tell), (painted, begin)):
        timer.setSingleShot(True)
        timer.timeout.connect(action)
    _FirstPicture(window, painted)

"""Bringing callbacks from worker threads to the GUI thread."""

from collections.abc import Callable

from PyQt6.QtCore import QObject, Qt, pyqtSignal, pyqtSlot


class Delivery(QObject):
    """Callable from any thread: runs the callback in the thread this object lives in, in order."""

    _posted = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self._open = True
        self._posted.connect(self._run, Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]

    def __call__(self, callback: Callable[[], None]) -> None:
        """Post a callback; dropped once closed."""
        if self._open:
            self._posted.emit(callback)

    def close(self) -> None:
        """Drop everything that is still on its way: the window is going."""
        self._open = False

    @pyqtSlot(object)
    def _run(self, callback: Callable[[], None]) -> None:
        if self._open:
            callback()

"""The rotating log file, its panel, and the error report."""

import logging
import platform
import queue
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from types import TracebackType

from PyQt6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from braggscope.app.folders import state_folder
from braggscope.app.shell.delivery import Delivery
from braggscope.app.state.session import Session
from braggscope.app.version import VERSION

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_path() -> Path:
    """Where the log is kept."""
    return state_folder() / "braggscope.log"


class LogWriter(QueueHandler):
    """Hands records to a thread that writes them: nobody who logs waits for the disk.

    ``logging.shutdown``, which Python calls at its end, writes what is left and ends the thread.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self._records: queue.Queue[logging.LogRecord] = queue.Queue()
        super().__init__(self._records)
        self._handler = handler
        self._thread = QueueListener(self._records, handler)
        self._thread.start()
        self._open = True

    def flush(self) -> None:
        """Wait until everything logged so far is written."""
        if self._open:
            self._records.join()

    def close(self) -> None:
        """Write what is left and end."""
        if self._open:
            self._open = False
            self._thread.stop()
            self._handler.close()
        super().close()


def start_logging() -> None:
    """Log to a rotating file of at most 4 x 1 MB; uncaught exceptions go there too."""
    handler = RotatingFileHandler(log_path(), maxBytes=1_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger("braggscope")
    root.setLevel(logging.DEBUG)
    root.addHandler(LogWriter(handler))
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("braggscope").critical("uncaught exception", exc_info=(kind, error, trace))


def route_qt_messages() -> None:
    """Qt's own messages go to the log, not to the terminal."""
    qInstallMessageHandler(_log_qt)


def _log_qt(kind: QtMsgType, _: QMessageLogContext, text: str | None) -> None:
    logging.getLogger("braggscope.qt").debug("%s: %s", kind, text)
    if kind == QtMsgType.QtFatalMsg:  # Qt ends the process next
        write_log()


def write_log() -> None:
    """Wait until everything logged so far is in the file."""
    for handler in logging.getLogger("braggscope").handlers:
        handler.flush()


class LogBridge(logging.Handler):
    """Shows log records in the window."""

    def __init__(self, delivery: Delivery, append: Callable[[str, str, str], None]) -> None:
        super().__init__(logging.INFO)
        self._delivery = delivery
        self._append = append
        logging.getLogger("braggscope").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Called in any thread."""
        level, message = record.levelname.lower(), record.getMessage()
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        self._delivery(lambda: self._append(level, when, message))

    def close(self) -> None:
        """Stop listening."""
        logging.getLogger("braggscope").removeHandler(self)
        super().close()


def error_report(session: Session) -> str:
    """What somebody who helps needs to know: versions, machine, parameters, end of the log. Reads files."""
    lines = [f"Braggscope {VERSION}, Python {platform.python_version()}, {platform.platform()}"]
    for name in ("PyQt6", "pyqtgraph", "numpy", "scipy", "numba", "torch", "h5py", "findpeaks"):
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} is not installed")
    lines += ["", "Session:", session.model_dump_json(indent=1), "", "Log:"]
    write_log()
    try:
        lines += log_path().read_text("utf-8").splitlines()[-200:]
    except OSError:
        lines.append("(no log file)")
    return "\n".join(lines)

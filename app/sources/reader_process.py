"""The process that opens and reads files for a reader, watched over."""

import signal
import subprocess
import threading
import time
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Cancelled
from braggscope.app.sources.channel import start_child
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.wire import Message, pack, unpack_head

MEMORY_LIMIT = 1 << 30
MEMORY_CHECK_S = 0.1
_dying: "list[subprocess.Popen[bytes]]" = []  # killed, and not yet gone


class ReaderProcess:
    """One killable process; another takes its place when it dies, stands still or takes too much memory.

    ``starts``: how many there were; what one has opened the next does not know. ``memory``: shared with it.
    ``frame_bytes``: what it may take over 1 GiB. Not thread-safe, but for :meth:`end`.
    """

    def __init__(self, timeout_s: float, poll_s: float) -> None:
        self._timeout_s, self._poll_s = timeout_s, poll_s
        self._ended = threading.Event()
        self.starts = self.frame_bytes = 0
        self._start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        """Whether it has died."""
        return self._process.poll() is not None

    @property
    def ended(self) -> bool:
        """Whether :meth:`end` was called."""
        return self._ended.is_set()

    def end(self) -> None:
        """Let the request under way end as cancelled, and no process be started again."""
        self._ended.set()

    def check(self, cancelled: threading.Event | None) -> None:
        """Raise Cancelled if the request, or the process, is to end."""
        if self.ended or (cancelled is not None and cancelled.is_set()):
            raise Cancelled

    def tell(self, message: Message) -> None:
        """Send what needs no answer. Raises OSError."""
        self._connection.send_bytes(pack(message)[0])

    def ask(
        self, message: Message, cancelled: threading.Event | None, what: str
    ) -> tuple[Message, dict[str, NDArray]]:
        """Send a request about ``what`` and wait for its answer. Raises SourceError, Cancelled."""
        try:
            self.tell(message)
            while True:
                self._wait(cancelled, what)
                reply, shapes = unpack_head(self._connection.recv_bytes())
                if "beat" not in reply:
                    break
            arrays = {name: self._receive(dtype, shape, what) for name, dtype, shape in shapes}
        except (OSError, EOFError, ValueError) as error:
            raise self._died(what) from error
        except Cancelled:
            self.restart()
            raise
        if "error" in reply:
            raise SourceError(str(reply["error"]))
        return reply, arrays

    def restart(self) -> None:
        """Put another process in its place, but not after :meth:`end`."""
        self.stop()
        if not self.ended:
            self._start()

    def stop(self) -> None:
        """Kill it and free its memory."""
        self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._connection.close()
        self.memory.close()
        try:
            self._process.wait(1.0)
        except Exception:  # stuck in the kernel, on a dead network disk: it ends when that answers
            _dying.append(self._process)

    def _start(self) -> None:
        _dying[:] = [process for process in _dying if process.poll() is None]
        self._process, self._connection, self.memory = start_child()
        self.starts += 1

    def _receive(self, dtype: np.dtype, shape: tuple[int, ...], what: str) -> NDArray:
        self._wait(None, what)
        return np.frombuffer(bytearray(self._connection.recv_bytes()), dtype).reshape(shape)

    def _wait(self, cancelled: threading.Event | None, what: str) -> None:
        start = checked = time.monotonic()
        while not self._connection.poll(self._poll_s):
            self.check(cancelled)
            now = time.monotonic()
            if now - start > self._timeout_s:
                self.restart()
                raise SourceError(
                    f"Reading {what} made no progress for {self._timeout_s:g} s and was stopped; check the"
                    " file and its disk."
                )
            if now - checked > MEMORY_CHECK_S:
                checked = now
                self._check_memory(what)

    def _check_memory(self, what: str) -> None:
        try:
            used = psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return
        if used > MEMORY_LIMIT + self.frame_bytes:
            self.restart()
            raise SourceError(
                f"Reading {what} took {used / 2**30:.1f} GiB of memory and was stopped; the file is"
                " damaged or stored in too large pieces."
            )

    def _died(self, what: str) -> SourceError:
        self._process.kill()
        code: Any = self._process.wait()
        cause = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        self.restart()
        return SourceError(f"Reading {what} ended its process ({cause}); check that file.")

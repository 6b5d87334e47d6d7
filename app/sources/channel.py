"""The two ends of the line to a reader process: a pipe for messages and shared memory for frames.

The memory has no name where the system allows it, so nothing can be left behind however either side ends.
"""

import contextlib
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
from multiprocessing.connection import Connection, Pipe
from typing import Any

WINDOWS = sys.platform == "win32"
MODULE = "braggscope.app.sources"


class SharedMemory:
    """Bytes that both processes see. The parent sets the size, the child follows with :meth:`remap`."""

    def __init__(self, handle: str | None = None) -> None:
        self._map: mmap.mmap | None = None
        self._name, self._serial = "", 0
        self._file = -1
        if WINDOWS:
            self._name = handle or f"braggscope-{os.getpid()}-{id(self)}"
        elif handle is not None:
            self._file = int(handle)
        elif hasattr(os, "memfd_create"):
            self._file = os.memfd_create("braggscope-frames")
        else:
            with tempfile.TemporaryFile() as file:
                self._file = os.dup(file.fileno())

    @property
    def handle(self) -> str:
        """What the child needs to see the same memory."""
        return self._name if WINDOWS else str(self._file)

    @property
    def inherited(self) -> tuple[int, ...]:
        """File descriptors that the child must inherit."""
        return () if WINDOWS else (self._file,)

    def resize(self, size: int) -> None:
        """Parent's side: forget the content and hold ``size`` bytes."""
        self._unmap()
        if not WINDOWS:
            os.ftruncate(self._file, 0)
            os.ftruncate(self._file, size)
        self.remap(size)

    def remap(self, size: int) -> None:
        """See the memory after the parent gave it ``size`` bytes."""
        self._unmap()
        self._serial += 1
        if WINDOWS:
            self._map = mmap.mmap(-1, size, f"{self._name}-{self._serial}")  # type: ignore[arg-type]
        else:
            self._map = mmap.mmap(self._file, size)

    def view(self, offset: int, size: int) -> memoryview:
        """Writable bytes; all views must be gone before the next resize."""
        if self._map is None:
            raise ValueError("the shared memory is closed")
        return memoryview(self._map)[offset : offset + size]

    def close(self) -> None:
        """Give the memory back."""
        self._unmap()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _unmap(self) -> None:
        if self._map is not None:
            with contextlib.suppress(
                BufferError
            ):  # somebody still looks at a frame; it goes with the last view
                self._map.close()
            self._map = None


def start_child() -> tuple["subprocess.Popen[bytes]", Connection, SharedMemory]:
    """Start a reader process. Nothing is written to its standard input: its end means we are gone."""
    ours, theirs = Pipe(duplex=True)
    memory = SharedMemory()
    environment = os.environ | {
        "HDF5_USE_FILE_LOCKING": "FALSE",
        "HDF5_PLUGIN_PRELOAD": "::",  # no filters from folders that the environment names
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": "33554432",  # buffers are reused rather than faulted in for every frame
        "MALLOC_TRIM_THRESHOLD_": "134217728",
    }
    environment.pop("HDF5_PLUGIN_PATH", None)
    handle = theirs.fileno()
    options: dict[str, Any] = {"close_fds": True, "pass_fds": (handle, *memory.inherited)}
    if WINDOWS:
        os.set_handle_inheritable(handle, True)  # type: ignore[attr-defined]
        options = {"close_fds": False, "creationflags": 0x08000000}  # no console window
    command = [sys.executable, "-P", "-m", MODULE, str(handle), memory.handle]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            **options,
        )
    except BaseException:
        ours.close()
        memory.close()
        raise
    finally:
        theirs.close()
    return process, ours, memory


def connect(handle: str) -> Connection:
    """Child's end of the pipe."""
    if WINDOWS:
        from multiprocessing.connection import PipeConnection  # type: ignore[attr-defined]

        connection: Connection = PipeConnection(int(handle))
        return connection
    return Connection(int(handle))


def end_with_parent() -> None:
    """End this process when the parent is gone, even while it is stuck in C code with the interpreter locked.

    The kernel signals the end of standard input with SIGIO, whose default is to end the process. Where that
    does not exist a thread waits for it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    try:
        import fcntl

        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(0, fcntl.F_GETFL)
        fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
    except (ImportError, AttributeError, OSError):
        pass
    threading.Thread(target=_wait_for_end, name="parent", daemon=True).start()


def _wait_for_end() -> None:
    try:
        os.read(0, 1)
    finally:
        os._exit(0)

"""The only door to files: a client of one killable process that opens and reads them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Cancelled
from braggscope.app.sources.instruments import InstrumentFile
from braggscope.app.sources.protocol import DatasetEntry, SourceError, SourceInfo
from braggscope.app.sources.reader_process import ReaderProcess
from braggscope.app.sources.wire import Message, info_from_wire, tree_from_wire
from braggscope.models.cells import Cell
from braggscope.models.geometry import Instrument

RING_BYTES = 128 << 20
MAX_SLOTS = 8
BLOCK_BYTES = 8 << 20  # small frames come in blocks of this size, see Reader.read_block


class Reader:
    """Opens one source at a time and reads its frames in a process of its own.

    Thread-safe: requests wait for each other. Every failure is a SourceError in one sentence: a request
    without progress for ``timeout_s``, a process that dies or takes more than 1 GiB and one frame. The
    process is then replaced, and the source opened again with the next request. Setting the ``cancelled``
    event of a request ends it with :class:`Cancelled`.
    """

    def __init__(self, timeout_s: float = 10.0, cancel_poll_s: float = 0.05) -> None:
        self._poll_s = cancel_poll_s
        self._lock = threading.Lock()
        self._place: tuple[str, int | None] | None = None
        self._info: SourceInfo | None = None
        self._opened_by = 0  # start of the process that opened the source
        self._slots = 0
        self._hint: list[int] | None = None
        self._process = ReaderProcess(timeout_s, cancel_poll_s)

    @property
    def info(self) -> SourceInfo | None:
        """What :meth:`open` or :meth:`refresh` last said, or None."""
        return self._info

    @property
    def pid(self) -> int:
        """Process id of the reader process."""
        return self._process.pid

    def open(
        self, location: str, frame_axis: int | None = None, cancelled: threading.Event | None = None
    ) -> SourceInfo:
        """Open ``path``, ``file.h5::/dataset``, a folder or a glob instead of what was open."""
        with self._turn(cancelled):
            self._place, self._info, self._opened_by = (location, frame_axis), None, 0
            self._process.frame_bytes = 0  # not what the source before this one was allowed
            try:
                self._ensure_open(cancelled)
            except (SourceError, Cancelled):
                self._place = None
                raise
            return self._known()

    def tree(self, location: str, cancelled: threading.Event | None = None) -> tuple[DatasetEntry, ...]:
        """All datasets of a file; what is open stays open."""
        with self._turn(cancelled):
            reply, _ = self._ask({"op": "tree", "location": location}, cancelled, location)
            return tree_from_wire(reply["tree"])

    def mask(self, cancelled: threading.Event | None = None) -> NDArray[np.bool_] | None:
        """(H, W) bool, True = bad: the source's own mask, or None."""
        with self._turn(cancelled):
            self._ensure_open(cancelled)
            return self._ask({"op": "mask"}, cancelled)[1].get("mask")

    def load_image(self, location: str, cancelled: threading.Event | None = None) -> NDArray:
        """One (H, W) image, numbers or bool, from any readable file: mask, dark or flat."""
        with self._turn(cancelled):
            return self._ask({"op": "image", "location": location}, cancelled, location)[1]["image"]

    def load_instrument(
        self,
        location: str,
        shape: tuple[int, int],
        wavelength_angstrom: float | None = None,
        cancelled: threading.Event | None = None,
    ) -> InstrumentFile:
        """Instrument in a PONI or hexrd file, for frames of ``shape``; see ``read_instrument``."""
        message: Message = {"op": "instrument", "location": location, "shape": shape}
        with self._turn(cancelled):
            reply, _ = self._ask(message | {"wavelength": wavelength_angstrom}, cancelled, location)
        own = reply["shape"]
        return InstrumentFile(
            Instrument.model_validate(reply["instrument"]), own and (own[0], own[1]), tuple(reply["notes"])
        )

    def load_cell(self, location: str, cancelled: threading.Event | None = None) -> Cell:
        """Unit cell in a CIF."""
        with self._turn(cancelled):
            reply, _ = self._ask({"op": "cell", "location": location}, cancelled, location)
        return Cell.model_validate(reply["cell"])

    def read(
        self, index: int, out: NDArray | None = None, cancelled: threading.Event | None = None,
        lend: bool = False,
    ) -> NDArray:  # fmt: skip
        """Frame ``index``, (H, W) of ``info.dtype``, in an array of the caller's or into ``out``.

        ``lend``: seen where the process left it, read-only, and good until the next request.
        """
        with self._turn(cancelled):
            self._ensure_open(cancelled)
            info = self._known()
            message = {"op": "read", "index": int(index)}
            if self._hint is not None:
                message["ahead"], self._hint = self._hint, None
            slot = int(self._ask(message, cancelled, f"frame {index} of {info.location}")[0]["slot"])
            frame = np.frombuffer(
                self._process.memory.view(slot * info.frame_bytes, info.frame_bytes), info.dtype
            ).reshape(info.shape)
            if lend:
                frame.flags.writeable = False
                return frame
            if out is None:
                return frame.copy()
            np.copyto(out, frame)
            return out

    @property
    def block(self) -> int:
        """Most frames that :meth:`read_block` gives at once."""
        return self._slots

    def read_block(self, first: int, count: int, cancelled: threading.Event | None = None) -> NDArray:
        """Frames from ``first`` on, (count, H, W) of ``info.dtype``; at most :attr:`block`, at once."""
        with self._turn(cancelled):
            self._ensure_open(cancelled)
            info = self._known()
            if not 0 < count <= self._slots:
                raise ValueError(f"a block of {count} frames; 1 to {self._slots} can be read at once")
            what = f"frames {first} to {first + count - 1} of {info.location}"
            self._ask({"op": "block", "first": int(first), "count": int(count)}, cancelled, what)
            frames = np.frombuffer(self._process.memory.view(0, count * info.frame_bytes), info.dtype)
            return frames.reshape(count, *info.shape).copy()

    def prefetch(self, indices: Sequence[int]) -> None:
        """Say which frames are wanted next, nearest first; a hint, never an error."""
        self._hint = [int(k) for k in indices[: MAX_SLOTS - 2]]
        if self._opened and self._lock.acquire(blocking=False):
            try:
                hint, self._hint = self._hint, None
                self._process.tell({"op": "ahead", "frames": hint})
            except OSError:  # the process is gone; the next request finds out
                pass
            finally:
                self._lock.release()

    def refresh(self, cancelled: threading.Event | None = None) -> SourceInfo:
        """Look again at a source that may have grown, shrunk or been replaced."""
        with self._turn(cancelled):
            if not self._opened:
                self._ensure_open(cancelled)
                return self._known()
            self._opened_by = 0
            self._take(*self._ask({"op": "refresh"}, cancelled), cancelled)
            return self._known()

    def close(self) -> None:
        """End the process and free its memory; requests under way end as cancelled. May be called twice."""
        if self._process.ended:
            return
        self._process.end()
        with self._lock:
            self._process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the source -------------------------------------------------------------------------------------

    @property
    def _opened(self) -> bool:
        return self._opened_by == self._process.starts

    def _known(self) -> SourceInfo:
        if self._info is None:
            raise SourceError("No source is open; open a file first.")
        return self._info

    def _ensure_open(self, cancelled: threading.Event | None) -> None:
        if self._opened:
            return
        if self._place is None:
            raise SourceError("No source is open; open a file first.")
        location, axis = self._place
        reply = self._ask({"op": "open", "location": location, "frame_axis": axis}, cancelled, location)
        self._take(*reply, cancelled)

    def _take(self, plain: Message, axes: dict[str, NDArray], cancelled: threading.Event | None) -> None:
        info = info_from_wire(plain, axes)
        size = info.frame_bytes
        slots = max(1, min(max(MAX_SLOTS, BLOCK_BYTES // size), RING_BYTES // size))
        self._process.memory.resize(slots * size)
        self._ask({"op": "ring", "slots": slots}, cancelled)
        self._info, self._opened_by, self._slots = info, self._process.starts, slots
        self._process.frame_bytes = size

    # -- the process ------------------------------------------------------------------------------------

    @contextmanager
    def _turn(self, cancelled: threading.Event | None) -> Iterator[None]:
        while not self._lock.acquire(timeout=self._poll_s):
            self._process.check(cancelled)
        try:
            self._process.check(cancelled)
            yield
        finally:
            self._lock.release()

    def _ask(
        self, message: Message, cancelled: threading.Event | None, what: str = ""
    ) -> tuple[Message, dict[str, NDArray]]:
        """Send a request and wait for its answer."""
        if self._process.is_gone:
            self._process.restart()
            if message["op"] not in ("open", "tree", "image", "instrument", "cell"):
                self._ensure_open(cancelled)
        return self._process.ask(message, cancelled, what or (self._place[0] if self._place else "the file"))

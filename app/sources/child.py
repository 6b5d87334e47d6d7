"""The reader process: opens sources, reads frames into shared memory, answers one request after the other."""

import contextlib
import sys
import time
from collections import OrderedDict
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import Location, Source, reason
from braggscope.app.sources.channel import SharedMemory, connect
from braggscope.app.sources.images import load_image
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.registry import dataset_tree, open_source
from braggscope.app.sources.wire import Message, info_to_wire, pack, tree_to_wire

DATA_LIMIT = 800 << 20  # bytes of private memory; the frames' shared memory comes on top
BEAT_S = 0.5
Answer = tuple[Message, dict[str, NDArray]]


class Child:
    """State of the process: one source and a ring of slots that hold its latest frames."""

    def __init__(self, connection: Connection, memory: SharedMemory) -> None:
        self._connection = connection
        self._memory = memory
        self._source: Source | None = None
        self._slots: list[NDArray] = []
        self._filled: OrderedDict[int, int] = OrderedDict()  # frame -> slot, least recently used first
        self._pinned = -1  # slot that the parent may be copying
        self._ahead: list[int] = []
        self._last = (-2, -2)
        self._beaten = time.monotonic()

    def run(self) -> None:
        """Serve until the pipe ends."""
        while True:
            while self._ahead and not self._connection.poll(0):
                self._read_ahead()
            try:
                request = self._receive()
            except (EOFError, OSError):
                return
            if request.get("op") == "ahead":
                self._ahead = [int(k) for k in request["frames"]]
                continue
            for part in pack(*self._answer(request)):
                self._connection.send_bytes(part)

    def _receive(self) -> Message:
        import json

        message: Message = json.loads(self._connection.recv_bytes())
        return message

    def _answer(self, request: Message) -> Answer:
        try:
            answer: Answer = getattr(self, f"_do_{request.pop('op')}")(**request)
            return answer
        except SourceError as error:
            return {"error": str(error)}, {}
        except RecursionError:
            return {"error": "The file is nested too deeply to be read; save it in a plainer layout."}, {}
        except Exception as error:
            what = request.get("location") or (self._source.info.location if self._source else "The file")
            text = f"{what} cannot be read ({reason(error)}); check that it is complete."
            return {"error": text, "kind": type(error).__name__}, {}

    def _beat(self) -> None:
        """Tell the parent, not too often, that a long scan goes on."""
        now = time.monotonic()
        if now - self._beaten > BEAT_S:
            self._beaten = now
            self._connection.send_bytes(pack({"beat": 1})[0])

    def _do_open(self, location: str, frame_axis: int | None) -> Answer:
        self._drop()
        self._source = open_source(location, frame_axis, self._beat)
        return info_to_wire(self._source.info)

    def _do_refresh(self) -> Answer:
        source, self._source = self._need(), None
        self._forget()
        info = source.refresh()
        self._source = source
        return info_to_wire(info)

    def _do_ring(self, slots: int) -> Answer:
        """See the memory as ``slots`` frames; the parent has just given it that size."""
        self._forget()
        self._slots = []
        info = self._need().info
        size = info.frame_bytes
        self._memory.remap(slots * size)
        for k in range(slots):
            view = self._memory.view(k * size, size)
            self._slots.append(np.frombuffer(view, info.dtype).reshape(info.shape))
        return {}, {}

    def _do_read(self, index: int, ahead: list[int] | None = None) -> Answer:
        if index not in self._filled:
            self._fill(index)
        self._filled.move_to_end(index)
        self._pinned = self._filled[index]
        self._plan(index, ahead)
        return {"slot": self._pinned}, {}

    def _do_block(self, first: int, count: int) -> Answer:
        """Frames into the first slots, in their order; the parent copies them before it asks again."""
        self._forget()
        for slot in range(count):
            self._beat()
            self._need().read_into(first + slot, self._slots[slot])
            self._filled[first + slot] = slot
        return {}, {}

    def _plan(self, index: int, ahead: list[int] | None) -> None:
        """Read on in the direction of two like steps, unless told what comes next."""
        before, last = self._last
        self._last = (last, index)
        step = index - last
        if ahead is not None:
            self._ahead = [int(k) for k in ahead]
        elif step == last - before and step in (-1, 1):
            self._ahead = [index + step]
        elif step:
            self._ahead = []

    def _fill(self, index: int) -> None:
        slot = self._free_slot()
        self._need().read_into(index, self._slots[slot])
        self._filled[index] = slot

    def _free_slot(self) -> int:
        used = set(self._filled.values())
        for slot in range(len(self._slots)):
            if slot not in used and slot != self._pinned:
                return slot
        oldest = next((k for k, slot in self._filled.items() if slot != self._pinned), None)
        return self._filled.pop(oldest if oldest is not None else next(iter(self._filled)))

    def _read_ahead(self) -> None:
        index = self._ahead.pop(0)
        if self._source is None or len(self._slots) < 3 or index in self._filled:
            return
        if 0 <= index < self._source.info.frames:
            with contextlib.suppress(Exception):  # whoever wants that frame will be told
                self._fill(index)

    def _do_mask(self) -> Answer:
        mask = self._need().mask()
        return {}, {} if mask is None else {"mask": mask}

    def _do_tree(self, location: str) -> Answer:
        return {"tree": tree_to_wire(dataset_tree(location, self._beat))}, {}

    def _do_image(self, location: str) -> Answer:
        return {}, {"image": load_image(Location.parse(location))}

    def _do_instrument(self, location: str, shape: list[int], wavelength: float | None) -> Answer:
        from braggscope.app.sources.instruments import read_instrument_file
        from braggscope.app.sources.npy import steady

        with steady(self._beat):  # pyFAI, which knows detectors by name, may take long to import
            found = read_instrument_file(location, (shape[0], shape[1]), wavelength)
        return {"instrument": found.instrument.model_dump(), "shape": found.shape, "notes": found.notes}, {}

    def _do_cell(self, location: str) -> Answer:
        from braggscope.app.sources.cells import read_cell

        return {"cell": read_cell(location).model_dump()}, {}

    def _need(self) -> Source:
        if self._source is None:
            raise SourceError("No source is open; open a file first.")
        return self._source

    def _forget(self) -> None:
        self._filled.clear()
        self._ahead = []
        self._pinned = -1
        self._last = (-2, -2)

    def _drop(self) -> None:
        self._forget()
        if self._source is not None:
            self._source.close()
            self._source = None


def limit_memory() -> None:
    """Let allocations fail, so that they end in a sentence, before they hurt the machine."""
    try:
        import resource

        limits: Any = (DATA_LIMIT, DATA_LIMIT)
        resource.setrlimit(resource.RLIMIT_DATA, limits)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass


def main() -> None:
    """Serve; handles of the pipe and of the memory are the arguments of the process."""
    limit_memory()
    connection = connect(sys.argv[1])
    connection.send_bytes(pack({"beat": 1})[0])  # a slow start is no request without progress
    Child(connection, SharedMemory(sys.argv[2])).run()

"""What the presenters share: the store, the lanes, the open source, and news between them."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, pyqtSignal

from braggscope.app.engine.batch import Gate
from braggscope.app.engine.jobs import Lane, Order
from braggscope.app.engine.setup import instrument_of
from braggscope.app.engine.views import Found, Landscape, Measured, Picture, ViewKey
from braggscope.app.shell.delivery import Delivery
from braggscope.app.shell.settings import Settings
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.state.session import Session
from braggscope.app.state.store import Store
from braggscope.models.geometry import Instrument
from braggscope.models.results import PeakTable

if TYPE_CHECKING:
    from braggscope.app.engine.frames import FrameEngine

log = logging.getLogger(__name__)
PATIENCE_S = 2.0


@dataclass(slots=True)
class Lanes:
    """The worker threads of the window."""

    frame: Lane  # what is looked at: only the newest request
    render: Lane  # the same pixels in other colours: only the newest request
    detail: Lane  # the patch view: only the newest request
    deep: Lane  # full merge trees and prefetching: only the newest request
    files: Lane  # opening sources
    scan: Lane  # whole-series runs
    export: Lane  # tables, pictures, movies
    bench: Lane  # the simulation bench: only the newest settings
    small: Lane  # what takes a moment and must not wait for exports: measuring, looking things up
    tracks: Lane  # linking a whole series: only the newest request
    strips: Lane  # one spot through all frames: only the newest request
    training: Lane  # fine-tuning of networks
    volume: Lane  # reading and preparing coherent stacks: only the newest request
    phasing: Lane  # reconstructions
    surface: Lane  # the crystal as it is looked at: only the newest request
    models: Lane  # importing torch, loading weights
    scan_view: Lane  # virtual images of a scan: only the newest request
    disks: Lane  # disks of the pattern on screen by correlation
    precise: Lane  # the same by network and lattice fit
    maps: Lane  # drawing strain maps: only the newest request
    calibrate: Lane  # probe and calibration of a scan
    state: Lane  # sessions, settings, masks, instruments: what a user would miss
    recent: Lane  # whether recent files still exist: the disk may never answer
    preview: Lane  # the picture that an export would write: only the newest request

    @classmethod
    def start(cls, deliver: Delivery) -> Lanes:
        """One thread each."""
        latest, fifo = Order.LATEST, Order.FIFO
        return cls(
            Lane("frame", deliver, latest), Lane("render", deliver, latest),
            Lane("detail", deliver, latest), Lane("deep", deliver, latest), Lane("files", deliver, latest),
            Lane("scan", deliver, fifo), Lane("export", deliver, fifo), Lane("bench", deliver, latest),
            Lane("small", deliver, fifo), Lane("tracks", deliver, latest), Lane("strips", deliver, latest),
            Lane("training", deliver, fifo), Lane("volume", deliver, latest), Lane("phasing", deliver, fifo),
            Lane("surface", deliver, latest), Lane("models", deliver, fifo),
            Lane("scan_view", deliver, latest), Lane("disks", deliver, fifo), Lane("precise", deliver, fifo),
            Lane("maps", deliver, latest), Lane("calibrate", deliver, fifo), Lane("state", deliver, fifo),
            Lane("recent", deliver, latest), Lane("preview", deliver, latest),
        )  # fmt: skip

    def alive(self) -> bool:
        """Whether a thread still runs after all lanes were closed."""
        return any(lane.alive for lane in self.all())

    def all(self) -> tuple[Lane, ...]:
        """Every lane."""
        return tuple(getattr(self, entry.name) for entry in fields(self))


class Desk(QObject):
    """The table around which the presenters sit. Lives in the GUI thread."""

    leaving = pyqtSignal()  # the open source is about to be replaced or closed
    opened = pyqtSignal()  # another source is open, or none
    grown = pyqtSignal()  # the open source has more frames
    picture_shown = pyqtSignal()
    peaks_shown = pyqtSignal()
    view_failed = pyqtSignal()  # the frame that is wanted cannot be shown
    runs_changed = pyqtSignal()
    weights_changed = pyqtSignal()
    device_changed = pyqtSignal()  # another device is wanted
    instrument_changed = pyqtSignal()
    notice = pyqtSignal(str, str, str, str)  # level, sentence, action title, key
    settled = pyqtSignal(str)  # key of notices that hold no longer
    busy_changed = pyqtSignal()

    def __init__(self, store: Store, settings: Settings, delivery: Delivery) -> None:
        super().__init__()
        self.store = store
        self._key: tuple[SourceInfo, Session, ViewKey] | None = None  # of these very objects
        self.settings = settings
        self.delivery = delivery
        self.lanes = Lanes.start(delivery)
        self.engine: FrameEngine | None = None
        self.picture: Picture | None = None
        self.found: Found | Measured | None = None
        self.landscape: Landscape | None = None  # all candidates of the image on screen
        self.gate = Gate()  # whole-series runs wait here while somebody looks at frames
        self.device = "cpu"  # what is used now; "auto" is decided once torch is there
        self.device_choice = "auto"
        self.workers = max(1, min(8, os.cpu_count() or 1))
        self.memory = 1_000_000_000
        self.timeout_s = 10.0

    @property
    def info(self) -> SourceInfo | None:
        """The open source, or None."""
        return None if self.engine is None else self.engine.info

    @property
    def instrument(self) -> Instrument | None:
        """The instrument in use, or None where nobody knows it."""
        info = self.info
        return None if info is None else instrument_of(info, self.store.state.instrument)

    @property
    def table(self) -> PeakTable | None:
        """Peaks of the image on screen, as measured so far; None while they belong to another view."""
        found, picture = self.found, self.picture
        if found is None or picture is None or found.key != self.key():
            return None
        return found.table if picture.key.same_image(found.key) else None

    def key(self) -> ViewKey | None:
        """What should be on screen now."""
        if self.engine is None:
            return None
        info, state, known = self.engine.info, self.store.state, self._key
        if known is None or known[0] is not info or known[1] is not state:
            known = self._key = (info, state, ViewKey.of(info, state.frame, state.parameters))
        return known[2]

    def is_current(self, key: ViewKey, *, any_threshold: bool = False) -> bool:
        """Whether a result belongs to what should be on screen; ``any_threshold``: to its image at least."""
        wanted = self.key()
        if wanted is None:
            return False
        return key.same_image(wanted) if any_threshold else key == wanted

    def say(self, level: str, sentence: str, action: str = "", key: str = "") -> None:
        """Show one sentence in the notice bar and write it to the log."""
        log.log({"error": logging.ERROR, "warning": logging.WARNING}.get(level, logging.INFO), sentence)
        self.notice.emit(level, sentence, action, key)

    def settle(self, key: str) -> None:
        """Take back what was said under a key: it holds no longer."""
        self.settled.emit(key)

    def fail(self, error: Exception, key: str = "") -> None:
        """Tell the user about an exception; unexpected ones go to the log with their traceback."""
        from braggscope.app.errors import sentence

        if not getattr(error, "expected", False):
            log.debug("details", exc_info=error)
        self.say("error", sentence(error), key=key)

    def close(self) -> None:
        """Stop all work. Nothing is delivered afterwards; all lanes together have ``PATIENCE_S`` to end."""
        self.delivery.close()
        for lane in self.lanes.all():
            lane.cancel_all()
        end = time.monotonic() + PATIENCE_S
        for lane in self.lanes.all():
            lane.close(max(end - time.monotonic(), 0.0))
        if self.engine is not None:
            self.engine.reader.close()

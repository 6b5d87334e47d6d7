"""What the window shows of one frame: picture, peaks, measurements. Cached, in bounded memory."""

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.batch import read_raw
from braggscope.app.engine.cache import ByteCache
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.peaks import blank_table, find, localize
from braggscope.app.engine.setup import Seen, file_id, make_preparer
from braggscope.app.engine.views import LIVE_LIMIT, Ask, Found, Landscape, Measured, Picture, ViewKey
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.mask import Mask
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.detect import log_histogram, select
from braggscope.models.peaks.persistence import Workspace
from braggscope.models.prepare import Prepared, Preparer
from braggscope.models.render import hatched, histogram, lut, percentile_levels, render_rgb
from braggscope.models.results import Candidates, Status


class Screens:
    """Buffers for rendered frames, used in turn: the system's first touch of fresh memory costs more than
    the rendering. A picture may be drawn until ``COUNT`` newer ones of its size were rendered.
    """

    COUNT = 6

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buffers: list[NDArray[np.uint32]] = []

    def next(self, shape: tuple[int, ...], step: int) -> NDArray[np.uint32]:
        """(rows / step, columns / step) uint32, rounded up, with anything in it."""
        wanted = (-(-shape[0] // step), -(-shape[1] // step))
        with self._lock:
            if not self._buffers or self._buffers[0].shape != wanted:
                self._buffers = [np.empty(wanted, np.uint32) for _ in range(self.COUNT)]
            self._buffers.append(self._buffers.pop(0))
            return self._buffers[-1]


class FrameEngine:
    """Frames of one open source. Used by the frame lane and the background lane at the same time."""

    def __init__(
        self, reader: Reader, info: SourceInfo, networks: Callable[[Parameters], Networks],
        *, device: str = "cpu", memory: int = 1_000_000_000,
    ) -> None:  # fmt: skip
        self.reader = reader
        self.info = info
        self.device = device
        self._networks = networks
        self._cache: ByteCache = ByteCache(memory)
        self._preparers: dict[str, Preparer] = {}
        self._lock = threading.Lock()
        self._local = threading.local()
        self._screens = Screens()
        self._last: Prepared | None = None
        self._hatched: tuple[Mask, NDArray[np.uint32] | None] | None = None  # last mask and its overlay
        self.file_id = file_id(info.location)  # an engine is made off the GUI thread
        self._stored = info  # as the disk has it; ``info`` may keep an identity from when it was shorter

    def seen(self, followed: bool) -> Seen:
        """What a job that opens the source by itself is to find; ``followed``: or more frames of it."""
        return Seen(self._stored, self.file_id, followed)

    def renewed(self, info: SourceInfo, memory: int) -> "FrameEngine":
        """An engine for the same reader after the source has changed. Reads from disk."""
        return FrameEngine(self.reader, info, self._networks, device=self.device, memory=memory)

    @property
    def cached_bytes(self) -> int:
        """Memory held by the cache."""
        return self._cache.size

    def resize(self, memory: int) -> None:
        """Bound the cache to another number of bytes."""
        self._cache.resize(memory)

    def view(self, ask: Ask, context: Context) -> Measured:
        """Read, show, find, measure. Picture and Found are reported on the way."""
        context.check()
        prepared = self.prepared(ask.frame, ask.parameters, context)
        context.progress(1, 3, payload=self._picture(ask, prepared))
        return self.peaks(ask, context)

    def look(self, ask: Ask, context: Context) -> None:
        """Read and show, seek nothing. Picture is reported."""
        context.progress(1, 1, payload=self.picture(ask, context))

    def picture(self, ask: Ask, context: Context) -> Picture:
        """Only the picture: after a change of colours or zoom."""
        return self._picture(ask, self.prepared(ask.frame, ask.parameters, context))

    def peaks(self, ask: Ask, context: Context) -> Measured:
        """Find and measure; Found is reported on the way."""
        key = ("measured", ask.key)
        known: Measured | None = self._cache.get(key)
        if known is not None:
            return known
        prepared = self.prepared(ask.frame, ask.parameters, context)
        context.check()
        candidates = self.candidates(ask.frame, ask.parameters, prepared)
        detect = ask.parameters.detect
        selection = select(candidates, detect.minval, detect.minscore)
        table = blank_table(candidates, selection, ask.frame)
        context.progress(2, 3, payload=Found(ask.key, table, len(candidates)))
        networks = self._networks(ask.parameters)
        table, timing = localize(
            prepared, table, ask.parameters, networks,
            device=self.device, check=context.check, limit=LIVE_LIMIT,
        )  # fmt: skip
        result = Measured(ask.key, table, len(candidates), timing)
        complete = networks.complete(ask.parameters.localize.methods)
        if complete and not np.any(table["status"] == Status.PENDING):
            self._cache.put(key, result, 300 * len(table) + 2000)
        return result

    def prepared(self, frame: int, parameters: Parameters, context: Context) -> Prepared:
        """The prepared frame, read and prepared if it is not cached."""
        key = ("prepared", self.info.identity, frame, parameters.fingerprint("prepare"))
        known: Prepared | None = self._cache.get(key)
        if known is not None:
            return known
        preparer = self.preparer(parameters)
        result = self._with_known_mask(preparer.apply(self._raw(frame, parameters, context)))
        self._cache.put(key, result, _bytes(result))
        return result

    def _raw(self, frame: int, parameters: Parameters, context: Context) -> list[NDArray]:
        """Raw frames of one view; a single one in a buffer of this thread that the next one overwrites."""
        count = parameters.prepare.sum_frames
        if count > 1:
            return read_raw(self.reader, self.info, frame, count, context.cancelled)
        buffer = getattr(self._local, "raw", None)
        if buffer is None:
            buffer = self._local.raw = np.empty(self.info.shape, self.info.dtype)
        return [self.reader.read(frame, out=buffer, cancelled=context.cancelled)]

    def _with_known_mask(self, result: Prepared) -> Prepared:
        """The same with the mask of an earlier frame where it is equal: most frames share one."""
        last = self._last
        if last is not None and np.array_equal(last.codes, result.codes):
            result = replace(result, mask=last.mask, excluded=last.excluded, codes=last.codes)
        self._last = result
        return result

    def preparer(self, parameters: Parameters) -> Preparer:
        """Preparer for these parameters; mask, dark and flat are read once."""
        key = parameters.fingerprint("prepare")
        with self._lock:
            known = self._preparers.get(key)
            if known is None:
                known = make_preparer(parameters.prepare, self.info, self.reader)
                self._preparers = {key: known}
            return known

    def candidates(
        self, frame: int, parameters: Parameters, prepared: Prepared, floor: float | None = None
    ) -> Candidates:
        """Candidates at least down to minval, from the cache where it reaches as deep."""
        detect = parameters.detect
        floor = detect.minval if floor is None else floor
        key = ("tree", self.info.identity, frame, parameters.fingerprint("prepare"), detect.detector)
        known: Candidates | None = self._cache.get(key)
        if known is not None and (
            known.floor <= floor if detect.detector == "fast" else known.floor == floor
        ):
            return known
        if not hasattr(self._local, "workspace"):
            self._local.workspace = Workspace()
        result = find(prepared, parameters, self._local.workspace, floor)
        self._cache.put(key, result, 24 * len(result) + 500)
        return result

    def landscape(self, ask: Ask, context: Context) -> Landscape:
        """All candidates of a frame, down to zero."""
        prepared = self.prepared(ask.frame, ask.parameters, context)
        context.check()
        deep = ask.parameters.detect.detector == "fast"
        found = self.candidates(ask.frame, ask.parameters, prepared, 0.0 if deep else None)
        births, scores = found.birth, found.birth - found.death
        return Landscape(ask.key, log_histogram(births, 64), log_histogram(scores, 64), len(found))

    def prefetch(self, ask: Ask, frames: list[int], context: Context) -> None:
        """Analyse frames that are likely to be wanted next."""
        for frame in frames:
            context.check()
            key = ViewKey.of(self.info, frame, ask.parameters)
            self.peaks(Ask(key, frame, ask.parameters, ask.display), context)

    def _picture(self, ask: Ask, prepared: Prepared) -> Picture:
        display = ask.display
        image = prepared.image
        if display.show_background and prepared.background is not None:
            image = prepared.background
        levels = display.levels or percentile_levels(image, prepared.mask)
        rgb = render_rgb(
            image, prepared.mask, levels, lut(display.colormap), scale=display.scale, step=ask.step,
            out=self._screens.next(image.shape, ask.step),
        )  # fmt: skip
        counts, edges = histogram(image, prepared.mask)
        overlay = self._overlay(prepared.mask) if display.show_mask else None
        return Picture(ask.key, display, prepared, rgb, levels, counts, edges, overlay)

    def _overlay(self, mask: Mask) -> NDArray[np.uint32] | None:
        """Hatched tint over bad pixels; the one before where the mask is the one before."""
        known = self._hatched
        if known is None or known[0] is not mask:
            known = self._hatched = (mask, hatched(mask))
        return known[1]


def _bytes(prepared: Prepared) -> int:
    """Memory of a prepared frame; arrays that are the same one count once."""
    arrays = (prepared.image, prepared.mask, prepared.excluded, prepared.saturated, prepared.codes,
              prepared.background)  # fmt: skip
    return sum({id(array): array.nbytes for array in arrays if array is not None}.values())

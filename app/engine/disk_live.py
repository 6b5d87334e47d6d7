"""Disks of the pattern on screen by any method, while thresholds move; and of some patterns of the scan."""

import threading
import time
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.disk_tools import Tools, find_probe, make_tools, measure_pattern
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.scan import Patterns, Scan
from braggscope.app.engine.strain_doubts import probe_doubts
from braggscope.app.sources.reader import Reader
from braggscope.models.disks.parameters import Method
from braggscope.models.disks.results import Disks, Probe
from braggscope.models.parameters import Parameters
from braggscope.models.prepare import Prepared

BLOCK = 16  # patterns at a time


@dataclass(frozen=True, slots=True)
class Seen:
    """Disks of one pattern by one method, after ``ms`` of work."""

    method: Method
    disks: Disks
    ms: float


class LiveDisks:
    """Keeps what is costly to make: masks, networks, fits. Two lanes may use it at once."""

    def __init__(self, reader: Reader, scan: Scan, device: str) -> None:
        self.scan = scan
        self._reader = reader
        self._device = device
        self._lock = threading.Lock()  # of the patterns
        self._locks = {method: threading.Lock() for method in get_args(Method)}
        self._patterns: tuple[str, Patterns] | None = None
        self._tools: dict[Method, Tools] = {}

    def patterns(self, parameters: Parameters, context: Context) -> Patterns:
        """The patterns of the scan, prepared as the parameters say. Raises SourceError."""
        key = parameters.fingerprint("prepare")
        with self._lock:
            if self._patterns is None or self._patterns[0] != key:
                self._patterns = key, Patterns(self._reader, self.scan, parameters, context)
                self._tools.clear()
            return self._patterns[1]

    def probe(self, parameters: Parameters, context: Context) -> Probe:
        """See :func:`braggscope.app.engine.disk_tools.find_probe`."""
        return find_probe(self.patterns(parameters, context), parameters, context)

    def probe_doubts(self, probe: Probe, parameters: Parameters, context: Context) -> tuple[str, ...]:
        """See :func:`braggscope.app.engine.strain_doubts.probe_doubts`."""
        return probe_doubts(self.patterns(parameters, context), probe, parameters.strain, context)

    def tools(self, method: Method, probe: Probe, parameters: Parameters, context: Context) -> Tools:
        """Tools of a method under these thresholds. Raises StrainError, WeightsError, SourceError."""
        with self._locks[method]:
            return self._tools_of(method, probe, parameters, context)

    def _tools_of(self, method: Method, probe: Probe, parameters: Parameters, context: Context) -> Tools:
        patterns = self.patterns(parameters, context)
        settings = parameters.strain.model_copy(update={"method": method})
        known = self._tools.get(method)
        if (
            known is not None
            and known.probe is probe
            and known.settings.about_disks() == settings.about_disks()
        ):
            return known
        network = None if known is None else known.network
        if known is not None and network is not None and known.settings.weights_file == settings.weights_file:
            tools = Tools(probe, self.scan.shape, patterns.mask, settings, network)
        else:
            wanted = parameters.model_copy(update={"strain": settings})
            tools = make_tools(patterns, probe, wanted, context, self._device)
        self._tools[method] = tools
        return tools

    def see(
        self, prepared: Prepared, method: Method, probe: Probe, parameters: Parameters, context: Context
    ) -> Seen:
        """Disks of a prepared pattern. Raises as :meth:`tools`."""
        tools = self.tools(method, probe, parameters, context)
        start = time.perf_counter()
        image = prepared.image.astype(np.float32)
        late = prepared.mask & ~tools.mask
        if late.any():
            image[late] = np.nan
        disks = measure_pattern(image, tools)
        return Seen(method, disks, 1e3 * (time.perf_counter() - start))

    def some(self, count: int, probe: Probe, parameters: Parameters, context: Context) -> Disks:
        """Disks of ``count`` patterns spread over the scan; ``pattern`` is their position."""
        patterns = self.patterns(parameters, context)
        tools = self.tools(parameters.strain.method, probe, parameters, context).twin()
        places = self.scan.spread(count)
        parts = []
        for first in range(0, len(places), BLOCK):
            context.progress(first, len(places), "disks")
            where, some = patterns.readable(places[first : first + BLOCK], context)
            disks, _ = tools.find(some)
            parts.append(replace(disks, pattern=where[disks.pattern]))
        return Disks.join(parts)

    def mean(
        self, places: NDArray[np.int64], parameters: Parameters, context: Context
    ) -> NDArray[np.float64]:
        """Mean (h, w) of patterns; NaN where all are bad. Raises SourceError."""
        patterns = self.patterns(parameters, context)
        total, count = np.zeros(self.scan.shape), np.zeros(self.scan.shape)
        for first in range(0, len(places), BLOCK):
            context.progress(first, len(places), "mean")
            some = patterns.take(places[first : first + BLOCK], context)
            total += np.nansum(some, axis=0, dtype=np.float64)
            count += np.isfinite(some).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(patterns.mask, np.nan, total / count)

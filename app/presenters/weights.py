"""The networks in memory: loaded once, in the background, because importing torch takes seconds."""

from __future__ import annotations

import queue
from typing import cast

from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.app.engine.networks import CountsLocalizer, Networks, PatchLocalizer
from braggscope.app.presenters.desk import Desk
from braggscope.models.parameters import Localization, Parameters
from braggscope.resources.loader import file_stamp

Key = tuple[str, str]  # method and name of its weights
POLL_S = 0.05  # between two looks at a cancellation


class WeightShelf:
    """Networks by the name of their weights. :meth:`ready` is called from any thread."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._loaded: dict[Key, PatchLocalizer | CountsLocalizer] = {}
        self._asked: set[Key] = set()
        self._stamps: dict[Key, str] = {}  # of the files, when they were read
        desk.device_changed.connect(self._reload)

    def _reload(self) -> None:
        """Load again what is in use, on the device that is wanted now."""
        self._loaded.clear()
        self._asked.clear()
        if self._desk.engine is not None:
            self.want(self._desk.store.state.parameters)

    def ready(self, parameters: Parameters) -> Networks:
        """Of the networks that these parameters name, those that are loaded already."""
        settings = parameters.localize
        return Networks(
            cast(PatchLocalizer | None, self._loaded.get(("braggnn", settings.braggnn))),
            cast(CountsLocalizer | None, self._loaded.get(("net", settings.net))),
        )

    def want(self, parameters: Parameters) -> None:
        """Load in the background what is missing; ``weights_changed`` follows each."""
        for key in _keys(parameters.localize):
            if key not in self._asked:
                self._asked.add(key)
                self._submit(key, self._desk.device_choice)

    def _submit(self, key: Key, choice: str) -> None:
        def done(result: tuple[PatchLocalizer | CountsLocalizer, str, str]) -> None:
            self._loaded[key], self._desk.device, self._stamps[key] = result
            if self._desk.engine is not None:
                self._desk.engine.device = self._desk.device
            self._desk.weights_changed.emit()

        def failed(error: Exception) -> None:
            self._asked.discard(key)
            self._desk.fail(error)

        self._desk.lanes.models.submit(lambda context: _load(key, choice, context), done, on_error=failed)

    def blocking(self, parameters: Parameters, context: Context) -> Networks:
        """The networks among the methods, loaded now if need be; for jobs on other lanes.

        Raises WeightsError; Cancelled within 0.1 s, while the lane of the networks goes on importing.
        """
        known, keys = self.ready(parameters), _keys(parameters.localize)
        current = all(self._stamps.get(key) == file_stamp(key[1]) for key in keys)  # else replaced meanwhile
        if known.complete(parameters.localize.methods) and current:
            return known
        return self._awaited(parameters, self._desk.device_choice, context)

    def _awaited(self, parameters: Parameters, choice: str, context: Context) -> Networks:
        given: queue.SimpleQueue[Networks | Exception] = queue.SimpleQueue()

        def run(_: Context) -> None:
            try:
                given.put(load(parameters, choice))
            except Exception as error:
                given.put(error)

        ticket = self._desk.lanes.models.submit(run, lambda _: None)
        while True:
            try:
                found = given.get(timeout=POLL_S)
            except queue.Empty:
                if context.cancelled.is_set() or ticket.cancelled.is_set():  # the latter: the window closes
                    ticket.cancel()
                    raise Cancelled from None
                continue
            if isinstance(found, Exception):
                raise found
            return found


def _keys(settings: Localization) -> list[Key]:
    from braggscope.app.engine.localizers import weights_in_use

    return list(weights_in_use(settings).items())


def _load(key: Key, choice: str, context: Context) -> tuple[PatchLocalizer | CountsLocalizer, str, str]:
    """Open one network on the chosen device; which device that is, and the stamp of its file."""
    from braggscope.app.engine.localizers import open_localizer, open_net
    from braggscope.models.device import resolve

    context.check()
    device, (method, name) = resolve(choice), key
    stamp = file_stamp(name)  # before reading: what is written meanwhile is noticed
    return (open_net(name, device) if method == "net" else open_localizer(name, device)), device, stamp


def load(parameters: Parameters, choice: str) -> Networks:
    """Open the networks that the parameters name, on the chosen device. Raises WeightsError."""
    from braggscope.app.engine.localizers import open_networks
    from braggscope.models.device import resolve

    return open_networks(parameters.localize, resolve(choice))

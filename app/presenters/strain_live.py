"""Probe and disks of the pattern on screen, live while thresholds move."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.jobs import Cancelled, Context, Ticket
from braggscope.app.errors import sentence
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.strain_overlay import OverlayPresenter
from braggscope.app.presenters.strain_room import StrainRoom
from braggscope.app.state.session import Session
from braggscope.models.disks.parameters import Method
from braggscope.models.disks.results import Probe
from braggscope.models.parameters import Parameters
from braggscope.widgets.strain_disks import LiveCount
from braggscope.widgets.strain_overlay import DiskMarks

if TYPE_CHECKING:
    from braggscope.app.engine.disk_live import LiveDisks, Seen
    from braggscope.models.prepare import Prepared

FAST: Method = "correlation"  # has a lane of its own: the others may take long to set up
ORDER: tuple[Method, ...] = (FAST, "network", "lattice")
PROBE = ("probe_file", "probe_region", "probe_radius")
PROBE_KEY = "probe"  # of notices


class LivePresenter:
    """Asks for disks of the newest view only; what is late is not shown."""

    def __init__(self, room: StrainRoom, overlay: OverlayPresenter, jobs: JobBoard, tool: Any) -> None:
        self._room = room
        self._overlay = overlay
        self._jobs = jobs
        self._tool = tool  # takes a drawing tool of the scan in hand
        self.live: LiveDisks | None = None
        self._sought: tuple[Any, ...] | None = None  # the probe that is being looked for
        self._seeking: Ticket | None = None
        self._wanted: tuple[Any, ...] | None = None
        self._asked_at = 0.0
        self._busy: set[Method] = set()  # methods with a view on its way
        self._found_by: dict[Method, tuple[Any, ...]] = {}  # what their disks belong to
        self._seen: dict[str, Seen] = {}
        self._counts: dict[str, LiveCount] = {}
        self.latency_ms = 0.0
        panel = room.panels.disks
        panel.changed.connect(self._change)
        panel.overlay_changed.connect(self._set_overlay)
        panel.refused.connect(lambda text: room.desk.say("warning", text))
        panel.probe.region_requested.connect(lambda: self._tool("probe"))
        panel.probe.find_requested.connect(self._probe_from_data)
        panel.probe.file_requested.connect(self.ask_probe)
        room.changed.connect(self._restart)
        room.refused.connect(self.show_settings)
        room.entered.connect(self.look)
        room.probe_changed.connect(self.look)
        room.desk.picture_shown.connect(self.look)
        room.desk.store.subscribe(self._on_state)

    # -- the scan -----------------------------------------------------------------------------

    def _restart(self) -> None:
        room = self._room
        engine = room.desk.engine
        self.live, self._sought = None, None
        if engine is not None and room.scan is not None:
            from braggscope.app.engine.disk_live import LiveDisks

            self.live = LiveDisks(engine.reader, room.scan, room.desk.device)
        self._forget()
        room.panels.disks.setEnabled(room.scan is not None)
        room.panels.disks.probe.set_probe(None, "none yet")
        self.show_settings()
        self.look()

    def _forget(self) -> None:
        self._seen, self._counts, self._found_by, self._wanted = {}, {}, {}, None
        self._show()

    def find_probe(self) -> None:
        """Measure the probe as the parameters say."""
        room, live = self._room, self.live
        if live is None or room.scan is None or not room.active:
            return
        parameters, scan = room.desk.store.state.parameters, room.scan
        sought = self._sought = self._probe_wanted()

        def run(context: Context) -> tuple[Probe, tuple[str, ...]]:
            probe = live.probe(parameters, context)
            return probe, live.probe_doubts(probe, parameters, context)

        def done(found: tuple[Probe, tuple[str, ...]]) -> None:
            probe, doubts = found
            if sought == self._sought and room.scan is scan:
                room.desk.settle(PROBE_KEY)
                if doubts:
                    room.desk.say("warning", " ".join(doubts), key=PROBE_KEY)
                room.panels.disks.probe.set_probe(probe)
                room.take_probe(probe)

        def failed(error: Exception) -> None:
            if sought == self._sought and room.scan is scan:
                room.panels.disks.probe.set_probe(None, "not found")
                room.take_probe(None)
                room.desk.fail(error, PROBE_KEY)

        if self._seeking is not None:
            self._seeking.cancel()
        lane = room.desk.lanes.calibrate
        self._seeking = lane.submit(run, done, on_error=failed)

    def _probe_wanted(self) -> tuple[Any, ...]:
        """What the probe depends on, besides the scan."""
        parameters = self._room.desk.store.state.parameters
        return parameters.fingerprint("prepare"), *(getattr(parameters.strain, name) for name in PROBE)

    def ask_probe(self) -> None:
        """Choose a file with the probe in vacuum."""
        folder = self._room.desk.settings.last_folder
        name, _ = QFileDialog.getOpenFileName(self._room.window, "Probe in vacuum", folder)
        if name:
            self._room.desk.settings.last_folder = str(Path(name).parent)
            self._room.change(probe_file=name, probe_region=None)

    def _probe_from_data(self) -> None:
        if self._room.strain.probe_file is None and self._room.strain.probe_region is None:
            self.find_probe()
        else:
            self._room.change(probe_file=None, probe_region=None)

    # -- live ---------------------------------------------------------------------------------

    def methods(self) -> tuple[Method, ...]:
        """Whose disks are drawn, the fastest first."""
        shown = {self._room.strain.method, *self._room.view.overlay}
        return tuple(method for method in ORDER if method in shown)

    def look(self) -> None:
        """Ask for the disks of the pattern on screen, unless they are there or on their way."""
        room, desk, live = self._room, self._room.desk, self.live
        picture, probe = desk.picture, room.probe
        if (
            not room.active
            or live is None
            or picture is None
            or not desk.is_current(picture.key, any_threshold=True)
        ):
            return
        if self._sought != self._probe_wanted():
            self.find_probe()
        if not room.probe_known:
            return
        if probe is None:
            self._forget()
            return
        parameters, methods = desk.store.state.parameters, self.methods()
        settings = parameters.strain.model_copy(update={"method": "correlation"}).about_disks()
        wanted = (picture.key.identity, picture.key.frame, picture.key.prepared, settings,
                  parameters.strain.lattice, parameters.strain.weights_file, id(probe))  # fmt: skip
        if wanted != self._wanted:
            self._wanted, self._asked_at = wanted, time.perf_counter()
        for method in methods:
            if self._found_by.get(method) != wanted and method not in self._busy:
                self._ask(method, wanted, live, picture.prepared, probe, parameters)

    def _ask(
        self, method: Method, wanted: tuple[Any, ...], live: LiveDisks, prepared: Prepared, probe: Probe,
        parameters: Parameters,
    ) -> None:  # fmt: skip
        """One view by one method; of those wanted meanwhile the newest is asked for when it is there."""
        desk = self._room.desk
        self._busy.add(method)

        def run(context: Context) -> tuple[Seen | None, LiveCount]:
            with desk.gate:
                return _one(live, prepared, method, probe, parameters, context)

        def done(found: tuple[Seen | None, LiveCount]) -> None:
            self._busy.discard(method)
            if live is self.live:
                self._found_by[method] = wanted
                if wanted == self._wanted:
                    self._take(method, *found)
            self.look()

        def ended() -> None:
            self._busy.discard(method)

        lane = desk.lanes.disks if method == FAST else desk.lanes.precise
        lane.submit(run, done, on_error=lambda _: ended(), on_cancelled=ended)

    def _take(self, method: Method, seen: Seen | None, count: LiveCount) -> None:
        self._counts[method] = count
        self._seen.pop(method, None)
        if seen is not None:
            self._seen[method] = seen
        self.latency_ms = 1e3 * (time.perf_counter() - self._asked_at)
        self._show()

    def _show(self) -> None:
        room, methods = self._room, self.methods()
        radius = 1.0 if room.probe is None else room.probe.radius
        marks = [
            DiskMarks(method, self._seen[method].disks.x, self._seen[method].disks.y, radius)
            for method in sorted(methods, key=lambda m: m != room.strain.method)  # the chosen one first
            if method in self._seen
        ]
        self._overlay.set_disks(tuple(marks))
        room.panels.disks.set_counts({m: c for m, c in self._counts.items() if m in methods})

    def show_settings(self) -> None:
        """Bring the panel to the state."""
        room = self._room
        room.panels.disks.set_strain(room.strain, None if room.probe is None else room.probe.radius)
        room.panels.disks.set_overlay(self.methods())

    # -- gestures and state -------------------------------------------------------------------

    def _change(self, changes: dict[str, Any], live: bool) -> None:
        if changes:
            self._room.change(merge="+".join(changes) if live else "", **changes)
        if not live:
            self._room.desk.store.end_merge()

    def _set_overlay(self, methods: tuple[Method, ...]) -> None:
        self._room.show(overlay=tuple(m for m in methods if m != self._room.strain.method))
        self.show_settings()

    def _on_state(self, old: Session, new: Session) -> None:
        before, after = old.parameters.strain, new.parameters.strain
        if self._sought is not None and self._sought != self._probe_wanted():
            self.find_probe()
        if before != after or old.strain.overlay != new.strain.overlay:
            self.show_settings()
            self.look()
            self._show()


def _one(
    live: LiveDisks,
    prepared: Prepared,
    method: Method,
    probe: Probe,
    parameters: Parameters,
    context: Context,
) -> tuple[Seen | None, LiveCount]:
    """Disks by one method, or why there are none: the others are shown all the same."""
    try:
        seen = live.see(prepared, method, probe, parameters, context)
    except Cancelled:
        raise
    except Exception as error:
        return None, LiveCount(0, 0.0, sentence(error))
    return seen, LiveCount(len(seen.disks), seen.ms)

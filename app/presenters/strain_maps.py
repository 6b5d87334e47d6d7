"""The dock of strain maps: what is shown of the results, and the choices made there."""

from __future__ import annotations

from typing import Any

from braggscope.app.engine.jobs import Context
from braggscope.app.presenters.strain_contents import MapContent, content
from braggscope.app.presenters.strain_room import StrainRoom
from braggscope.app.presenters.strain_runs import StrainRuns
from braggscope.app.state.session import Session
from braggscope.widgets.scan_paint import Line
from braggscope.widgets.strain_methods import METHODS

START = "Press “Measure scan”: maps fill in while the scan is measured."
OTHER = "measured with other settings"
PART = "only a part of the scan is measured"
ALONE = "Measure with {}, too, to compare."


class MapsPresenter:
    """Draws on the lane of maps; only the newest is shown."""

    def __init__(self, room: StrainRoom, runs: StrainRuns, tool: Any) -> None:
        self._room = room
        self._runs = runs
        self._tool = tool
        panel = room.panels.maps
        panel.view_changed.connect(self._choose)
        panel.tool_requested.connect(tool)
        panel.maps.line_drawn.connect(self._line_drawn)
        panel.clear_reference_requested.connect(lambda: room.change(reference=None))
        runs.changed.connect(self.show)
        room.refused.connect(self.show_view)
        room.desk.store.subscribe(self._on_state)
        self.show_view()

    def _choose(self, changes: dict[str, Any]) -> None:
        if "method" in changes:
            self._room.change(method=changes["method"])
            if self._room.view.beside == changes["method"]:
                self._room.show(beside="")
        else:
            self._room.show(**changes)

    def _line_drawn(self, line: Line) -> None:
        self._tool("")
        self._room.show(line=line)
        self._room.panels.maps.plots.show_plot("profile")

    def _on_state(self, old: Session, new: Session) -> None:
        if old.strain != new.strain or old.parameters.strain != new.parameters.strain:
            self.show_view()
            self.show()

    def show_view(self) -> None:
        """Bring the choices to the state."""
        view, panel = self._room.view, self._room.panels.maps
        panel.set_view({**dict(view), "method": self._room.strain.method})
        panel.maps.set_line(view.line)

    def show(self) -> None:
        """Ask for the maps of the chosen method."""
        room, runs, view = self._room, self._runs, self._room.view
        result = runs.result()
        if result is None:
            room.desk.lanes.maps.cancel_all()
            room.panels.maps.set_pictures([], START if room.scan is not None else room.problem)
            room.panels.maps.set_note("")
            return
        other = runs.result(view.beside) if view.beside else None
        notes = [] if runs.agrees(result) or runs.running else [OTHER]
        if view.beside:
            title = METHODS[view.beside].title
            if other is None:
                notes.append(ALONE.format(title))
            elif not runs.agrees(other):
                notes.append(f"{title}: {OTHER}")
            elif not other.complete:
                notes.append(f"{title}: {PART}")

        def run(_: Context) -> MapContent:
            return content(result, other, view)

        def done(found: MapContent) -> None:
            if runs.result() is result:
                self._take(found, notes)

        room.desk.lanes.maps.submit(run, done, on_error=room.desk.fail)

    def _take(self, found: MapContent, notes: list[str]) -> None:
        panel = self._room.panels.maps
        panel.set_pictures(found.pictures, "")
        panel.maps.set_position(self._room.position)
        panel.maps.set_step(self._room.step)
        panel.plots.set_spreads(found.spreads, found.spread_label)
        panel.plots.set_profile(found.profile, *found.profile_labels)
        panel.set_note(" · ".join([*notes, found.note]))

"""The dock of strain maps: what is shown of the results, and the choices made there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from braggscope.app.engine.jobs import Context
from braggscope.app.presenters.strain_contents import MapContent, content
from braggscope.app.presenters.strain_room import StrainRoom
from braggscope.app.presenters.strain_runs import StrainRuns
from braggscope.app.state.session import Session
from braggscope.widgets.scan_paint import Line
from braggscope.widgets.strain_methods import METHODS

if TYPE_CHECKING:
    from braggscope.models.disks.parameters import Method

START = "Press “Measure scan”: maps fill in while the scan is measured."
OTHER = "measured with other settings"
PART = "only a part of the scan is measured"
ALONE = "{} was not measured yet."
ALSO = "Measure {} too"
REFINE = "Refine"
WHY_REFINE = (
    "Measure again with the lattice fit, and show both and their difference.\n"
    "The network stays the first choice: it needs no lattice.\nWhere one lattice runs through the scan, the"
    " lattice fit's strain was 1 to 3 times as exact on simulated layers and thick crystals, in about the"
    " same time."
)


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
        panel.offer_taken.connect(self._take_offer)
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
        self._offer()
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

    def _missing(self) -> Method | None:
        """The method of the map beside, where it was not measured."""
        beside = self._room.view.beside
        return beside if beside and self._runs.result(beside) is None else None

    def _offer(self) -> None:
        """What is one click away: the method that the other map needs, else the lattice fit."""
        runs, panel, missing = self._runs, self._room.panels.maps, self._missing()
        result = runs.result()
        if result is None or not result.complete or runs.running:
            panel.set_offer("")
        elif missing is not None:
            title = METHODS[missing].title
            panel.set_offer(ALSO.format(title), f"Measure the scan by {title}; the chosen method stays.")
        else:
            done = runs.result("lattice") is not None
            panel.set_offer("" if done else REFINE, WHY_REFINE)

    def _take_offer(self) -> None:
        missing = self._missing()
        if missing is None:
            self._runs.refine()
        else:
            self._runs.run(missing)

    def _take(self, found: MapContent, notes: list[str]) -> None:
        panel = self._room.panels.maps
        panel.set_pictures(found.pictures, "")
        panel.set_limits(*found.limits)
        panel.maps.set_position(self._room.position)
        panel.maps.set_step(self._room.step)
        panel.plots.set_spreads(found.spreads, found.spread_label)
        panel.plots.set_profile(found.profile, *found.profile_labels)
        panel.set_note(" · ".join([*notes, found.note]))

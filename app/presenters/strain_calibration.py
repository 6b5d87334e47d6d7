"""Calibration: every step is computed on request, shown, and then applied or discarded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.scan_images import VirtualImages
from braggscope.app.engine.strain_result import StrainError
from braggscope.app.errors import sentence
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.strain_live import LivePresenter
from braggscope.app.presenters.strain_overlay import OverlayPresenter
from braggscope.app.presenters.strain_room import StrainRoom
from braggscope.app.presenters.strain_steps import (
    Proposal,
    find_ellipse,
    find_lattice,
    find_origin,
    find_pixel,
    find_rotation,
    first_lattice,
    lattice_of,
    lattice_proposal,
    made_round,
)
from braggscope.app.state.session import Session
from braggscope.models.disks.results import Disks, Lattice
from braggscope.models.parameters import Parameters
from braggscope.widgets.strain_calibration import STEPS

SAMPLE = 1024  # patterns whose disks make the Bragg vector map, spread over the scan
REGION = 1024  # patterns of a region whose mean is shown
NO_PROBE = "There is no probe yet; choose a region in vacuum, a file, or type its radius."
Work = Callable[[Context], Proposal]


class CalibrationPresenter:
    """Keeps the disks of some patterns, from which all steps but the rotation start."""

    def __init__(
        self, room: StrainRoom, overlay: OverlayPresenter, live: LivePresenter, jobs: JobBoard
    ) -> None:
        self._room = room
        self._overlay = overlay
        self._live = live
        self._jobs = jobs
        self._disks: tuple[Any, Disks] | None = None  # with what they were found by
        self._map: NDArray[np.float32] | None = None
        self._region: tuple[Any, NDArray[np.float64]] | None = None
        self._region_wanted: Any = None
        self._images: VirtualImages | None = None
        self._origin: tuple[float, float] | None = None  # where lattices are drawn
        self._proposals: dict[str, Proposal] = {}
        panel = room.panels.calibration
        panel.requested.connect(self.measure)
        panel.applied.connect(self.apply)
        panel.discarded.connect(self.discard)
        panel.changed.connect(lambda changes: room.change(**changes))
        panel.refused.connect(lambda text: room.desk.say("warning", text))
        room.panels.bragg.requested.connect(lambda: self.compute())
        room.panels.bragg.view_changed.connect(lambda key: room.show(pattern=key))
        overlay.on_lattice = self._lattice_dragged
        room.changed.connect(self._restart)
        room.refused.connect(lambda: panel.set_strain(room.strain))
        room.images_changed.connect(self._take_images)
        room.entered.connect(self.show)
        room.desk.store.subscribe(self._on_state)

    def _restart(self) -> None:
        self._disks = self._map = self._region = self._images = self._origin = self._region_wanted = None
        for key in list(STEPS):
            self.discard(key)
        panels = self._room.panels
        for panel in (panels.calibration, panels.bragg):
            panel.setEnabled(self._room.scan is not None)
        panels.calibration.set_file_pixel(self._room.file_pixel)
        self.show()

    # -- disks of the scan --------------------------------------------------------------------

    def _found_by(self, parameters: Parameters) -> Any:
        """What the disks of the sample depend on."""
        return parameters.fingerprint("prepare"), parameters.strain.about_disks(), id(self._room.probe)

    def take_disks(self, disks: Disks, origin: tuple[float, float], parameters: Parameters) -> None:
        """Use what a whole run has found, unless other disks are wanted by now."""
        key = self._found_by(parameters)
        if key != self._found_by(self._room.desk.store.state.parameters):
            return
        self._disks, self._map = (key, disks), None
        self._origin = origin
        self.compute(switch=False)

    def _gatherer(self) -> Callable[[Context], Disks]:
        """What gives the disks of a sample on the lane of calibration, found unless they are known."""
        live, probe, parameters = self._live.live, self._room.probe, self._room.desk.store.state.parameters
        key = self._found_by(parameters)

        def gather(context: Context) -> Disks:
            known = self._disks
            if known is not None and known[0] == key:
                return known[1]
            if live is None or probe is None:
                raise StrainError(NO_PROBE)
            disks = live.some(SAMPLE, probe, parameters, context)
            self._disks = key, disks
            return disks

        return gather

    def compute(self, switch: bool = True) -> None:
        """Make the Bragg vector map, and ``switch`` to it."""
        room, scan, gather = self._room, self._room.scan, self._gatherer()
        if scan is None:
            return
        room.panels.bragg.set_running(True)

        def run(context: Context) -> tuple[NDArray[np.float32], tuple[float, float] | None, int]:
            from braggscope.models.disks.bragg_map import bragg_map
            from braggscope.models.disks.calibrate import origins
            from braggscope.models.disks.propose import ADVICE

            disks = gather(context)
            if not len(disks):
                raise StrainError(f"No disk was found; {ADVICE}.")
            try:
                origin = first_lattice(disks, scan.shape).origin
            except ValueError:
                origin = None
            places = origins(disks, scan.scan_shape, "measured")
            return bragg_map(disks, scan.shape, places), origin, len(disks)

        def done(found: tuple[NDArray[np.float32], tuple[float, float] | None, int]) -> str:
            if room.scan is scan:
                self._map = found[0]
                self._origin = found[1] or (scan.shape[1] / 2, scan.shape[0] / 2)
                if switch:
                    room.show(pattern="bragg")
                self.show()
            return f"{found[2]:,} disks"

        ended = partial(room.panels.bragg.set_running, False)
        self._jobs.submit(room.desk.lanes.calibrate, "Bragg vectors", run, done, on_end=ended)

    # -- steps --------------------------------------------------------------------------------

    def measure(self, key: str) -> None:
        """Compute one step and show what it found."""
        room, panel, scan = self._room, self._room.panels.calibration, self._room.scan
        work = None if scan is None else self._work(key)
        if work is None:
            return
        panel.set_running(key, True)

        def done(proposal: Proposal) -> str:
            if room.scan is scan:
                self.propose(proposal)
            return ", ".join(f"{name} {value}" for name, value in proposal.items[:2])

        lane, ended = room.desk.lanes.calibrate, partial(panel.set_running, key, False)
        self._jobs.submit(lane, STEPS[key][0], work, done, on_end=ended)

    def _work(self, key: str) -> Work | None:
        """What a step does on its lane; None where something is missing, which is said."""
        room, panel, scan = self._room, self._room.panels.calibration, self._room.scan
        assert scan is not None
        gather, model, images = self._gatherer(), panel.origin.currentData(), self._images
        how, ring, spacing = panel.known.currentData(), panel.ring_radii(), panel.known_spacing()
        drawn, strain = self._overlay.lattice, room.strain
        if key == "rotation":
            if images is None:
                room.desk.say("info", "The centres of mass come with the virtual images; wait for them.")
                return None
            return lambda _: find_rotation(images.centre)
        if key == "pixel" and spacing is None:
            room.desk.say("info", "Pixel size: type the spacing in Å that vector a stands for first.")
            return None

        def lattice(disks: Disks) -> Lattice:
            return drawn or first_lattice(disks, scan.shape)

        steps: dict[str, Callable[[Disks], Proposal]] = {
            "lattice": lambda disks: find_lattice(made_round(disks, scan.shape, strain), scan.shape),
            "origin": lambda disks: find_origin(disks, scan.scan_shape, model),
            "ellipse": lambda disks: find_ellipse(disks, lattice, how, ring),
            "pixel": lambda disks: find_pixel(lattice(made_round(disks, scan.shape, strain)), spacing or 0.0),
        }
        return lambda context: steps[key](gather(context))

    def propose(self, proposal: Proposal) -> None:
        """Show what was found, for a decision."""
        panel = self._room.panels.calibration
        self._proposals[proposal.key] = proposal
        if proposal.maps is not None:
            panel.set_origin_maps(*proposal.maps)
        if proposal.curl is not None:
            panel.set_curl(*proposal.curl)
        if proposal.lattice is not None:
            self._origin = proposal.lattice.origin
        panel.set_result(proposal.key, proposal.items)
        self.show()

    def apply(self, key: str) -> None:
        """Use what was found."""
        proposal = self._proposals.pop(key, None)
        self._room.panels.calibration.set_result(key, [])
        if proposal is not None:
            self._room.change(**proposal.changes)
        self.show()

    def discard(self, key: str) -> None:
        """Forget what was found."""
        self._proposals.pop(key, None)
        panel = self._room.panels.calibration
        panel.set_result(key, [])
        panel.set_strain(self._room.strain)
        self.show()

    def _lattice_dragged(self, lattice: Lattice) -> None:
        proposal = lattice_proposal(lattice)
        self._origin = lattice.origin
        self._proposals["lattice"] = proposal
        section = self._room.panels.calibration.sections["lattice"]
        if section.decision.isVisibleTo(section):
            section.outcome.set_items(proposal.items)
        else:
            self._room.panels.calibration.set_result("lattice", proposal.items)

    # -- showing ------------------------------------------------------------------------------

    def show(self) -> None:
        """Bring Bragg vector map and drawn lattice to the state."""
        room, view = self._room, self._room.view
        proposed = self._proposals.get("lattice")
        if proposed is not None:
            self._overlay.set_lattice(proposed.lattice, True)
        else:
            self._overlay.set_lattice(lattice_of(room.strain, self._origin), False)
        ellipse = self._proposals.get("ellipse")
        self._overlay.set_curves(() if ellipse is None else ellipse.curves)
        values: NDArray | None = None
        if room.scan is not None and view.pattern == "bragg":
            values = self._map
        elif room.scan is not None and view.pattern == "region":
            values = self._mean_of_region()
        elif room.scan is not None and self._images is not None and self._images.count:
            values = self._images.mean if view.pattern == "mean" else self._images.maximum
        room.panels.bragg.set_picture(values, view.pattern)

    def _mean_of_region(self) -> NDArray[np.float64] | None:
        """Mean pattern of the region, asked for where it is not known."""
        room, scan, live, roi = self._room, self._room.scan, self._live.live, self._room.view.roi
        parameters = room.desk.store.state.parameters
        key = (roi, parameters.fingerprint("prepare"))
        if roi is None or scan is None or live is None:
            return None
        if self._region is not None and self._region[0] == key:
            return self._region[1]
        if self._region_wanted == key:  # it is on its way
            return None
        self._region_wanted = key

        def run(context: Context) -> NDArray[np.float64]:
            places = scan.at(roi)
            return live.mean(places[:: max(1, len(places) // REGION)], parameters, context)

        def done(mean: NDArray[np.float64]) -> None:
            if room.scan is scan:
                self._region = key, mean
                self.show()

        def stopped() -> None:
            if self._region_wanted == key:
                self._region_wanted = None  # the next look asks again

        def failed(error: Exception) -> None:
            stopped()
            room.desk.say("warning", sentence(error))

        room.desk.lanes.calibrate.submit(run, done, on_error=failed, on_cancelled=stopped)
        return None

    def _take_images(self, images: VirtualImages) -> None:
        self._images = images
        if self._room.view.pattern in ("mean", "maximum"):
            self.show()

    def _on_state(self, old: Session, new: Session) -> None:
        if old.parameters.strain != new.parameters.strain:
            self._room.panels.calibration.set_strain(new.parameters.strain)
            self.show()
        elif (old.strain.pattern, old.strain.roi) != (new.strain.pattern, new.strain.roi):
            self.show()

"""What the page of the Coherent workspace shows: data, the running object, a reconstruction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from braggscope.models.cdi.layers import Quantity
from braggscope.models.cdi.scene import Scene
from braggscope.widgets.coherent_view import QUANTITIES

if TYPE_CHECKING:
    from braggscope.app.engine.coherent_live import Glimpse
    from braggscope.app.engine.coherent_look import Looked
    from braggscope.app.engine.coherent_results import Candidate
    from braggscope.app.engine.coherent_volume import Volume
    from braggscope.app.presenters.coherent import CoherentPresenter

SURFACE_S = 0.3  # between two surfaces of a running reconstruction
TITLES = dict(QUANTITIES)
NONE = "The surface of the crystal appears here while it is being phased."


class CoherentShow:
    """Everything is computed on the surface lane, which keeps only the newest request."""

    def __init__(self, room: CoherentPresenter) -> None:
        self._room = room
        self._page, self._result = room.panels.page, room.panels.result
        self.chosen: Candidate | None = None
        self.looked: Looked | None = None
        self._live: object | None = None  # the reconstruction that is watched
        self._pending = False  # a look that was asked for is not on screen yet
        self._next_surface = 0.0
        page = self._page
        page.show_changed.connect(lambda value: self._look(show=value))
        page.quantity_changed.connect(lambda value: self._look(quantity=value))
        page.frame_changed.connect(lambda value: self._look(frame=value))
        page.clip_changed.connect(lambda _: self._scene())

    # -- values -------------------------------------------------------------------------------

    def forget(self) -> None:
        """Another stack: nothing is known of it."""
        self._live = None
        self._page.data.set_layer(None)
        self._page.put_brush_down()
        self.candidate(None)

    def data(self, volume: Volume) -> None:
        """Show the data of a volume."""
        self._page.data.set_title("Data as read" if volume.pattern is None else "Data")
        self._page.data.set_layer(volume.layer, keep=True)

    def candidate(self, candidate: Candidate | None) -> None:
        """Show a reconstruction, or none."""
        self.chosen = candidate
        if candidate is not None:
            self._compute()
            return
        self.looked, self._pending = None, False
        self._page.object.set_layer(None)
        self._page.surface.set_message(NONE)
        self._page.set_object_known(False)
        self._page.set_show("data")
        self._result.set_facts(None)

    def parameters_changed(self) -> None:
        """Voxel size or Q may be others: the same reconstruction is looked at again."""
        if self.chosen is not None:
            self._compute()

    def look_changed(self) -> None:
        """Other quantity, frame or arrangement."""
        look = self._room.desk.store.state.coherent
        if look.show != self._page.show_mode and (self._live or self.chosen is not None):
            self._page.set_show(look.show)
        looked = self.looked
        if self._live or (looked is None and not self._pending):
            return
        from braggscope.app.engine.coherent_look import frame_for

        if looked is None or self._pending:
            self._compute()  # another request on the lane would cancel it
        elif looked.particle.frame != frame_for(looked.typed, look.frame):
            self._compute()
        else:
            self._show_slices(looked)
            self._scene()

    # -- the running object -------------------------------------------------------------------

    def begin(self) -> None:
        """A reconstruction starts: the crystal is watched."""
        self._live, self._next_surface = object(), 0.0
        page = self._page
        page.object.set_layer(None)
        page.object.set_title("Now")
        page.set_quantities(("modulus", "phase"), self._live_quantity())
        page.set_frames(("measured",), "measured")
        page.set_object_known(True)
        page.surface.set_message("The surface appears with the first iterations.")
        look = self._room.desk.store.state.coherent
        if look.show == "data":
            self._look(show="object")
        page.set_show(self._room.desk.store.state.coherent.show)

    def glimpse(self, glimpse: Glimpse) -> None:
        """Show the object as it is now."""
        from braggscope.app.engine.coherent_look import live_scene

        if not self._live or glimpse.modulus is None or glimpse.phase is None:
            return
        quantity = self._live_quantity()
        self._page.object.set_title(f"Now: {TITLES[quantity].lower()}")
        self._page.object.set_layer(glimpse.modulus if quantity == "modulus" else glimpse.phase, keep=True)
        lane, now = self._room.desk.lanes.surface, time.monotonic()
        if self._page.surface.isVisible() and now >= self._next_surface and not lane.busy:
            self._next_surface = now + SURFACE_S
            modulus, phase, live = glimpse.modulus, glimpse.phase, self._live

            def show(made: Scene) -> None:
                if self._live is live:  # else another reconstruction is watched, or none
                    self._page.surface.set_scene(made)

            lane.submit(lambda _: live_scene(modulus, phase), show, on_error=self._room.desk.fail)

    def end(self) -> None:
        """It ended; what was there before comes back, unless a result follows."""
        self._live = None
        self.candidate(self.chosen)

    def _live_quantity(self) -> Quantity:
        return "modulus" if self._room.desk.store.state.coherent.quantity == "modulus" else "phase"

    # -- a reconstruction ---------------------------------------------------------------------

    def _compute(self) -> None:
        """Bring the chosen reconstruction into its frame, and show it."""
        candidate, look = self.chosen, self._room.desk.store.state.coherent
        if candidate is None or self._live:
            return
        from braggscope.app.engine.coherent_look import frame_for, look_at

        volume, typed = self._room.volume, self._room.phasing
        if volume is not None and volume.problem and self.looked is not None:
            typed = self.looked.typed  # a step that the file contradicts turns the strain around
        self._pending = True
        frame, clip, quantity = frame_for(typed, look.frame), self._page.clip(), look.quantity
        self._room.desk.lanes.surface.submit(
            lambda _: look_at(candidate, typed, frame, quantity, clip), self._took,
            on_error=self._room.desk.fail,
        )  # fmt: skip

    def _took(self, looked: Looked) -> None:
        from braggscope.app.engine.coherent_views import frames_of

        if self._live or looked.candidate is not self.chosen:
            return
        before, self.looked, self._pending = self.looked, looked, False
        page, transfer = self._page, looked.candidate.phased.transfer
        page.set_object_known(True)
        page.set_frames(frames_of(looked.typed), looked.particle.frame)
        page.set_show(self._room.desk.store.state.coherent.show)
        self._show_slices(looked)
        same = before is not None and before.particle.frame == looked.particle.frame
        page.surface.set_scene(looked.scene, keep=same)
        self._result.set_facts(looked.facts, looked.twin)
        self._result.set_strain(looked.counts, looked.edges, "strain along Q")
        if transfer is None:
            self._result.set_transfer(np.zeros(0), np.zeros(0), None, "")
        else:
            at = 1 / transfer.resolution if transfer.reached else None
            self._result.set_transfer(transfer.frequency, transfer.prtf, at, looked.resolution)

    def _show_slices(self, looked: Looked) -> None:
        from braggscope.app.engine.coherent_look import shown

        page, particle = self._page, looked.particle
        quantity = shown(particle, self._room.desk.store.state.coherent.quantity)
        page.set_quantities(tuple(particle.layers), quantity)
        page.object.set_title(TITLES[quantity])
        page.object.set_layer(
            particle.layers[quantity], y_up=particle.frame != "measured", keep=page.object.layer is not None
        )

    def _scene(self) -> None:
        """The surface again, in other colours or cut elsewhere."""
        looked = self.looked
        if self._pending:
            self._compute()  # another request on the lane would cancel it
        if self._pending or looked is None or self._live:
            return
        from braggscope.app.engine.coherent_look import shown
        from braggscope.app.engine.coherent_views import scene

        particle, clip = looked.particle, self._page.clip()
        quantity = shown(particle, self._room.desk.store.state.coherent.quantity)

        def show(made: Scene) -> None:
            if self.looked is looked and not self._live:
                self._page.surface.set_scene(made)

        self._room.desk.lanes.surface.submit(
            lambda _: scene(particle, quantity, clip=clip), show, on_error=self._room.desk.fail
        )

    def _look(self, **changes: object) -> None:
        store = self._room.desk.store
        store.update(coherent=store.state.coherent.model_copy(update=changes))

"""Masks, calibration, regions and what is measured in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.setup import beam_centre, with_beam
from braggscope.app.export.masks import write_mask
from braggscope.app.files import check_not_input
from braggscope.app.presenters.desk import Desk
from braggscope.app.state.plan import Request
from braggscope.app.state.session import Session
from braggscope.models.parameters import Preparation
from braggscope.models.regions import Region, rebinned
from braggscope.widgets.frame_tools import ToolName

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow
    from braggscope.models.prepare import Prepared


class PreparationPresenter:
    """Keeps the prepare panel and the drawn shapes true; preparation is shared by all parameter sets."""

    def __init__(self, desk: Desk, window: MainWindow) -> None:
        self._desk = desk
        self._window = window
        self._target = "mask"
        panel = window.prepare_panel
        panel.preparation_changed.connect(self.set_preparation)
        panel.tool_requested.connect(self.tool)
        panel.choose_file_requested.connect(self.ask_file)
        panel.save_mask_requested.connect(self.ask_save_mask)
        panel.orientation_changed.connect(self._set_orientation)
        panel.show_background_toggled.connect(lambda on: self._display(show_background=on))
        window.frame_view.region_drawn.connect(self._region_drawn)
        window.frame_view.line_drawn.connect(self._line_drawn)
        window.frame_view.tool_dismissed.connect(lambda: panel.set_tool(""))
        regions = window.region_panel
        regions.line_requested.connect(lambda: window.frame_view.set_tool("line"))
        regions.radial_requested.connect(self.radial)
        regions.statistics_requested.connect(self.statistics)
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self.show)
        desk.picture_shown.connect(self._show_counts)

    def show(self) -> None:
        """Bring panel and drawn shapes to the state."""
        preparation = self._desk.store.state.parameters.prepare
        display, panel = self._desk.store.state.display, self._window.prepare_panel
        panel.set_preparation(preparation)
        panel.set_orientation(display.rotation, display.flip_h, display.flip_v)
        panel.set_background_shown(display.show_background)
        self._window.frame_view.set_regions(preparation.regions, preparation.masked)

    def set_preparation(self, preparation: Preparation) -> None:
        """Take over a whole preparation; a radial background has the beam of a chosen instrument."""
        store = self._desk.store
        state, old = store.state, store.state.parameters.prepare.binning
        if preparation.binning != old:  # marked peaks are other pixels now
            preparation = _rebinned(preparation, old)
            state = state.model_copy(update={"selected": None, "rejected": frozenset()})
        parameters = state.parameters.model_copy(update={"prepare": preparation})
        if state.instrument is not None:
            parameters = with_beam(parameters, self._desk.instrument)
        store.replace(state.with_parameters(parameters))

    def change(self, **changes: object) -> None:
        """Replace some values of the preparation."""
        self.set_preparation(self._desk.store.state.parameters.with_prepare(**changes).prepare)

    def tool(self, name: ToolName | Literal[""], target: str) -> None:
        """Draw a shape next: ``target`` is ``mask``, ``region`` or ``measure``."""
        self._target = target
        self._window.frame_view.set_tool(name or None)

    def clear_shapes(self) -> None:
        """Remove all drawn shapes."""
        self.change(masked=(), regions=())

    def _region_drawn(self, region: Region) -> None:
        preparation = self._desk.store.state.parameters.prepare
        self._window.frame_view.set_tool(None)
        self._window.prepare_panel.set_tool("")
        if self._target == "mask":
            self.change(masked=(*preparation.masked, region))
        elif self._target == "region":
            self.change(regions=(*preparation.regions, region))
        elif self._target == "measure":
            self._measure(region)

    # -- files --------------------------------------------------------------------------------

    def ask_file(self, field: str) -> None:
        """Choose a mask, dark or flat file."""
        what = {"mask_file": "mask", "dark_file": "dark", "flat_file": "flat field"}[field]
        name, _ = QFileDialog.getOpenFileName(self._window, f"Load {what}", "")
        if name:
            self.change(**{field: name})

    def ask_save_mask(self) -> None:
        """Save the mask of the frame on screen."""
        picture = self._desk.picture
        if picture is None:
            return
        name, _ = QFileDialog.getSaveFileName(
            self._window, "Save mask", "mask.tif", "Mask (*.tif *.npy *.h5 *.edf)"
        )
        if not name:
            return
        mask, state = picture.prepared.mask, self._desk.store.state
        prepare = state.parameters.prepare
        read = [state.location, prepare.mask_file, prepare.dark_file, prepare.flat_file]

        def run(_: Context) -> None:
            check_not_input(Path(name), read)
            write_mask(Path(name), mask)

        self._desk.lanes.state.submit(
            run,
            lambda _: self._desk.say("info", f"Mask saved as {Path(name).name}."),
            on_error=self._desk.fail,
        )

    # -- measuring ----------------------------------------------------------------------------

    def statistics(self) -> None:
        """Statistics of a rectangle to be drawn."""
        self.tool("rectangle", "measure")

    def _prepared(self) -> Prepared | None:
        return None if self._desk.picture is None else self._desk.picture.prepared

    def _measure(self, region: Region) -> None:
        prepared = self._prepared()
        if prepared is None:
            return

        def run(_: Context) -> list[tuple[str, str]]:
            from braggscope.models.measure import region_statistics

            found = region_statistics(prepared.image, prepared.mask, region)
            return [
                ("Pixels", f"{found.n:,}"), ("Masked", f"{found.masked:,}"), ("Sum", f"{found.sum:,.6g}"),
                ("Mean", f"{found.mean:,.6g}"), ("Standard deviation", f"{found.std:,.6g}"),
                ("Median", f"{found.median:,.6g}"), ("Minimum", f"{found.minimum:,.6g}"),
                ("Maximum", f"{found.maximum:,.6g}"),
            ]  # fmt: skip

        self._desk.lanes.small.submit(run, self._window.region_panel.set_statistics, on_error=self._desk.fail)

    def _line_drawn(self, x0: float, y0: float, x1: float, y1: float) -> None:
        from braggscope.models.measure import line_profile

        self._window.frame_view.set_tool(None)
        prepared = self._prepared()
        if prepared is None:
            return

        def show(profile: tuple[np.ndarray, np.ndarray]) -> None:
            title = f"({x0:.1f}, {y0:.1f}) → ({x1:.1f}, {y1:.1f})"
            self._window.region_panel.set_profile(*profile, "distance / px", "counts", title)
            self._window.show_panel("regions")

        self._desk.lanes.small.submit(
            lambda _: line_profile(prepared.image, prepared.mask, (x0, y0), (x1, y1)),
            show,
            on_error=self._desk.fail,
        )

    def radial(self) -> None:
        """Radial profile around the chosen centre, else the beam, else the middle of the frame."""
        prepared = self._prepared()
        if prepared is None:
            return
        from braggscope.models.measure import radial_profile

        height, width = prepared.image.shape
        prepare, info = self._desk.store.state.parameters.prepare, self._desk.info
        beam = None if info is None else beam_centre(info, prepare.binning, self._desk.instrument)
        centre = prepare.centre or beam or ((width - 1) / 2, (height - 1) / 2)

        def show(profile: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
            title = f"around ({centre[0]:.1f}, {centre[1]:.1f})"
            self._window.region_panel.set_profile(profile[0], profile[1], "radius / px", "counts", title)
            self._window.show_panel("regions")

        self._desk.lanes.small.submit(
            lambda _: radial_profile(prepared.image, prepared.mask, centre), show, on_error=self._desk.fail
        )

    # -- showing ------------------------------------------------------------------------------

    def on_plan(self, requests: frozenset[Request]) -> None:
        """Do what a change of state asks of this presenter."""
        if requests & {Request.PREPARE, Request.OPEN}:
            self.show()

    def _show_counts(self) -> None:
        prepared = self._prepared()
        if prepared is not None:
            bad = int(np.count_nonzero(prepared.mask))
            share = 100 * bad / prepared.mask.size
            self._window.prepare_panel.set_counts(f"{bad:,} px masked ({share:.2g} %)")

    def _set_orientation(self, rotation: int, flip_h: bool, flip_v: bool) -> None:
        self._display(rotation=rotation, flip_h=flip_h, flip_v=flip_v)

    def _display(self, **changes: object) -> None:
        store = self._desk.store
        store.update(display=store.state.display.model_copy(update=changes))

    def _on_state(self, old: Session, new: Session) -> None:
        if old.active != new.active or old.display != new.display:
            self.show()
        binning = new.parameters.prepare.binning
        if binning != old.parameters.prepare.binning and None is not old.selected == new.selected:
            self._desk.store.update(selected=None)  # undone: the selection is no part of the history


def _rebinned(preparation: Preparation, old: int) -> Preparation:
    """What is drawn stays where it is on the detector when the binning was ``old`` before."""
    new, centre = preparation.binning, preparation.centre
    return preparation.model_copy(
        update={
            "masked": tuple(shape.rebinned(old, new) for shape in preparation.masked),
            "regions": tuple(shape.rebinned(old, new) for shape in preparation.regions),
            "centre": None if centre is None else rebinned(centre, old, new),
        }
    )

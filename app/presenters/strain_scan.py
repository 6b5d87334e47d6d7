"""The scan on screen: virtual images, moving in them, regions, the detector on the pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Context, Progress
from braggscope.app.engine.scan_images import VirtualImages, run_virtual
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.preparation import PreparationPresenter
from braggscope.app.presenters.strain_detector import detector_mask
from braggscope.app.presenters.strain_overlay import OverlayPresenter
from braggscope.app.presenters.strain_room import StrainRoom
from braggscope.app.state.session import Session
from braggscope.models.regions import Region
from braggscope.widgets.scan_paint import Rectangle
from braggscope.widgets.strain_overlay import Detector

PAN_PX = 40  # on the screen, for one step of Alt + arrow
DARK = (1.6, 4.0)  # radii of the dark field, in radii of the probe
GUESS = 0.06  # radius of the direct disk, share of the pattern, while nobody knows it
STOPPED = "The scan was not read to its end; choose an image to read it again."


class ScanPresenter:
    """One pass over the scan makes all images; a changed detector makes another."""

    def __init__(
        self, room: StrainRoom, overlay: OverlayPresenter, jobs: JobBoard, preparation: PreparationPresenter
    ) -> None:
        self._room = room
        self._overlay = overlay
        self._jobs = jobs
        self._preparation = preparation
        self._images: VirtualImages | None = None
        self._wanted: tuple[Any, ...] | None = None  # what the images on screen or on their way belong to
        self._job = ""
        self._dragged: Detector | None = None
        self._drawing = False  # a detector is being drawn on the pattern
        self._connect()

    def _connect(self) -> None:
        room, panel = self._room, self._room.panels.scan
        for canvas in (panel.canvas, room.panels.maps.maps):
            canvas.moved.connect(room.go_to)
            canvas.stepped.connect(room.step_by)
            canvas.panned.connect(self.pan)
            canvas.region_drawn.connect(self._region_drawn)
            canvas.tool_dismissed.connect(lambda: self.tool(""))
        panel.canvas.hovered.connect(self._show_note)
        panel.image_changed.connect(lambda key: room.show(image=key))
        panel.radii_changed.connect(self._set_radii)
        panel.tool_requested.connect(self.tool)
        panel.detector_tool_requested.connect(self.draw_detector)
        panel.shape_changed.connect(lambda shape: room.change(scan_shape=shape))
        panel.regions_cleared.connect(self.clear_regions)
        panel.refused.connect(lambda text: room.desk.say("warning", text))
        room.panels.handles.stepped.connect(room.step_by)
        room.window.frame_view.region_drawn.connect(self._detector_drawn)
        room.window.frame_view.tool_dismissed.connect(self._put_down)
        self._overlay.on_detector = self._drag
        self._overlay.on_detector_end = self._dragged_to
        room.changed.connect(self._restart)
        room.refused.connect(self._show_again)
        room.entered.connect(self.look)
        room.probe_changed.connect(self.look)
        room.desk.store.subscribe(self._on_state)

    # -- what is wanted -----------------------------------------------------------------------

    def _restart(self) -> None:
        room, panel = self._room, self._room.panels.scan
        self._images, self._wanted = None, None
        self.tool("")
        panel.canvas.set_hint(room.problem)
        panel.canvas.set_step(room.step)
        self._show_again()

    def _show_again(self) -> None:
        """The settings as they are."""
        scan, step = self._room.scan, self._room.step
        note = "" if step is None else f"{step[0]:g} {step[1]} a step"
        shape = self._room.strain.scan_shape if scan is None else scan.scan_shape
        self._room.panels.scan.set_shape(shape, note)
        self.look()

    def look(self) -> None:
        """Bring everything to the state, and ask for images that are not there yet."""
        self._show_position()
        self._show_regions()
        self._show_image()
        self._overlay.set_detector(self._detector_shown())
        if self._room.active and self._room.scan is not None and self._room.probe_known:
            self._ask()

    def detector(self, kind: str) -> Detector | None:
        """The virtual detector of an image; None where it needs none."""
        room, view = self._room, self._room.view
        if room.scan is None or kind not in ("bright", "dark", "detector"):
            return None
        if kind == "detector":
            return None if view.detector is None else Detector(region=view.detector)
        probe, (height, width) = room.probe, room.scan.shape
        centre = view.centre or ((width - 1) / 2, (height - 1) / 2)
        radius = GUESS * min(height, width)
        if probe is not None:
            centre, radius = view.centre or probe.centre, probe.radius + probe.edge / 2
        if kind == "bright":
            return Detector(centre, 0.0, view.bright or radius)
        outer = view.outer or min(DARK[1] * radius, 0.5 * min(height, width))
        return Detector(centre, min(view.inner or DARK[0] * radius, 0.9 * outer), outer)

    def _detector_shown(self) -> Detector | None:
        return self.detector(self._room.view.image)

    def _ask(self) -> None:
        room, state = self._room, self._room.desk.store.state
        scan = room.scan
        assert scan is not None
        detectors = {kind: self.detector(kind) for kind in ("bright", "dark", "detector")}
        parameters, frame_axis = state.parameters, state.frame_axis
        wanted = (scan, parameters.fingerprint("prepare"), *detectors.values())
        if wanted == self._wanted:
            return
        self._wanted = wanted
        self._jobs.cancel(self._job)
        workers, gate = max(1, room.desk.workers // 2), room.desk.gate

        def run(context: Context) -> VirtualImages:
            masks = {k: detector_mask(d, scan.shape) for k, d in detectors.items() if d is not None}
            return run_virtual(
                scan.location, parameters, masks, context, frame_axis=frame_axis, workers=workers, gate=gate
            )

        def done(images: VirtualImages) -> str:
            if wanted is self._wanted:
                self._take(images)
            return f"{images.count:,} patterns"

        def part(progress: Progress) -> None:
            if wanted is self._wanted and isinstance(progress.payload, VirtualImages):
                self._take(progress.payload)

        def stopped() -> None:
            if wanted is self._wanted:
                self._wanted = None  # the next look asks again
                self._show_image()

        lane = room.desk.lanes.scan_view
        self._job = self._jobs.submit(lane, "Virtual images", run, done, on_progress=part, on_stopped=stopped)

    def _take(self, images: VirtualImages) -> None:
        self._images = images
        self._show_image()
        self._room.images_changed.emit(images)

    # -- showing ------------------------------------------------------------------------------

    def _values(self) -> NDArray[np.float64] | None:
        """The image that is chosen, (rows, columns)."""
        images, kind = self._images, self._room.view.image
        if images is None:
            return None
        if kind in ("com_x", "com_y"):
            return images.centre[..., 0 if kind == "com_x" else 1]
        return images.images.get(kind)

    def _show_image(self) -> None:
        room, panel, view = self._room, self._room.panels.scan, self._room.view
        panel.set_image(view.image)
        shown = self._detector_shown()
        if shown is not None and shown.region is None:
            panel.set_radii(shown.inner or None, shown.outer)
        values = self._values()
        if room.scan is None or values is None:
            waits = STOPPED if self._wanted is None and room.probe_known else "Reading the scan …"
            if view.image == "detector":
                waits = "Draw the detector on the pattern."
            panel.canvas.set_hint(room.problem if room.scan is None else waits)
            panel.canvas.set_values(None, 0, 1, "gray")
        else:
            known = values[np.isfinite(values)]
            low, high = np.percentile(known, [0.5, 99.5]) if known.size else (0.0, 1.0)
            panel.canvas.set_values(values, float(low), float(high), "gray")
        self._show_note(None)

    def _show_position(self) -> None:
        room = self._room
        room.panels.scan.canvas.set_position(room.position)
        room.panels.maps.maps.set_position(room.position)
        self._show_note(None)
        self.show_title()

    def show_title(self) -> None:
        """Name the pattern on screen by its place in the scan."""
        room = self._room
        if room.active and room.position is not None:
            room.window.frame_view.set_title("Row {}, column {}".format(*room.position))

    def _show_note(self, at: object) -> None:
        """The value under the mouse, else under the cross-hair."""
        room, values = self._room, self._values()
        place = at if isinstance(at, tuple) else room.position
        text = ""
        if place is not None:
            text = f"row {place[0]}, column {place[1]}"
            if values is not None and np.isfinite(values[place]):
                unit = " px" if room.view.image.startswith("com") else ""
                text += f" · {values[place]:,.6g}{unit}"
        room.panels.scan.set_note(text)

    def _show_regions(self) -> None:
        room, strain = self._room, self._room.strain
        named = {"probe": strain.probe_region, "reference": strain.reference, "roi": room.view.roi}
        regions = {} if room.scan is None else {k: r for k, r in named.items() if r is not None}
        room.panels.scan.canvas.set_regions(regions)
        room.panels.maps.maps.set_regions({k: r for k, r in regions.items() if k != "probe"})

    def _on_state(self, old: Session, new: Session) -> None:
        if old.frame != new.frame or old.workspace != new.workspace:
            self._show_position()
        before, after = old.parameters.strain, new.parameters.strain
        if (before.probe_region, before.reference, old.strain.roi) != (
            after.probe_region, after.reference, new.strain.roi
        ):  # fmt: skip
            self._show_regions()
        if old.strain != new.strain or old.parameters.prepare != new.parameters.prepare:
            self.look()

    # -- gestures -----------------------------------------------------------------------------

    def pan(self, rows: int, columns: int) -> None:
        """Move the pattern on the screen."""
        canvas = self._room.window.frame_view.canvas
        middle = canvas.viewport.to_image(canvas.rect().center().toPointF())
        step = PAN_PX / canvas.viewport.scale
        canvas.viewport.centre_on(type(middle)(middle.x() + columns * step, middle.y() + rows * step))
        canvas.view_moved()

    def tool(self, name: str) -> None:
        """Draw a region of the scan next, on the scan or on a map; empty: none."""
        self._room.panels.scan.set_tool(name)
        self._room.panels.maps.set_tool(name)

    def _region_drawn(self, kind: str, region: Rectangle) -> None:
        room = self._room
        self.tool("")
        if kind == "roi":
            room.show(roi=region, pattern="region")
        elif kind == "reference":
            room.change(reference=region)
        else:
            room.change(probe_region=region, probe_file=None)

    def clear_regions(self) -> None:
        """Forget all regions that were drawn."""
        self._room.change(reference=None, probe_region=None)
        self._room.show(roi=None)

    def draw_detector(self, shape: str) -> None:
        """Draw the virtual detector on the pattern next."""
        self._drawing = bool(shape)
        self._preparation.tool(shape, "detector")  # type: ignore[arg-type]
        self._room.panels.scan.set_detector_tool(shape)

    def _detector_drawn(self, region: Region) -> None:
        if self._drawing:
            self._put_down()
            self._room.show(detector=region, image="detector")

    def _put_down(self) -> None:
        self._drawing = False
        self._room.panels.scan.set_detector_tool("")

    def _set_radii(self, inner: float | None, outer: float | None) -> None:
        if self._room.view.image == "bright":
            self._room.show(bright=outer)
        else:
            self._room.show(inner=inner, outer=outer)
        self._show_image()

    def _drag(self, detector: Detector) -> None:
        self._dragged = detector
        self._room.panels.scan.set_radii(detector.inner or None, detector.outer)

    def _dragged_to(self) -> None:
        detector, self._dragged = self._dragged, None
        if detector is None:
            return
        if self._room.view.image == "bright":
            self._room.show(centre=detector.centre, bright=detector.outer)
        else:
            self._room.show(centre=detector.centre, inner=detector.inner, outer=detector.outer)

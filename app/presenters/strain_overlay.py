"""Everything drawn over the pattern and the Bragg vector map, and the handles on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from braggscope.app.presenters.frames import LEGEND
from braggscope.app.presenters.strain_room import StrainRoom
from braggscope.app.state.session import Session
from braggscope.models.disks.results import Lattice
from braggscope.widgets.frame_overlay import Curve, LegendRow
from braggscope.widgets.strain_methods import METHODS
from braggscope.widgets.strain_overlay import (
    Detector,
    DiskMarks,
    StrainOverlay,
    dragged,
    lattice_handles,
)

Moved = Callable[[str, float, float], None]


class OverlayPresenter:
    """Composes what others know; a dragged handle is told to whom it belongs.

    ``on_detector``: called with the detector while it is dragged, ``on_detector_end`` afterwards.
    ``on_lattice``: called with the lattice while one of its vectors is dragged.
    """

    def __init__(self, room: StrainRoom) -> None:
        self._room = room
        self._shown = StrainOverlay()
        self.on_detector: Callable[[Detector], object] = lambda _: None
        self.on_detector_end: Callable[[], object] = lambda: None
        self.on_lattice: Callable[[Lattice], object] = lambda _: None
        for handles in (room.panels.handles, room.panels.bragg.handles):
            handles.moved.connect(self._moved)
            handles.released.connect(self._released)
        room.desk.store.subscribe(self._on_state)

    # -- parts --------------------------------------------------------------------------------

    def set_disks(self, disks: tuple[DiskMarks, ...]) -> None:
        """Disks of the pattern on screen."""
        self._shown = replace(self._shown, disks=disks)
        self.show()

    def set_detector(self, detector: Detector | None) -> None:
        """The virtual detector in use."""
        self._shown = replace(self._shown, detector=detector)
        self.show()

    def set_lattice(self, lattice: Lattice | None, proposed: bool) -> None:
        """The lattice in use, or one that is proposed."""
        self._shown = replace(self._shown, lattice=lattice, proposed=proposed)
        self.show()

    def set_curves(self, curves: tuple[tuple[str, Curve], ...]) -> None:
        """Outlines of a proposal."""
        self._shown = replace(self._shown, curves=curves)
        self.show()

    @property
    def lattice(self) -> Lattice | None:
        """The lattice that is drawn."""
        return self._shown.lattice

    # -- showing ------------------------------------------------------------------------------

    def show(self) -> None:
        """Bring pattern and Bragg vector map up to date."""
        room, shown = self._room, self._shown
        tips = {} if shown.lattice is None else lattice_handles(shown.lattice)
        lattice = {f"lattice {key}": at for key, at in tips.items()}
        detector = {} if shown.detector is None else shown.detector.handles()
        every = lattice | {f"detector {key}": at for key, at in detector.items()}
        view, panels = room.window.frame_view, room.panels
        if not room.active or room.scan is None:
            view.set_disks(None)
            panels.handles.set_handles({})
            if room.active:  # the marks of peaks are not shown here
                view.set_legend(LEGEND[-1:])
            return
        view.set_disks(replace(shown, handles=tuple(every.values())))
        panels.handles.set_handles(every)
        panels.bragg.set_overlay(replace(shown, disks=(), detector=None, handles=tuple(lattice.values())))
        panels.bragg.handles.set_handles(lattice)
        view.set_legend(self._legend())

    def _legend(self) -> tuple[LegendRow, ...]:
        rows = [("circle", METHODS[m.method].role, METHODS[m.method].title) for m in self._shown.disks]
        if self._shown.detector is not None:
            rows.append(("circle", "#7fd6c2", "detector"))
        return (*rows, LEGEND[-1])

    def _on_state(self, old: Session, new: Session) -> None:
        if old.workspace != new.workspace:
            if not self._room.active:
                self._room.window.frame_view.set_legend(LEGEND)
            self.show()

    # -- gestures -----------------------------------------------------------------------------

    def _moved(self, handle: str, x: float, y: float) -> None:
        kind, _, key = handle.partition(" ")
        shown = self._shown
        if kind == "lattice" and shown.lattice is not None:
            lattice = dragged(shown.lattice, key, x, y)
            self.set_lattice(lattice, True)
            self.on_lattice(lattice)
        elif kind == "detector" and shown.detector is not None:
            detector = reshaped(shown.detector, key, x, y)
            self.set_detector(detector)
            self.on_detector(detector)

    def _released(self, handle: str) -> None:
        if handle.startswith("detector"):
            self.on_detector_end()


def reshaped(detector: Detector, handle: str, x: float, y: float) -> Detector:
    """A detector after one of its handles was moved; radii never cross."""
    if handle == "centre":
        return replace(detector, centre=(x, y))
    radius = max(((x - detector.centre[0]) ** 2 + (y - detector.centre[1]) ** 2) ** 0.5, 0.5)
    if handle == "outer":
        return replace(detector, outer=max(radius, detector.inner + 0.5))
    return replace(detector, inner=min(radius, detector.outer - 0.5))

"""What the Tracks workspace shows of the chosen tracks: table, plot, trails on the frame, waterfall."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.axis import Axis, read_axis
from braggscope.app.engine.jobs import Context
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.track_curves import LABELS, PLACED, along, choices, colours, curves
from braggscope.widgets.waterfall import WaterfallContent

if TYPE_CHECKING:
    from braggscope.app.engine.tracks import Linked, Strip
    from braggscope.app.main_window import MainWindow
    from braggscope.app.presenters.tracks import TracksPresenter

FRAME = "frame"
MOST = 24  # curves at once
UNITS = (  # that end names; other words belong to the name
    "V", "mV", "A", "mA", "Ah", "mAh", "K", "C", "degC", "s", "ms", "us", "min", "h", "deg", "rad", "mrad",
    "m", "mm", "um", "nm", "px", "eV", "keV", "N", "kN", "Pa", "kPa", "MPa", "GPa", "bar", "mbar", "percent",
)  # fmt: skip
AXIS_FILTER = "Text (*.csv *.txt *.dat);;All files (*)"


class TrackViews:
    """Reads the selection of its owner and shows it; keeps what is drawn against what."""

    def __init__(self, desk: Desk, window: MainWindow, owner: TracksPresenter) -> None:
        self._desk = desk
        self._window = window
        self._owner = owner
        self._quantity = "strain"
        self._axis = FRAME
        self._file_axis: Axis | None = None
        self._strip_of: tuple[Linked, int] | None = None  # what the waterfall shows or waits for
        plot = window.tracks_plot
        plot.quantity_changed.connect(self._set_quantity)
        plot.axis_changed.connect(self._set_axis)
        plot.axis_file_requested.connect(self.ask_axis)
        desk.opened.connect(self._restart)

    def _restart(self) -> None:
        self._axis, self._file_axis = FRAME, None

    def axes(self) -> list[Axis]:
        """Axes of the series, and the one from a file."""
        info = self._desk.info
        own = [] if info is None else [Axis(name, values) for name, values in info.axes.items()]
        return own + ([] if self._file_axis is None else [self._file_axis])

    # -- showing ------------------------------------------------------------------------------

    def show_all(self) -> None:
        """Bring everything up to date with the chosen tracks."""
        owner, chosen = self._owner, self._owner.chosen[:MOST]
        self._window.track_table.set_chosen(owner.chosen, colours(chosen))
        self._show_plot(chosen)
        self._show_trails(chosen)
        self._show_strip()
        self.show_frame()

    def show_frame(self) -> None:
        """Move the cursors to the frame on screen."""
        frame = self._desk.store.state.frame
        x = along(self._current_axis(), np.array([frame]))
        self._window.tracks_plot.set_cursor(float(x[0]))
        self._window.waterfall.set_frame(frame)

    def _current_axis(self) -> Axis | None:
        return next((axis for axis in self.axes() if axis.name == self._axis), None)

    def _show_plot(self, chosen: list[int]) -> None:
        linked, plot, axis = self._owner.linked, self._window.tracks_plot, self._current_axis()
        placed = linked is not None and linked.spacings is not None
        quantity = "x" if self._quantity in PLACED and not placed else self._quantity
        plot.set_quantities(choices(placed), quantity)
        plot.set_axes([(FRAME, FRAME), *((a.name, label(a.name)) for a in self.axes())], self._axis)
        shown = [] if linked is None else curves(linked, chosen, quantity, axis, self._desk.instrument)
        plot.set_curves(shown, LABELS[quantity][1], FRAME if axis is None else label(axis.name))

    def _show_trails(self, chosen: list[int]) -> None:
        linked, state = self._owner.linked, self._desk.store.state
        if linked is None or state.workspace != "tracks":
            self._window.frame_view.set_trails([])
            return
        binning, trails = state.parameters.prepare.binning, []
        for track in chosen:
            rows = linked.tracks.rows(track)
            rows = rows[np.argsort(linked.table["frame"][rows], kind="stable")]
            way = np.column_stack((linked.tracks.x[rows], linked.tracks.y[rows]))
            trails.append((way + 0.5) / binning - 0.5)
        self._window.frame_view.set_trails(trails)

    def _show_strip(self) -> None:
        owner, engine, state = self._owner, self._desk.engine, self._desk.store.state
        linked = owner.linked
        if linked is None or engine is None or not owner.chosen or state.workspace != "tracks":
            self._strip_of = None
            self._window.waterfall.set_content(None)
            return
        track = owner.chosen[0]
        if self._is_shown(linked, track):
            return
        self._strip_of = (linked, track)
        rows = linked.tracks.rows(track)
        rows = rows[np.argsort(linked.table["frame"][rows], kind="stable")]
        frames, x, y = linked.table["frame"][rows], linked.tracks.x[rows], linked.tracks.y[rows]
        parameters, name = state.parameters, linked.tracks.name[track]
        self._window.waterfall.set_hint("Reading …")
        self._window.waterfall.set_content(None)

        def run(context: Context) -> Strip:
            from braggscope.app.engine.tracks import strip

            return strip(engine, parameters, frames, x, y, context)

        def show(found: Strip) -> None:
            if self._is_shown(linked, track):
                self._window.waterfall.set_hint("")
                way = np.column_stack((frames, x, y)).astype(np.float64)
                ink = colours([track])[track]
                content = WaterfallContent(
                    name, ink, found.frames, found.patches, found.corner, found.pixel, way
                )
                self._window.waterfall.set_content(content)
                self._window.waterfall.set_frame(self._desk.store.state.frame)

        self._desk.lanes.strips.submit(run, show, on_error=self._desk.fail)

    def _is_shown(self, linked: Linked, track: int) -> bool:
        return self._strip_of is not None and self._strip_of[0] is linked and self._strip_of[1] == track

    # -- choices ------------------------------------------------------------------------------

    def _set_quantity(self, key: str) -> None:
        self._quantity = key
        self._show_plot(self._owner.chosen[:MOST])
        self.show_frame()

    def _set_axis(self, key: str) -> None:
        self._axis = key
        self._show_plot(self._owner.chosen[:MOST])
        self.show_frame()

    def ask_axis(self) -> None:
        """Choose a CSV with one value per frame."""
        folder = self._desk.settings.last_folder
        name, _ = QFileDialog.getOpenFileName(self._window, "Axis from a file", folder, AXIS_FILTER)
        if name:
            self.read_axis(Path(name))
        else:
            self._show_plot(self._owner.chosen[:MOST])

    def read_axis(self, path: Path) -> None:
        """Draw against the axis of a file."""
        info = self._desk.info
        if info is None:
            return
        frames, identity = info.frames, info.identity

        def show(axis: Axis) -> None:
            now = self._desk.info
            if now is not None and now.identity == identity:
                taken = set(now.axes)
                name = axis.name if axis.name not in taken else f"{axis.name} ({path.name})"
                self._file_axis = Axis(name, axis.values)
                self._set_axis(name)

        def failed(error: Exception) -> None:
            self._show_plot(self._owner.chosen[:MOST])
            self._desk.fail(error)

        self._desk.lanes.small.submit(lambda _: read_axis(path, frames), show, on_error=failed)


def label(name: str) -> str:
    """The name of an axis with its unit: ``voltage_V`` is ``voltage / V``."""
    what, _, unit = name.rpartition("_")
    return f"{what.replace('_', ' ')} / {unit}" if what and unit in UNITS else name.replace("_", " ")

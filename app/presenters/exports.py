"""Tables, figures and movies: what leaves the program as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.localizers import weights_in_use, weights_record
from braggscope.app.export.figures import Line, error_figure, offset_figure, picture_figure
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import check_suffix, write_peaks
from braggscope.app.files import check_not_input
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.peaks import PeakPresenter
from braggscope.app.presenters.runs import RunPresenter
from braggscope.app.presenters.views import watched, with_rejected
from braggscope.app.presenters.weights import WeightShelf
from braggscope.app.wording import Tally
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable
from braggscope.widgets.export_cards import MovieChoice

if TYPE_CHECKING:
    from braggscope.app.export.overlay import OverlayPainter, OverlayStyle
    from braggscope.app.main_window import MainWindow
    from braggscope.models.prepare import Prepared

    Painting = tuple[OverlayPainter, Prepared, PeakTable, str, str]

TABLE_FILTER = "CSV (*.csv);;Parquet (*.parquet);;NeXus HDF5 (*.h5);;CXI peak list (*.cxi);;ImageD11 (*.flt)"
MOVIE_FILTER = "MP4 (*.mp4);;GIF (*.gif)"
PICTURE_FILTER = "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)"


class ExportPresenter:
    """Asks for a name, then writes on the export lane with progress and cancel."""

    def __init__(
        self, desk: Desk, window: MainWindow, jobs: JobBoard, runs: RunPresenter, peaks: PeakPresenter,
        shelf: WeightShelf,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._window = window
        self._jobs = jobs
        self._runs = runs
        self._peaks = peaks
        self._shelf = shelf
        panel = window.export_panel
        panel.table_requested.connect(self.ask_table)
        panel.figure_requested.connect(self.ask_figure)
        panel.movie_requested.connect(self._ask_movie)
        panel.preview_requested.connect(self._preview)
        desk.runs_changed.connect(self.show)
        desk.opened.connect(self.show)
        desk.peaks_shown.connect(self.show)

    def show(self) -> None:
        """Say what there is to export."""
        info, record, table = self._desk.info, self._runs.record(), self._desk.table
        analysed = 0 if record is None else record.done
        peaks = record.peaks if record is not None else (0 if table is None else int(table.detected.sum()))
        self._window.export_panel.set_available(peaks, 0 if info is None else info.frames, analysed)
        if self._desk.store.state.workspace == "export":
            self._preview()

    # -- tables -------------------------------------------------------------------------------

    def ask_table(self, suffix: str = ".csv") -> None:
        """Choose a file for the peak table."""
        path = self.ask_name("Export peak table", f"peaks.{suffix.removeprefix('.')}", TABLE_FILTER)
        if path is not None:
            self.write_table(path)

    def write_table(self, path: Path) -> None:
        """Write the table of the active set: all analysed frames, or the frame on screen without a run."""
        info, state = self._desk.info, self._desk.store.state
        if info is None:
            return
        parameters, rejected = state.parameters, state.rejected
        record = self._runs.record()
        shown = self._peaks.shown_table()
        if record is None and shown is None:
            self._desk.say("warning", "There are no peaks to export yet; analyse the series first (Ctrl+R).")
            return
        done_frames = [state.frame] if record is None else np.flatnonzero(record.curves.done).tolist()
        frames = f"frame {state.frame}" if record is None else f"{len(done_frames)} frames"
        provenance = self.provenance(parameters, frames)
        inputs, tally = self.inputs(), Tally()

        def run(context: Context) -> int:
            check_suffix(path)
            check_not_input(path, inputs)
            if record is None:
                assert shown is not None
                _, sha = weights_record(parameters.localize)
                said = replace(provenance, weights_sha256=sha)
                return write_peaks(path, tally.over([shown]), said, done_frames, info.axes, context=context)
            sha = ", ".join(record.key.inputs.split(" ")[: len(weights_in_use(parameters.localize))])
            found = watched(record.key.tables(), done_frames, rejected, context)
            tables = tally.over(table for _, table in found)
            said = replace(provenance, weights_sha256=sha)
            return write_peaks(path, tables, said, done_frames, info.axes, context=context)

        def done(_: int) -> str:
            what = f"{tally} of {frames} written to {path.name}"
            if record is None:
                self._desk.say("info", f"{what}; analyse the whole series (Ctrl+R) to export all frames.")
            else:
                self._desk.say("info", f"{what}.")
            return what

        self._jobs.submit(self._desk.lanes.export, f"Table {path.name}", run, done, about=path)

    def inputs(self) -> list[str | None]:
        """Files that an export must not replace."""
        state = self._desk.store.state
        prepare = state.parameters.prepare
        return [state.location, prepare.mask_file, prepare.dark_file, prepare.flat_file]

    def provenance(self, parameters: Parameters, frames: str) -> Provenance:
        """Where results of the open source come from."""
        info = self._desk.info
        assert info is not None
        name = ", ".join(weights_in_use(parameters.localize).values())
        return Provenance(
            info.location, info.identity, parameters, name, "", self._desk.device, frames,
            instrument=self._desk.instrument,
        )  # fmt: skip

    # -- figures ------------------------------------------------------------------------------

    def ask_picture(self) -> None:
        """Choose a file for the picture of the frame."""
        self.ask_figure("overlay", ".png")

    def ask_figure(self, kind: str, suffix: str) -> None:
        """Choose a file for a figure: ``overlay``, ``error`` or ``offsets``."""
        path = self.ask_name("Export figure", f"{kind}.{suffix.removeprefix('.')}", PICTURE_FILTER)
        if path is not None:
            self.write_figure(kind, path)

    def write_figure(self, kind: str, path: Path) -> None:
        """Write a figure of what is on screen."""
        draw = {"overlay": self._overlay, "error": self._error, "offsets": self._offsets}[kind](path)
        if draw is None:
            self._desk.say("warning", "There is nothing to draw yet; analyse the series first (Ctrl+R).")
            return

        def done(_: object) -> str:
            self._desk.say("info", f"Figure written to {path.name}.")
            return path.name

        self._jobs.submit(self._desk.lanes.export, f"Figure {path.name}", draw, done, about=path)

    def _overlay(self, path: Path) -> Callable[[Context], object] | None:
        paint = self._painting(size=1024)
        if paint is None:
            return None
        painter, picture, table, title, note = paint
        return lambda context: picture_figure(
            path, painter.paint(picture, table, title, note), title, context
        )

    def _painting(self, size: int, layers: tuple[str, ...] | None = None) -> Painting | None:
        picture, table, info = self._desk.picture, self._peaks.shown_table(), self._desk.info
        if picture is None or table is None or info is None:
            return None
        from braggscope.app.engine.movies import frame_note, frame_title
        from braggscope.app.export.overlay import OverlayPainter

        state = self._desk.store.state
        style = self._style(size, layers)
        painter = OverlayPainter(picture.prepared.image.shape, style)
        title, note = frame_title(info, state.frame), frame_note(state.parameters, table)
        return painter, picture.prepared, table, title, note

    def _style(self, size: int, layers: tuple[str, ...] | None) -> OverlayStyle:
        from braggscope.app.export.overlay import OverlayStyle

        display = self._desk.store.state.display
        picture = self._desk.picture
        levels = display.levels or (picture.levels if picture is not None else (0.0, 1.0))
        methods = self._desk.store.state.parameters.localize.methods
        chosen = layers if layers is not None else ("fit", "braggnn", "unfitted")
        return OverlayStyle(
            levels, display.colormap, display.scale, size,
            fit="fit" in chosen and "fit" in methods,
            braggnn="braggnn" in chosen and "braggnn" in methods,
            unfitted="unfitted" in chosen,
        )  # fmt: skip

    def _error(self, path: Path) -> Callable[[Context], object] | None:
        lines = []
        quantity = self._window.error_plot.quantity.currentData()
        for entry in self._desk.store.state.sets:
            record = self._runs.record(entry)
            if record is not None and entry.visible:
                at = np.flatnonzero(record.curves.done)
                values = record.curves.values[quantity][at]
                detect = entry.parameters.detect
                name = f"{entry.name}: minval {detect.minval:g}, minscore {detect.minscore:g}"
                lines.append(Line(name, entry.colour, at.astype(float), values))
        return (lambda context: error_figure(path, lines, quantity, context=context)) if lines else None

    def _offsets(self, path: Path) -> Callable[[Context], object] | None:
        record = self._runs.record()
        if record is None:
            return None
        dx, dy = record.sample.differences("fit", "braggnn")[:2]
        colour = self._desk.store.state.current.colour
        return lambda context: offset_figure(path, dx, dy, colour, context)

    # -- movies -------------------------------------------------------------------------------

    def ask_movie(self) -> None:
        """Show the Export workspace, where a movie is chosen."""
        if self._desk.info is not None:
            self._desk.store.update(workspace="export")

    def _ask_movie(self, choice: MovieChoice) -> None:
        suffix = {"mp4": ".mp4", "gif": ".gif"}.get(choice.format.lower(), "")
        name = f"overlay{suffix}" if suffix else "overlay_frames"
        path = self.ask_name("Export movie", name, MOVIE_FILTER if suffix else "Folder (*)")
        if path is not None:
            self.write_movie(path, choice)

    def write_movie(self, path: Path, choice: MovieChoice) -> None:
        """Write a movie with the levels and thresholds of the screen."""
        from braggscope.app.engine.movies import MovieJob

        engine, state = self._desk.engine, self._desk.store.state
        if engine is None:
            return
        parameters, rejected = state.parameters, state.rejected
        job = MovieJob(
            engine.info.location, range(choice.start, choice.stop, choice.step), parameters, path,
            fps=choice.fps, style=self._style(choice.size, choice.layers), frame_axis=state.frame_axis,
            device=self._desk.device, finish=lambda table: with_rejected(table, rejected),
            seen=engine.seen(state.follow),
        )  # fmt: skip

        inputs = self.inputs()

        def run(context: Context) -> int:
            from braggscope.app.engine.movies import make_movie

            check_not_input(path, inputs)
            return make_movie(job, self._shelf.blocking(parameters, context), context)

        def done(frames: int) -> str:
            self._desk.say("info", f"Movie of {frames:,} frames written to {path.name}.")
            return f"{frames:,} frames"

        self._jobs.submit(self._desk.lanes.export, f"Movie {path.name}", run, done, about=path)

    def _preview(self) -> None:
        paint = self._painting(480)
        if paint is None:
            self._window.export_panel.set_preview(None)
            return
        painter, prepared, table, title, note = paint

        def run(_: Context) -> QImage:
            picture = painter.paint(prepared, table, title, note)
            data = picture.tobytes()
            width, height = picture.size
            return QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()

        self._desk.lanes.preview.submit(run, self._window.export_panel.set_preview, on_error=self._desk.fail)

    def ask_name(self, title: str, name: str, filters: str) -> Path | None:
        """Ask for a file to write."""
        folder = self._desk.settings.last_folder
        start = str(Path(folder) / name) if folder else name
        chosen, _ = QFileDialog.getSaveFileName(self._window, title, start, filters)
        if not chosen:
            return None
        path = Path(chosen)
        self._desk.settings.last_folder = str(path.parent)
        return path if path.suffix or not Path(name).suffix else path.with_suffix(Path(name).suffix)

"""Opening files: drop, dialog, recent, dataset choice."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.coherent_parameters import fresh
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.loading import load
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.weights import WeightShelf
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.raw import raw_location, raw_of_no_shape
from braggscope.app.sources.reader import Reader
from braggscope.app.state.handwork import load_handwork, told
from braggscope.app.state.session import Session
from braggscope.models.parameters import Parameters, Preparation
from braggscope.widgets.dataset_dialog import DatasetDialog
from braggscope.widgets.raw_dialog import RawDialog
from braggscope.widgets.source_panel import Entry, Recent

if TYPE_CHECKING:
    from braggscope.app.engine.frames import FrameEngine
    from braggscope.app.main_window import MainWindow

STACKS = (".h5", ".hdf5", ".nxs", ".npy", ".npz", ".cxi")  # each is a series of its own


class SourcePresenter:
    """Opens sources on the files lane; the old one stays until the new one is there."""

    def __init__(self, desk: Desk, window: MainWindow, jobs: JobBoard, shelf: WeightShelf) -> None:
        self._desk = desk
        self._window = window
        self._jobs = jobs
        self._shelf = shelf
        panel = window.source_panel
        panel.open_requested.connect(self.ask_file)
        panel.recent_chosen.connect(self.open)
        panel.dataset_chosen.connect(self._choose_dataset)
        panel.axis_chosen.connect(self._choose_axis)
        window.frame_view.open_requested.connect(self.ask_file)
        window.files_dropped.connect(self.open_several)
        self.show_recent()

    # -- opening ------------------------------------------------------------------------------

    def open(self, location: str, frame_axis: int | None = None, keep: Session | None = None) -> None:
        """Open a location; with ``keep`` its state is restored instead of started afresh."""
        desk = self._desk
        memory, device, timeout = desk.memory, desk.device, desk.timeout_s
        before, kept = desk.info, desk.store.state.parameters.prepare

        def run(context: Context) -> tuple[FrameEngine, Parameters | None, dict[str, Any]] | int:
            reader = Reader(timeout)
            try:
                info = reader.open(location, frame_axis, cancelled=context.cancelled)
                load(context.check)
                from braggscope.app.engine.frames import FrameEngine

                engine = FrameEngine(reader, info, self._shelf.ready, device=device, memory=memory)
                if keep is not None:
                    return engine, None, {}
                alike = before is not None and before.shape == info.shape
                prepare = kept if alike else Preparation(saturation=info.quantities.get("saturation"))
                suggested = _suggested(engine, Parameters(prepare=prepare), context)
                return engine, suggested, load_handwork(info.identity, drawn=not alike)
            except BaseException as error:
                reader.close()
                if isinstance(error, SourceError) and raw_of_no_shape(location):
                    return Path(location).stat().st_size
                raise

        def done(result: tuple[FrameEngine, Parameters | None, dict[str, Any]] | int) -> str:
            if isinstance(result, int):
                self._ask_layout(location, result)
                return "its shape is asked for"
            engine, parameters, work = result
            self._opened(engine, frame_axis, keep or self._fresh(parameters or Parameters()))
            if work:
                desk.store.update(**work)
                desk.say("info", told(work))
            return f"{engine.info.frames:,} frames"

        self._jobs.submit(desk.lanes.files, f"Opening {Path(location).name}", run, done, about=location)

    def _opened(self, engine: FrameEngine, frame_axis: int | None, state: Session) -> None:
        desk, info = self._desk, engine.info
        desk.leaving.emit()
        self._release()
        desk.engine = engine
        frame = min(state.frame, max(info.frames - 1, 0))
        desk.store.reset(
            state.model_copy(update={"location": info.location, "frame_axis": frame_axis, "frame": frame})
        )
        desk.settings.remember(info.location)
        self.show_recent()
        self.show_source(info)
        self._window.notices.clear()
        for warning in info.warnings:
            desk.say("warning", warning)
        desk.opened.emit()

    def _release(self) -> None:
        """Close the reader of the former source, not in this thread."""
        if self._desk.engine is not None:
            old = self._desk.engine.reader
            self._desk.lanes.small.submit(lambda _: old.close(), lambda _: None)

    def _fresh(self, parameters: Parameters) -> Session:
        """State for a new source: how peaks are measured and shown stays, all else starts afresh.

        The preparation is kept for frames of the same shape: it belongs to the detector.
        """
        old = self._desk.store.state
        how = fresh(old.parameters.phasing)
        parameters = parameters.model_copy(update={"localize": old.parameters.localize, "phasing": how})
        first = Session().sets[0].model_copy(update={"parameters": parameters})
        display = old.display.model_copy(update={"levels": None})
        return Session(
            sets=(first,), display=display, fps=old.fps, play_mode=old.play_mode, workspace=old.workspace,
            instrument=old.instrument, cell=old.cell, coherent=old.coherent,
        )  # fmt: skip

    def show_source(self, info: SourceInfo) -> None:
        """Tree, metadata and title of a source."""
        entries = tuple(Entry(d.path, d.shape, d.dtype, d.problem) for d in info.datasets)
        current = info.location.partition("::")[2]
        panel = self._window.source_panel
        panel.set_source(info.location, entries, current)
        panel.set_axes(info.stack_shape, info.frame_axis)
        panel.set_follow(self._desk.store.state.follow)
        self.show_metadata(info)
        self._window.set_file_title(info.location)

    def show_metadata(self, info: SourceInfo) -> None:
        """What the file says about itself."""
        height, width = info.shape
        items = [
            ("Format", info.format),
            ("Frames", f"{info.frames:,}"),
            ("Size", f"{width} × {height} px"),
            ("Type", info.dtype),
            *info.metadata.items(),
        ]
        self._window.metadata_panel.set_items(items)

    def close_source(self) -> None:
        """Back to the empty window."""
        desk = self._desk
        desk.lanes.files.cancel_all()
        if desk.engine is None:
            return
        desk.leaving.emit()
        self._release()
        desk.engine = None
        desk.store.reset(Session(display=desk.store.state.display, workspace=desk.store.state.workspace))
        self._window.source_panel.set_source("", (), "")
        self._window.metadata_panel.set_items([])
        self._window.set_file_title("")
        desk.opened.emit()

    # -- gestures -----------------------------------------------------------------------------

    def open_several(self, paths: list[str]) -> None:
        """Open one file, or the series that several single images of one folder belong to."""
        first = Path(paths[0])
        if len(paths) == 1:
            self.open(paths[0])
        elif first.suffix.lower() in STACKS:
            self._desk.say("info", f"One series at a time: {first.name} is opened of {len(paths)} files.")
            self.open(paths[0])
        else:
            name = f"*{first.suffix}"
            self._desk.say("info", f"{len(paths)} files: all {name} files of {first.parent.name} are opened.")
            self.open(f"{glob.escape(str(first.parent))}/{name}")

    def ask_file(self) -> None:
        """Open dialog for one or several files."""
        folder = self._desk.settings.last_folder
        names, _ = QFileDialog.getOpenFileNames(self._window, "Open a series", folder)
        if names:
            self._desk.settings.last_folder = str(Path(names[0]).parent)
            self.open_several(names)

    def ask_folder(self) -> None:
        """Open dialog for a folder of single images."""
        name = QFileDialog.getExistingDirectory(
            self._window, "Open a folder of images", self._desk.settings.last_folder
        )
        if name:
            self._desk.settings.last_folder = str(Path(name).parent)
            self.open(name)

    def open_demo(self) -> None:
        """Make the demo series if it is not there yet, and open it."""

        def run(context: Context) -> str:
            from braggscope.app.demo import ensure_demo_series

            return str(ensure_demo_series(context=context))

        def done(path: str) -> str:
            self.open(path)
            return "written"

        self._jobs.submit(self._desk.lanes.small, "Demo series", run, done)

    def _ask_layout(self, path: str, size: int) -> None:
        """What a raw file of ``size`` bytes holds is typed in."""
        dialog = RawDialog(path, size, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(lambda *layout: self.open(raw_location(path, *layout)))
        dialog.open()

    def choose_dataset(self) -> None:
        """Dialog for files with several datasets."""
        info = self._desk.info
        if info is None or not info.datasets:
            return
        entries = tuple(Entry(d.path, d.shape, d.dtype, d.problem) for d in info.datasets)
        file, _, current = info.location.partition("::")
        dialog = DatasetDialog(entries, self._window, current=current, location=file)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.dataset_chosen.connect(lambda path, axis: self.open(f"{file}::{path}", axis))
        dialog.open()

    def _choose_dataset(self, dataset: str) -> None:
        location = self._desk.store.state.location
        if location is not None:
            self.open(f"{location.partition('::')[0]}::{dataset}")

    def _choose_axis(self, axis: int) -> None:
        location = self._desk.store.state.location
        if location is not None:
            self.open(location, axis)

    def show_recent(self) -> None:
        """Recent files; whether they still exist is asked of disks that may never answer."""
        recent = list(self._desk.settings.recent)

        def run(_: Context) -> tuple[Recent, ...]:
            return tuple(Recent(item, _exists(item)) for item in recent)

        self._desk.lanes.recent.submit(run, self._window.source_panel.set_recent)


def _exists(location: str) -> bool:
    return Path(location.partition("::")[0]).exists() or any(c in location for c in "*?[")


def _suggested(engine: FrameEngine, parameters: Parameters, context: Context) -> Parameters:
    """Parameters with thresholds from the middle frame; as they are where it cannot be read."""
    from braggscope.models.peaks.detect import suggest_thresholds

    try:
        prepared = engine.prepared(engine.info.frames // 2, parameters, context)
    except (SourceError, OSError, ValueError):
        return parameters  # the first view will say why
    minval, minscore = suggest_thresholds(prepared.image, prepared.excluded)
    return parameters.with_detect(minval=minval, minscore=minscore)

"""Reconstructions as files: every format, pictures, movies. Written on the export lane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.coherent_parameters import files_of
from braggscope.app.engine.jobs import Context
from braggscope.app.export.provenance import Provenance
from braggscope.app.files import check_not_input
from braggscope.models.cdi.layers import Layer
from braggscope.models.cdi.parameters import Phasing
from braggscope.widgets import theme

if TYPE_CHECKING:
    from braggscope.app.engine.coherent_look import Looked
    from braggscope.app.presenters.coherent import CoherentPresenter

FORMATS = {  # key: name, filter
    "h5": ("crystal.h5", "NeXus HDF5 (*.h5 *.nxs)"),
    "cxi": ("crystal.cxi", "CXI (*.cxi)"),
    "vti": ("crystal.vti", "ParaView (*.vti)"),
    "npz": ("crystal.npz", "NumPy (*.npz)"),
    "figure": ("crystal.pdf", "PDF (*.pdf);;PNG (*.png);;SVG (*.svg)"),
    "picture": ("surface.png", "PNG (*.png)"),
    "movie": ("turntable.mp4", "MP4 (*.mp4);;GIF (*.gif)"),
}


class CoherentExports:
    """Asks for a name, then writes what is on screen."""

    def __init__(self, room: CoherentPresenter) -> None:
        self._room = room
        room.panels.result.export_requested.connect(self.ask)
        room.panels.page.picture_requested.connect(lambda: self.ask("picture"))
        room.panels.page.movie_requested.connect(lambda: self.ask("movie"))

    def ask(self, key: str) -> None:
        """Choose a file for one of FORMATS."""
        name, filters = FORMATS[key]
        folder = self._room.desk.settings.last_folder
        start = str(Path(folder) / name) if folder else name
        chosen, _ = QFileDialog.getSaveFileName(self._room.window, "Export crystal", start, filters)
        if not chosen:
            return
        path = Path(chosen)
        self._room.desk.settings.last_folder = str(path.parent)
        self.write(key, path if path.suffix else path.with_suffix(Path(name).suffix))

    def write(self, key: str, path: Path) -> None:
        """Write what is on screen as one of FORMATS."""
        room, looked = self._room, self._room.show.looked
        info = room.desk.info
        if looked is None or info is None:
            room.desk.say("warning", "There is no crystal to export yet; reconstruct it first.")
            return
        state = room.desk.store.state
        prepare, weights = looked.candidate.prepare, looked.candidate.weights
        used = state.parameters.model_copy(update={"phasing": _parameters(looked), "prepare": prepare})
        provenance = Provenance(info.location, info.identity, used, *weights, files=info.parts)
        work = self._work(key, path, looked, provenance)
        inputs = [state.location, *files_of(prepare), *files_of(state.parameters.prepare)]

        def run(context: Context) -> None:
            check_not_input(path, inputs)
            work(context)

        def done(_: None) -> str:
            room.desk.say("info", f"The crystal was written to {path.name}.")
            return path.name

        room.jobs.submit(room.desk.lanes.export, f"Crystal {path.name}", run, done, about=path)

    def _work(
        self, key: str, path: Path, looked: Looked, provenance: Provenance
    ) -> Callable[[Context], object]:
        from braggscope.app.engine.coherent_look import geometry_of
        from braggscope.app.export import coherent as written
        from braggscope.app.export.coherent_figures import crystal_figure

        particle, surface = looked.particle, self._room.panels.page.surface
        view = (surface.azimuth, surface.elevation, surface.reach())
        scene, legend = surface.scene or looked.scene, self._legend(looked)
        ground = written.DARK if theme.current().name == "dark" else written.LIGHT
        parameters = geometry_of(looked.candidate, looked.typed)

        def hdf5(context: Context) -> None:
            from braggscope.app.engine.coherent_results import as_phased
            from braggscope.app.export.phasing import write_phasing

            write_phasing(path, as_phased(looked.candidate, parameters), provenance, context)

        return {
            "h5": hdf5,
            "cxi": hdf5,
            "vti": lambda context: written.write_paraview(path, particle, provenance, context),
            "npz": lambda context: written.write_npz(path, particle, provenance, context),
            "figure": lambda context: crystal_figure(path, looked, context),
            "picture": lambda context: written.write_surface_picture(
                path, written.surface_picture(scene, view, legend, particle.unit, 1200, ground), context
            ),
            "movie": lambda context: written.write_turntable(
                path, scene, view, legend, particle.unit, context
            ),
        }[key]

    def _legend(self, looked: Looked) -> Layer | None:
        from braggscope.app.engine.coherent_look import shown

        quantity = shown(looked.particle, self._room.desk.store.state.coherent.quantity)
        return None if quantity == "modulus" else looked.particle.layers[quantity]


def _parameters(looked: Looked) -> Phasing:
    """As the user set them: with the voxel size of the whole stack."""
    names = ("voxel_nm", "q_inv_angstrom", "geometry")
    changes = {name: getattr(looked.typed, name) for name in names}
    return looked.candidate.phased.parameters.model_copy(update=changes)

"""Everything that the program writes, each by the function that the window and the command line call."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from braggscope.app.engine.cdi import Stack, phase_stack
from braggscope.app.engine.checkpoint import save_checkpoint
from braggscope.app.engine.coherent_look import look_at
from braggscope.app.engine.coherent_results import as_phased, candidates
from braggscope.app.engine.coherent_views import particle_of, scene
from braggscope.app.engine.findings import gather
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.journal import Journal
from braggscope.app.engine.movies import MovieJob, make_movie
from braggscope.app.engine.strain import run_strain
from braggscope.app.engine.trained import write_trained
from braggscope.app.export import coherent
from braggscope.app.export.coherent_figures import crystal_figure
from braggscope.app.export.figures import Line, error_figure, picture_figure
from braggscope.app.export.masks import write_mask
from braggscope.app.export.phasing import write_phasing
from braggscope.app.export.poni import write_poni
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.report import write_report
from braggscope.app.export.strain import provenance_of, write_strain
from braggscope.app.export.strain_figures import strain_figure
from braggscope.app.export.tables import write_peaks
from braggscope.app.export.track_tables import TrackedTable, write_tracks
from braggscope.app.shell.settings import Settings, save_settings
from braggscope.app.state.session import Session, save_session
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable
from braggscope.models.tracks.link import link

Write = Callable[[Path], object]
QUICK = Phasing(coarse_iterations="4*RAAR+2*ER", iterations="4*RAAR+2*ER", refinement=0, starts=1, runs=1)
INSTRUMENT = Instrument(
    wavelength_angstrom=1.0, distance_m=0.3, pixel_size_m=(75e-6, 75e-6), poni_m=(0.01, 0.01)
)


@dataclass(frozen=True)
class Export:
    """The name of a file or folder, and what writes it."""

    name: str
    write: Write


def peaks(rows: int = 4000) -> list[PeakTable]:
    """Tables of two frames with numbers that do not pack well."""
    random = np.random.default_rng(1)
    values = {
        name: random.normal(scale=1e3, size=rows) for name in ("x", "y", "x_fit", "y_fit", "score", "birth")
    }
    return [PeakTable.blank(rows, frame=np.full(rows, k), peak=np.arange(rows), **values) for k in (0, 1)]


def _tables(provenance: Provenance) -> list[Export]:
    found = [
        Export(f"peaks{s}", lambda path: write_peaks(path, peaks(), provenance))
        for s in (".csv", ".parquet", ".h5", ".cxi", ".flt")
    ]
    table = PeakTable.concatenate(peaks())
    tracked = TrackedTable(table, link(table), provenance={"program": "Braggscope"})
    found += [
        Export(f"tracks{s}", lambda path: write_tracks(path, tracked)) for s in (".csv", ".parquet", ".h5")
    ]
    findings = gather(enumerate(peaks()), 2, {1: "Frame 1 could not be read."}, 0)
    found.append(Export("report.html", lambda path: write_report(path, findings, provenance, None)))
    return found


def _strain(folder: Path) -> list[Export]:
    from scans import correlation, small_scan

    small_scan(folder / "scan.h5")
    result = run_strain(str(folder / "scan.h5"), correlation(), None, silent_context())
    found = [
        Export(f"strain{s}", lambda path: write_strain(path, result, provenance_of(result)))
        for s in (".h5", ".csv", ".tif")
    ]
    found += [Export(f"maps{s}", lambda path: strain_figure(path, result)) for s in (".png", ".svg", ".pdf")]
    return found


def _coherent(provenance: Provenance) -> list[Export]:
    spec = CoherentSpec(seed=5, shape=(32, 32, 32), peak_counts=1e5)
    crystal = grow(spec)
    known = {"voxel_nm": tuple(crystal.voxel_nm), "q_inv_angstrom": tuple(crystal.q_inv_angstrom)}
    particle = particle_of(crystal.obj, crystal.support, Phasing(**known))
    counts = measure(crystal, spec).counts
    stack = Stack(counts, np.zeros(counts.shape, bool), "scan.npy", "identity")
    looked = look_at(candidates(phase_stack(stack, QUICK, silent_context()))[0], QUICK, "measured", "modulus")
    phased = as_phased(looked.candidate, QUICK)
    drawn, picture = scene(particle, "strain"), Image.effect_noise((300, 300), 80)
    coherent.TURN_FRAMES = 6
    turn = partial(
        coherent.write_turntable, scene=drawn, view=(0, 0.3, drawn.radius), legend=None, unit="nm",
        context=silent_context(), side=96,
    )  # fmt: skip
    return [
        Export("crystal.h5", lambda path: write_phasing(path, phased, provenance)),
        Export("crystal.cxi", lambda path: write_phasing(path, phased, provenance)),
        Export("crystal.vti", lambda path: coherent.write_paraview(path, particle, provenance)),
        Export("crystal.npz", lambda path: coherent.write_npz(path, particle, provenance)),
        Export("surface.png", lambda path: coherent.write_surface_picture(path, picture)),
        *(Export(name, turn) for name in ("turn.mp4", "turn.gif", "turn")),
        *(Export(f"slices{s}", lambda path: crystal_figure(path, looked)) for s in (".png", ".svg", ".pdf")),
    ]


def _movies(folder: Path) -> list[Export]:
    frames = np.random.default_rng(2).poisson(20, (5, 96, 96)).astype(np.uint16)
    with h5py.File(folder / "movie.h5", "w") as file:
        file["data"] = frames
    parameters = Parameters().with_detect(minval=1e6, minscore=1e6).with_localize(methods=("fit",))
    job = partial(MovieJob, str(folder / "movie.h5"), range(5), parameters)
    return [
        Export(name, lambda path: make_movie(job(output=path), None, silent_context()))
        for name in ("movie.mp4", "movie.gif", "movie")
    ]


def _small(provenance: Provenance) -> list[Export]:
    mask = np.random.default_rng(3).random((200, 200)) > 0.5
    lines = [Line("A", "#56b4e9", np.arange(50.0), np.arange(50.0))]
    picture = Image.effect_noise((300, 300), 80).convert("RGB")
    return [
        *(Export(f"mask{s}", lambda path: write_mask(path, mask)) for s in (".tif", ".npy", ".edf", ".h5")),
        *(
            Export(f"curves{s}", lambda path: error_figure(path, lines, "median"))
            for s in (".png", ".svg", ".pdf")
        ),
        *(
            Export(f"frame{s}", lambda path: picture_figure(path, picture, "frame 0"))
            for s in (".png", ".svg")
        ),
        Export("instrument.poni", lambda path: write_poni(path, INSTRUMENT, (100, 100))),
        Export("session.json", lambda path: save_session(Session(location="/data/a.h5"), path)),
        Export("settings.json", lambda path: save_settings(Settings(), path)),
    ]


def _training() -> list[Export]:
    import torch

    state = {"weight": torch.randn(100, 100)}

    def journal(path: Path) -> None:
        kept = Journal.start(path, {"source": "a", "parameters": "b"})
        try:
            kept.add([(k, table, "") for k, table in enumerate(peaks())])
        finally:
            kept.close()

    return [
        Export(
            "weights.safetensors", lambda path: write_trained(path, state, {"network": "x"}, "id", {}, ["1"])
        ),
        Export("weights", lambda path: save_checkpoint(path, {"state": state})),
        Export("peaks.h5.journal", journal),
    ]


def catalogue(folder: Path) -> list[Export]:
    """All exports, made from small data in ``folder``."""
    provenance = Provenance("/data/a.h5", "identity", Parameters())
    return [
        *_tables(provenance), *_strain(folder), *_coherent(provenance), *_movies(folder),
        *_small(provenance), *_training(),
    ]  # fmt: skip

"""Making an overlay movie of a series: read, analyse or look up, paint, encode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from braggscope.app.engine.batch import read_raw
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.localizers import weights_record
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.peaks import analyse
from braggscope.app.engine.setup import Seen, make_preparer, open_again
from braggscope.app.export.movie import check_movie_path, movie_sink
from braggscope.app.export.overlay import OverlayPainter, OverlayStyle
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import ExportError
from braggscope.app.files import atomic_path
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.persistence import Workspace
from braggscope.models.prepare import Prepared
from braggscope.models.render import percentile_levels
from braggscope.models.results import PeakTable


@dataclass(frozen=True, slots=True)
class MovieJob:
    """A movie of ``frames``. ``style`` without levels (None) takes them from the first frame.

    ``seen``: what the source must still be.
    """

    location: str
    frames: Sequence[int]
    parameters: Parameters
    output: Path
    fps: float = 12.0
    style: OverlayStyle | None = None
    frame_axis: int | None = None
    device: str = "cpu"
    finish: Callable[[PeakTable], PeakTable] = field(default=lambda table: table)
    seen: Seen | None = None


def make_movie(job: MovieJob, networks: Networks | None, context: Context) -> int:
    """Write the movie and, beside it, a JSON with its provenance. Returns the number of frames written.

    Levels are locked over the whole movie. Raises ExportError, SourceError, Cancelled; then nothing remains.
    """
    check_movie_path(job.output)
    if not len(job.frames):
        raise ExportError(f"There is no frame for the movie {job.output.name}; choose at least one.")
    with Reader() as reader:
        info = open_again(reader, job.location, job.frame_axis, job.seen, context.cancelled)
        preparer = make_preparer(job.parameters.prepare, info, reader, context.cancelled)
        count = job.parameters.prepare.sum_frames
        workspace = Workspace()

        def prepared(index: int) -> Prepared:
            return preparer.apply(read_raw(reader, info, index, count, context.cancelled))

        painter = _painter(job, prepared(job.frames[0]))
        beside = job.output.with_name(job.output.name + ".json")
        with (
            atomic_path(beside, context.commit) as notes,
            movie_sink(job.output, painter.size, job.fps, painter.palette(), context) as sink,
        ):
            for done, index in enumerate(job.frames):
                context.progress(done, len(job.frames))
                frame = prepared(index)
                found = analyse(
                    frame, index, job.parameters, networks,
                    device=job.device, workspace=workspace, check=context.check,
                )  # fmt: skip
                table = job.finish(found.table)
                sink.add(
                    painter.paint(frame, table, frame_title(info, index), frame_note(job.parameters, table))
                )
            notes.write_text(_provenance(job, info), "utf-8")
            context.progress(len(job.frames), len(job.frames))
    return len(job.frames)


def _painter(job: MovieJob, first: Prepared) -> OverlayPainter:
    style = job.style
    if style is None:
        style = OverlayStyle(percentile_levels(first.image, first.mask))
    methods = job.parameters.localize.methods
    style = replace(style, fit=style.fit and "fit" in methods, braggnn=style.braggnn and "braggnn" in methods)
    return OverlayPainter(first.image.shape, style)


def frame_title(info: SourceInfo, index: int) -> str:
    """``frame 213 / 480   voltage 3.92 V``."""
    parts = [f"frame {index} / {info.frames}"]
    for name, values in info.axes.items():
        quantity, _, unit = name.rpartition("_")
        label = f"{quantity} {values[index]:.6g} {unit}" if quantity else f"{name} {values[index]:.6g}"
        parts.append(label)
    return "   ".join(parts[:4])


def frame_note(parameters: Parameters, table: PeakTable) -> str:
    """Thresholds, number of peaks and what the marks mean."""
    detect = parameters.detect
    marks = []
    if "fit" in parameters.localize.methods:
        marks.append("+ fit")
    if "braggnn" in parameters.localize.methods:
        marks.append("○ BraggNN")
    marks.append("□ no fit")
    peaks = int(table.detected.sum())
    return f"minval {detect.minval:g}  minscore {detect.minscore:g}   {peaks} peaks   {'  '.join(marks)}"


def _provenance(job: MovieJob, info: SourceInfo) -> str:
    name, sha = weights_record(job.parameters.localize)
    return Provenance(info.location, info.identity, job.parameters, name, sha, job.device).json()

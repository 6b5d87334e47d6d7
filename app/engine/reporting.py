"""Making the report of a run: gather its tables, paint one frame, write the page."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from braggscope.app.engine.batch import SeriesJob, read_raw
from braggscope.app.engine.findings import Findings, gather
from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.engine.movies import frame_note, frame_title
from braggscope.app.engine.setup import make_preparer
from braggscope.app.export.overlay import OverlayPainter, OverlayStyle
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.report import check_report, write_report
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.models.render import percentile_levels
from braggscope.models.results import PeakTable


def make_report(
    path: Path,
    job: SeriesJob,
    tables: Iterable[tuple[int, PeakTable]],
    done: Sequence[int],
    problems: dict[int, str],
    provenance: Provenance,
    context: Context = UNWATCHED,
) -> None:
    """Write the report of ``job``, whose frames ``done`` have ``tables`` (by rising frame).

    The middle one of them is drawn. Raises ExportError, OSError, Cancelled.
    """
    check_report(path)
    example = done[len(done) // 2] if done else -1
    found = gather(tables, max([*done, *problems], default=-1) + 1, problems, example, context.check)
    write_report(path, found, provenance, _painted(job, found, example), job.frame_axis, context)


def _painted(job: SeriesJob, found: Findings, frame: int) -> Image.Image | None:
    if found.example is None:
        return None
    parameters = job.parameters
    try:
        with Reader() as reader:
            info = reader.open(job.location, job.frame_axis)
            preparer = make_preparer(parameters.prepare, info, reader)
            prepared = preparer.apply(read_raw(reader, info, frame, parameters.prepare.sum_frames))
    except SourceError:  # it was there a moment ago; the numbers are worth a report without it
        return None
    methods = parameters.localize.methods
    style = OverlayStyle(
        percentile_levels(prepared.image, prepared.mask), size=1024,
        fit="fit" in methods, braggnn="braggnn" in methods,
    )  # fmt: skip
    painter = OverlayPainter(prepared.image.shape, style)
    note = frame_note(parameters, found.example)
    return painter.paint(prepared, found.example, frame_title(info, frame), note)

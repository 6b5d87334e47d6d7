"""The program as a library: the same engine as the window, in one call."""

from collections.abc import Sequence

from braggscope.app.engine.batch import Outcome, SeriesJob, assemble, run_series
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.localizers import open_networks
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable, in_frame_pixels


def analyse_series(
    location: str,
    parameters: Parameters,
    frames: Sequence[int] | None = None,
    *,
    frame_axis: int | None = None,
    device: str = "cpu",
    workers: int = 2,
) -> PeakTable:
    """Peak table of a series (default: all frames), in pixels of the whole frame.

    Raises SourceError if the source, or any frame, is not readable.

    ``frame_axis``: axis of a stack that counts frames, where it is not the first. ``device``: cpu or cuda.
    Call it under ``if __name__ == "__main__"``: files are read in a process of their own.
    """
    if frames is None:
        with Reader() as reader:
            frames = range(reader.open(location, frame_axis).frames)
    networks = open_networks(parameters.localize, device)
    found: list[Outcome] = []
    job = SeriesJob(location, frames, parameters, frame_axis, device, workers)
    problems = run_series(job, networks, silent_context(), on_outcomes=found.extend)
    if problems:
        first = min(problems)
        raise SourceError(f"{len(problems)} frames failed; the first is {first}: {problems[first]}")
    table = assemble((o.frame, o.table) for o in found if o.table is not None)
    return in_frame_pixels(table, parameters.prepare.binning)

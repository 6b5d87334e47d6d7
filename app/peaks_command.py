"""The command that analyses a series: one or many files, here or on a cluster, resumable."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from braggscope.app.commands import check_output, opened, progress_bar
from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.journal import Journal, read_manifest
from braggscope.app.engine.localizers import open_networks, weights_record
from braggscope.app.engine.setup import input_files_key, instrument_of, make_preparer, with_beam
from braggscope.app.engine.watching import describe_batch
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import check_suffix, write_peaks
from braggscope.app.options import (
    CommandError,
    parse_range,
    read_parameters,
    resolved_device,
    with_suggestions,
    worker_count,
)
from braggscope.app.sources.many import join_locations
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.app.wording import Tally, counted
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters

Run = Callable[[Context, Journal], dict[int, str]]


def peaks(options: argparse.Namespace) -> int:
    """Analyse a series into a peak table."""
    output: Path = options.output
    check_suffix(output)
    if options.report is not None:
        from braggscope.app.export.report import check_report

        check_report(options.report)
    options.file = join_locations(options.files)
    workers = worker_count(options.workers)
    parameters = read_parameters(options)
    check_output(options, parameters)
    folder = output.with_name(output.name + ".journal")
    manifest = read_manifest(folder) if options.resume else None
    with Reader() as reader:
        found = opened(reader, options)
        instrument = _instrument(options, found)
        parameters = with_beam(parameters, instrument)
        make_preparer(
            parameters.prepare, found, reader
        )  # what cannot work is said before anything is written
        parameters = _resumed_thresholds(parameters, options, manifest) or with_suggestions(
            parameters, options, found, reader
        )
    frames = parse_range(options.frames, found.frames)
    key = _journal_key(found, options.frame_axis, parameters, frames, instrument)
    if options.resume and Journal.is_finished(folder, key, output):
        print(f"{output} is finished; nothing to do.", file=sys.stderr)
        return 0
    device = resolved_device(options.device, parameters)
    job = SeriesJob(options.file, frames, parameters, options.frame_axis, device, workers, instrument)
    begin = Journal.resume if options.resume else Journal.start
    with (
        _engine(options, job, found) as run,  # what cannot start leaves the journal as it is
        contextlib.closing(begin(folder, key)) as journal,
    ):
        _run_batch(run, job, found, journal, output, options.report)
    return 0


@contextmanager
def _engine(options: argparse.Namespace, job: SeriesJob, found: SourceInfo) -> Iterator[Run]:
    """How the batch is run: on threads of this process, or on the workers of a cluster."""
    where = options.cluster or options.scheduler
    if where is None:
        networks = open_networks(job.parameters.localize, job.device)
        yield lambda context, journal: run_series(job, networks, context, journal=journal)
        return
    from braggscope.app.engine.cluster import connected, run_on_cluster

    with connected(where, job.workers) as client:
        yield lambda context, journal: run_on_cluster(job, found, client, context, journal=journal)


def _run_batch(
    run: Run, job: SeriesJob, found: SourceInfo, journal: Journal, output: Path, report: Path | None
) -> None:
    with progress_bar("peaks") as context:
        problems = run(context, journal)
    for frame, problem in sorted(problems.items())[:10]:
        print(f"frame {frame} failed: {problem}", file=sys.stderr)
    if len(problems) == len(job.frames):
        raise CommandError(f"No frame of {found.location} could be analysed; {output} was not written.")
    tally = Tally()
    provenance, done = _provenance(job, found), sorted(journal.done())
    tables = tally.over(table for _, table in journal.tables())
    write_peaks(output, tables, provenance, done, found.axes)
    frames = counted(len(job.frames) - len(problems), "frame")
    print(f"{output}: {tally} in {frames}", file=sys.stderr)
    if report is not None:
        from braggscope.app.engine.reporting import make_report

        make_report(report, job, journal.tables(), done, problems, provenance)
        print(report, file=sys.stderr)
    if problems:
        print(f"{len(problems)} frames failed; --resume tries them again.", file=sys.stderr)
    else:
        journal.finish(output)


def _instrument(options: argparse.Namespace, found: SourceInfo) -> Instrument | None:
    """The instrument of ``--poni``, else of the metadata. What is not used of a file is said on stderr."""
    if options.poni is None:
        return instrument_of(found)
    from braggscope.app.sources.instruments import read_instrument_file

    read = read_instrument_file(options.poni, found.shape, found.quantities.get("wavelength_angstrom"))
    for note in read.notes:
        print(note, file=sys.stderr)
    return read.instrument


def _journal_key(
    found: SourceInfo, axis: int | None, parameters: Parameters, frames: range, instrument: Instrument | None
) -> dict[str, str]:
    parts = [parameters.fingerprint("all"), f"{frames.start}:{frames.stop}:{frames.step}"]
    return {
        "source": found.identity,
        "parameters": " ".join([*parts, input_files_key(parameters)]),
        "detect": parameters.detect.model_dump_json(),
        "instrument": "" if instrument is None else instrument.model_dump_json(),
        **describe_batch(found.location, axis, parameters, frames),
    }


def _resumed_thresholds(
    parameters: Parameters, options: argparse.Namespace, manifest: dict[str, str] | None
) -> Parameters | None:
    """Thresholds of the run to be resumed, where none are given now."""
    given = options.parameters is not None or options.minval is not None or options.minscore is not None
    if manifest is None or given:
        return None
    try:
        detect = json.loads(manifest["detect"])
        return parameters.with_detect(minval=detect["minval"], minscore=detect["minscore"])
    except (KeyError, TypeError, ValueError):  # not one of ours: the key tells
        return None


def _provenance(job: SeriesJob, found: SourceInfo) -> Provenance:
    name, sha = weights_record(job.parameters.localize)
    frames = job.frames
    chosen = f"{frames.start}:{frames.stop}:{frames.step}" if isinstance(frames, range) else f"{len(frames)}"
    return Provenance(
        found.location, found.identity, job.parameters, name, sha, job.device, chosen, found.parts,
        job.instrument,
    )  # fmt: skip

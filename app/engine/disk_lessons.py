"""What a scan teaches a disk network: its probe, its dose, the spacing of its disks."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.scan import Patterns, open_scan
from braggscope.app.sources.reader import Reader
from braggscope.models.disks.results import Probe
from braggscope.models.parameters import Parameters

if TYPE_CHECKING:
    from braggscope.models.disks.network.adapt import Statistics
    from braggscope.models.disks.network.build import DiskNet


class Lesson(NamedTuple):
    """What simulation is to be like. ``identity``: of the scan, for the key of a checkpoint."""

    probe: Probe
    statistics: "Statistics"
    identity: str


def look_at(
    location: str, network: "DiskNet", parameters: Parameters, context: Context, frame_axis: int | None = None
) -> Lesson:
    """Probe and statistics of a scan, from a few of its patterns and the disks that ``network`` finds there.

    Raises SourceError, StrainError.
    """
    from braggscope.app.engine.disk_tools import LOOKED_AT, find_probe, worded
    from braggscope.models.disks.network.adapt import statistics_of
    from braggscope.models.disks.network.infer import DiskNetwork

    with Reader() as reader:
        scan = open_scan(reader, location, parameters, frame_axis, context.cancelled)
        patterns = Patterns(reader, scan, parameters, context)
        probe = find_probe(patterns, parameters, context)
        some = patterns.take(scan.spread(LOOKED_AT), context)
    try:
        disks = DiskNetwork(network).find(some, patterns.mask, probe)
        return Lesson(probe, statistics_of(some, disks), scan.info.identity)
    except ValueError as error:
        raise worded(location, error) from error


def parameters_of(file: Path | None) -> Parameters:
    """Parameters from a file, the usual ones without. Raises CommandError."""
    from braggscope.app.options import parameters_file

    return Parameters() if file is None else parameters_file(file)

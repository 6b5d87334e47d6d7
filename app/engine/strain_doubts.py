"""What speaks against a strain map, in sentences: a lattice that is found is not always the crystal's."""

from dataclasses import replace

import numpy as np

from braggscope.app.engine.disk_tools import LOOKED_AT, Tools, scan_evenly
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.scan import Patterns
from braggscope.app.engine.strain_records import Found
from braggscope.app.sources.protocol import SourceError
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.probe import probe_from_patterns
from braggscope.models.disks.results import Disks, LatticeMap, Probe

RADIUS = 1.25  # how much larger or smaller a probe may be than the disks of the scan
RESIDUAL = 0.25  # of the probe's radius, by which disks miss their lattice
USED = 0.6  # share of the disks that should lie on the lattice


def residual_doubts(disks: Disks, lattices: LatticeMap, radius: float) -> tuple[str, ...]:
    """A sentence where disks lie off the lattices (N) of their positions, for a probe of ``radius`` px."""
    if not lattices.valid.any():
        return ()
    found = np.bincount(disks.pattern, minlength=len(lattices.valid))[lattices.valid]
    share = float(np.median(lattices.count[lattices.valid] / np.maximum(found, 1)))
    residual = float(np.median(lattices.residual[lattices.valid]))
    what = []
    if residual > RESIDUAL * radius:
        what.append(
            f"disks miss the lattice by {residual:.2g} px (median) at a probe radius of {radius:.3g} px"
        )
    if share < USED:
        what.append(f"only {100 * share:.0f} % of the disks (median) lie on the lattice")
    if not what:
        return ()
    return (
        f"Do not trust this strain yet: {', and '.join(what)}; look at the disks in the window, try another"
        " method or threshold, or give the lattice.",
    )


def lattice_doubts(patterns: Patterns, tools: Tools, found: Found, context: Context) -> tuple[str, ...]:
    """A sentence where disks that correlation finds freely do not lie on the lattices of the fit.

    The fit reports disks where its own lattice has them, so they cannot speak against it.
    """
    lattices = found.lattices
    if lattices is None:
        return ()
    shares = []
    for k in scan_evenly(len(found.positions), LOOKED_AT):
        context.check()
        if not lattices.valid[k]:
            continue
        try:
            pattern = patterns.take(found.positions[k : k + 1], context)
        except SourceError:  # its disks are of the journal
            continue
        free = tools.correlator.find(pattern)
        if len(free):
            own = replace(free, pattern=free.pattern + k)
            shares.append(share_on(own, lattices, RESIDUAL * tools.probe.radius))
    if not shares or np.median(shares) >= USED:
        return ()
    return (
        f"Do not trust this strain yet: of the disks that correlation finds in {len(shares)} of the patterns"
        f" only {100 * np.median(shares):.0f} % (median) lie on the fitted lattice; look at the disks in the"
        " window, choose another probe, or give the lattice.",
    )


def share_on(disks: Disks, lattices: LatticeMap, within: float) -> float:
    """Share of disks within so many px of a node of their pattern's lattice."""
    values = lattices.values[disks.pattern]
    vectors = values[:, 2:].reshape(-1, 2, 2).transpose(0, 2, 1)  # columns a, b
    place = np.stack([disks.x, disks.y], axis=1)[:, :, None] - values[:, :2, None]
    index = np.linalg.solve(vectors, place)
    missed = np.linalg.norm((vectors @ (index - index.round()))[:, :, 0], axis=1)
    return float(np.mean(missed <= within))


def probe_doubts(patterns: Patterns, probe: Probe, settings: Strain, context: Context) -> tuple[str, ...]:
    """A sentence where a probe that was given has another size than the disks of the scan."""
    if settings.probe_radius is None and settings.probe_file is None and settings.probe_region is None:
        return ()
    try:
        own = probe_from_patterns(patterns.take(patterns.scan.spread(LOOKED_AT), context), patterns.mask)
    except ValueError:
        return ()  # nothing to compare with
    if 1 / RADIUS <= probe.radius / own.radius <= RADIUS:
        return ()
    return (
        f"The probe's radius of {probe.radius:.3g} px does not fit this scan, whose central disk has"
        f" {own.radius:.3g} px; leave the radius empty, or choose another probe.",
    )

"""Rings on a frame, and refinement of an instrument on peaks: what the Instrument panel asks for."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cells import Cell
from braggscope.models.geometry import Instrument, two_theta_of
from braggscope.models.results import PeakTable, in_frame_pixels
from braggscope.models.ring_refinement import Free, Refinement, RefinementError, refine
from braggscope.models.rings import ring_curve

MOST_RINGS = 60  # looked at
MOST_DRAWN = 40
WEAK = 0.01  # of the strongest ring: not drawn
MOST_PEAKS = 5000  # the strongest are refined on


def q_reach(instrument: Instrument, shape: tuple[int, int]) -> float:
    """Largest q in 1/Å on a frame of ``shape`` (rows, columns): that of a corner."""
    x, y = np.array([-0.5, shape[1] - 0.5]), np.array([-0.5, shape[0] - 0.5])
    return float(np.max(instrument.q_inv_angstrom(x[None, :], y[:, None])))


def frame_rings(
    instrument: Instrument, cell: Cell, shape: tuple[int, int], binning: int = 1
) -> tuple[tuple[str, NDArray[np.float64]], ...]:
    """Label and curve (N, 2) of the rings of a cell on a frame of ``shape``, in px of the binned frame.

    Only rings that cross the frame and have 1 % of the strongest one's |F|², at most 40. Raises ValueError
    for cells with too many reflections.
    """
    found = []
    for ring in cell.rings(q_reach(instrument, shape), MOST_RINGS):
        two_theta = float(two_theta_of(ring.d_angstrom, instrument.wavelength_angstrom))
        curve = ring_curve(instrument, two_theta, shape) if math.isfinite(two_theta) else np.empty((0, 2))
        if len(curve) and not ring.strength < WEAK:  # NaN is drawn
            found.append((ring.label, (curve + 0.5) / binning - 0.5))
    return tuple(found[:MOST_DRAWN])


def strongest(
    tables: Iterable[PeakTable],
    most: int,
    usable: Callable[[PeakTable], NDArray[np.bool_]],
    check: Callable[[], None],
) -> PeakTable:
    """The ``most`` usable peaks of the highest scores, best first; never many more in memory.

    ``check`` is called for every table and may raise.
    """
    kept: list[PeakTable] = []
    held = 0
    for table in tables:
        check()
        some = table.take(usable(table))
        kept.append(some)
        held += len(some)
        if held > 2 * most + 10_000:
            kept = [_best(kept, most)]
            held = len(kept[0])
    return _best(kept, most)


def _best(tables: list[PeakTable], most: int) -> PeakTable:
    table = PeakTable.concatenate(tables)
    return table.take(np.argsort(-table["score"], kind="stable")[:most])


def refine_on_peaks(
    instrument: Instrument,
    cell: Cell,
    tables: Iterable[PeakTable],
    binning: int,
    shape: tuple[int, int],
    free: Sequence[Free],
    check: Callable[[], None],
) -> Refinement:
    """Refine on the positions of peaks, in px of frames binned by ``binning``. Raises RefinementError.

    ``check`` is called for every table and may raise.
    """
    found = strongest(tables, MOST_PEAKS, lambda t: np.isfinite(t["x"]) & np.isfinite(t["y"]), check)
    table = in_frame_pixels(found, binning)
    spacings = [ring.d_angstrom for ring in cell.rings(q_reach(instrument, shape), MOST_RINGS)]
    if not spacings:
        raise RefinementError(
            f"No ring of {cell.name} reaches the frame; choose another substance, or correct distance, "
            "centre and energy."
        )
    if not len(table):
        raise RefinementError("There are no peaks with a position to refine on; lower the thresholds.")
    return refine(
        instrument, table["x"], table["y"], spacings,
        x_err=table["x_err"], y_err=table["y_err"], free=free,
    )  # fmt: skip

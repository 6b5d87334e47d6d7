"""Size, microstrain and strain of a sample from the peaks on the rings of its cell."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.rings import MOST_RINGS, q_reach, strongest
from braggscope.models.cells import Cell
from braggscope.models.geometry import Instrument, directions, two_theta_of
from braggscope.models.results import PeakTable, Status, in_frame_pixels
from braggscope.models.ring_refinement import nearest_rings
from braggscope.models.size_strain import (
    Estimate,
    WilliamsonHall,
    angular_widths,
    breadth,
    strain,
    weighted_mean,
    williamson_hall,
    without_instrument,
)

NEAR_PX = 4.0  # peaks within this distance belong to a ring
FEWEST = 3  # peaks that tell the width of a ring
MOST_PEAKS = 500_000  # the strongest tell it


class SizeError(ValueError):
    """The peaks do not tell size and strain. One sentence."""


@dataclass(frozen=True, slots=True)
class SizeReport:
    """``line``: of Williamson and Hall, FWHM with K = 0.9; ``strain``: mean of the peaks against the cell.

    ``labels`` of the rings used; ``breadths`` (R,) rad of 2theta without the instrument's, with 1 sigma.
    """

    line: WilliamsonHall
    strain: Estimate
    peaks: int
    labels: tuple[str, ...]
    two_theta: NDArray[np.float64]
    breadths: Estimate


def size_and_strain(
    instrument: Instrument,
    cell: Cell,
    tables: Iterable[PeakTable],
    binning: int,
    shape: tuple[int, int],
    instrument_fwhm: float,
    check: Callable[[], None],
) -> SizeReport:
    """Report on fitted peaks, in px of frames binned by ``binning``; ``instrument_fwhm`` rad of 2theta.

    The breadth of a ring is the median radial FWHM of its peaks, at least 3, its error that of a median by
    their scatter. ``check`` is called for every table and may raise. Raises SizeError.
    """
    rings = cell.rings(q_reach(instrument, shape), MOST_RINGS)
    centres = two_theta_of([ring.d_angstrom for ring in rings], instrument.wavelength_angstrom)
    table = _fitted(tables, binning, check)
    if not rings:
        raise SizeError(
            f"No ring of {cell.name} reaches the frame; choose another substance, or correct distance, "
            "centre and energy."
        )
    if not len(table):
        raise SizeError("There are no fitted peaks to work on; lower the thresholds.")
    ring, offset = nearest_rings(instrument, table["x"], table["y"], centres)
    near = np.abs(offset) <= NEAR_PX
    table, ring = table.take(near), ring[near]
    widths, _ = angular_widths(
        instrument, table["x"], table["y"], table["fwhm_major"], table["fwhm_minor"], table["angle"]
    )
    used, values, errors = [], [], []
    for k in np.unique(ring):
        here = ring == k
        value, error = _breadth(widths[here], np.nan_to_num(table["eta"][here]), instrument_fwhm)
        if np.isfinite(value) and error > 0:
            used.append(k)
            values.append(value)
            errors.append(error)
    if len(used) < 2:
        raise SizeError(
            f"Only {len(used)} ring{'s' * (len(used) != 1)} with {FEWEST} peaks wider than the instrument; "
            "a Williamson-Hall line needs two."
        )
    breadths = Estimate(np.array(values), np.array(errors))
    line = williamson_hall(*breadths, centres[used], instrument.wavelength_angstrom)
    found = directions(instrument, table["x"], table["y"], table["x_err"], table["y_err"], table["cov_xy"])
    against = np.array([one.d_angstrom for one in rings])[ring]
    shift = weighted_mean(*strain(found.d_angstrom, found.d_err, against))
    labels = tuple(rings[k].label for k in used)
    return SizeReport(line, shift, len(table), labels, centres[used], breadths)


def _fitted(tables: Iterable[PeakTable], binning: int, check: Callable[[], None]) -> PeakTable:
    def usable(table: PeakTable) -> NDArray[np.bool_]:
        return np.asarray((table["status"] == Status.OK) & np.isfinite(table["fwhm_major"]))

    return in_frame_pixels(strongest(tables, MOST_PEAKS, usable, check), binning)


def _breadth(widths: NDArray, eta: NDArray, instrument_fwhm: float) -> tuple[float, float]:
    """FWHM of a ring without the instrument's, and its error; NaN where too few peaks tell it."""
    if len(widths) < FEWEST:
        return float("nan"), float("nan")
    whole = float(np.median(widths))
    scatter = float(1.4826 * np.median(np.abs(widths - whole)) * np.sqrt(np.pi / 2 / len(widths)))
    value = float(breadth(*without_instrument(whole, instrument_fwhm, float(np.median(eta)))))
    return value, scatter * whole / value if value > 0 else float("nan")  # d(own) = whole / own d(whole)

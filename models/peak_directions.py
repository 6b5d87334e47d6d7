"""Columns of the peak table that follow from an instrument."""

from braggscope.models.geometry import Instrument, directions
from braggscope.models.results import PeakTable


def with_directions(table: PeakTable, instrument: Instrument, binning: int = 1) -> PeakTable:
    """Table with q, d, two_theta and azimuth of the combined positions; NaN where there is none.

    ``binning``: of the image whose pixels the positions are given in; the instrument knows whole frames.
    """
    x, y = ((table[name] + 0.5) * binning - 0.5 for name in ("x", "y"))
    found = directions(instrument, x, y)
    return table.with_columns(
        q=found.q_inv_angstrom, d=found.d_angstrom, two_theta=found.two_theta, azimuth=found.azimuth
    )

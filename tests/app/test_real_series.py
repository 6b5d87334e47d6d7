"""The whole chain on measured series of other people."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from braggscope.app.api import analyse_series
from braggscope.models.parameters import Parameters

DATA = os.environ.get("BRAGGSCOPE_TEST_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="BRAGGSCOPE_TEST_DATA is not set: no measured series")


def reference_spots():
    lines = Path(DATA, "dac_zr", "reference_spots_px.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@needs_data
def test_spots_of_three_grains_of_zirconium_are_found():
    """At least 97 % of 175 spots that hexrd found lie within 2 px of a peak, in their frame or the next.

    The reference gives centroids in omega, so a spot may peak one frame beside its own.
    """
    series = Path(DATA, "dac_zr", "LT1_Ne_zr001_00000-fc_GE2.npz")
    parameters = Parameters().with_detect(minval=20, minscore=10).with_localize(methods=("fit",))
    table = analyse_series(str(series), parameters)
    fitted = np.isfinite(table["x_fit"])
    x = np.where(fitted, table["x_fit"], table["col"])
    y = np.where(fitted, table["y_fit"], table["row"])
    spots = reference_spots()
    found = 0
    for spot in spots:
        near = np.abs(table["frame"] - int(spot["frame"])) <= 1
        apart = np.minimum(
            np.hypot(x[near] - float(spot["col"]), y[near] - float(spot["row"])),
            np.hypot(table["col"][near] - float(spot["col"]), table["row"][near] - float(spot["row"])),
        )
        found += bool(apart.min() <= 2.0)
    assert len(spots) == 175
    assert found >= 0.97 * len(spots)


@needs_data
def test_a_grid_scan_over_thaumatin_shows_hundreds_of_spots_that_fade_out():
    series = str(Path(DATA, "thaumatin_grid"))
    parameters = Parameters().with_detect(minval=15, minscore=40).with_localize(methods=("fit",))
    table = analyse_series(series, parameters, frames=[2, 6, 18])
    counts = [int(np.count_nonzero(table["frame"] == frame)) for frame in (2, 6, 18)]
    assert min(counts[:2]) > 100
    assert counts[2] < min(counts[:2]) / 4
    assert np.isfinite(table["x_fit"]).mean() > 0.7

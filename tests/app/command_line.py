"""What the tests of the command line share: flags of quick runs, and how two tables are compared."""

import sys
from pathlib import Path

import numpy as np

from braggscope.app.export.tables import read_peaks
from braggscope.models.results import COLUMNS

COMMAND = [sys.executable, "-m", "braggscope.app"]
FLAGS = ["--minval", "60", "--minscore", "150", "--localize", "fit", "--device", "cpu"]


def no_window(_: object) -> int:
    """In place of the window, where none may open."""
    raise AssertionError("a window was asked for")


def same(a: Path, b: Path) -> None:
    """Two peak tables on disk hold the same numbers."""
    first, second = (read_peaks(path) for path in (a, b))
    for c in COLUMNS:
        assert np.array_equal(first[c.name], second[c.name], equal_nan=c.dtype == "float64"), c.name

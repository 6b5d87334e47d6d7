"""The localiser network and the combined answer on simulated peaks, as the program itself gives them."""

import time
from typing import Any

import numpy as np

from benchmarks.accuracy_scenes import WINDOW, Draws, pixels
from braggscope.app.engine.localizers import open_networks
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.peaks import localize
from braggscope.models.parameters import Parameters, Preparation
from braggscope.models.peaks.patches import cut_patches
from braggscope.models.prepare import Preparer
from braggscope.models.results import PeakTable, Status

PARAMETERS = Parameters().with_localize(methods=("fit", "net"), window=WINDOW, noise="uniform")


def networks() -> Networks:
    """The shipped localiser network."""
    return open_networks(PARAMETERS.localize)


def measure(draws: Draws, ready: Networks) -> dict[str, Any]:
    """Positions (N, 2) from the middle pixel and 1σ errors of network, fit and both; µs of the network."""
    n = len(draws.rows)
    rows, cols = pixels(draws)
    prepared = Preparer(Preparation(), shape=draws.frame.shape).apply([draws.frame])
    blank = PeakTable.blank(
        len(rows), frame=0, peak=np.arange(len(rows)), row=rows, col=cols, status=int(Status.PENDING)
    )
    table, _ = localize(prepared, blank, PARAMETERS, ready, limit=n)
    table = table.take(table["component"] == 0).take(slice(0, n))
    found = {
        kind: (_pair(table, f"x{end}", f"y{end}") - np.column_stack((draws.cols, draws.rows)),
               _pair(table, f"x{end}_err", f"y{end}_err"))
        for kind, end in (("network", "_net"), ("pipeline", "_fit"), ("combined", ""))
    }  # fmt: skip
    return {"found": found, "microseconds": _cost(draws, ready), "method": table.labels("method")}


def _pair(table: PeakTable, x: str, y: str) -> np.ndarray:
    return np.column_stack((table[x], table[y]))


def _cost(draws: Draws, ready: Networks) -> float:
    """Processor time of one patch of many, the least of 8 runs."""
    assert ready.net is not None
    patches = cut_patches(draws.frame, None, draws.rows, draws.cols, ready.net.window)
    best = np.inf
    for _ in range(8):
        begin = time.thread_time()
        ready.net.locate(*patches)
        best = min(best, time.thread_time() - begin)
    return best / len(draws.rows) * 1e6


def covered(draws: Draws, place: np.ndarray, error: np.ndarray) -> float:
    """Share of the true x and y within one stated sigma, where there is an answer with an error."""
    known = np.isfinite(place + error).all(axis=1)
    inside = np.abs(place - draws.peaks[: len(place), 0, 1:3]) < error
    return float(inside[known].mean())

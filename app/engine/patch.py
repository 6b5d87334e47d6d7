"""Everything about one peak at close quarters: data, network input, fitted model, residual."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.networks import Networks, look, network_patches
from braggscope.app.engine.peaks import fit_window_peaks
from braggscope.models.fitting.windows import SIDES
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.patches import cut_patches
from braggscope.models.prepare import Prepared
from braggscope.models.results import PeakTable, Status

FIRST_WINDOW = SIDES[0]  # px, where no fit has chosen one yet


@dataclass(frozen=True, slots=True)
class PatchDetail:
    """Patch of one peak. Arrays (S, S); ``origin`` (x, y) px of its first pixel; times in ms.

    ``row``: of the peak; ``further``: of those fitted with it that were not detected.
    """

    row: PeakTable
    further: PeakTable
    origin: tuple[int, int]
    data: NDArray[np.float32]
    valid: NDArray[np.bool_]
    network_input: NDArray[np.float32] | None
    model: NDArray[np.float64] | None
    fit_ms: float
    braggnn_ms: float
    net_ms: float


def patch_detail(
    prepared: Prepared, table: PeakTable, index: int, parameters: Parameters, networks: Networks
) -> PatchDetail:
    """Detail of row ``index`` of a frame's peak table."""
    settings = parameters.localize
    one = table.take(slice(index, index + 1))
    row, col = int(one["row"][0]), int(one["col"][0])
    model, fit_ms = _model(prepared, table, index, parameters, networks)
    # the parameters may have changed since the table was made
    size = len(model) if model is not None else int(table["window"][index]) or FIRST_WINDOW
    patches, valid = cut_patches(prepared.image, prepared.mask, one["row"], one["col"], size)
    network_input, braggnn_ms = None, float("nan")
    if networks.braggnn is not None and "braggnn" in settings.methods:
        minval = parameters.detect.minval if settings.patch == "thresholded" else None
        inputs = network_patches(prepared, one["row"], one["col"], networks.braggnn.window, minval)
        start = time.perf_counter()
        networks.braggnn.locate(inputs)
        braggnn_ms = (time.perf_counter() - start) * 1e3
        network_input = inputs[0]
    net_ms = float("nan")
    if networks.net is not None and "net" in settings.methods:
        counts = cut_patches(prepared.image, prepared.mask, one["row"], one["col"], networks.net.window)
        start = time.perf_counter()
        networks.net.locate(*counts)
        net_ms = (time.perf_counter() - start) * 1e3
    origin = (col - size // 2, row - size // 2)
    beside = ~table.detected & (table["row"] == row) & (table["col"] == col)
    return PatchDetail(
        one, table.take(beside), origin, patches[0], valid[0], network_input, model,
        fit_ms, braggnn_ms, net_ms,
    )  # fmt: skip


def _model(
    prepared: Prepared, table: PeakTable, index: int, parameters: Parameters, networks: Networks
) -> tuple[NDArray[np.float64] | None, float]:
    """The fitted model on the window, refitted with the neighbours the frame's fit had, and its time."""
    if "fit" not in parameters.localize.methods or table["status"][index] not in (Status.OK, Status.REJECTED):
        return None, float("nan")
    reach = int(table["window"][index]) + 2
    near = table.detected & (np.abs(table["row"] - table["row"][index]) <= reach)
    near &= np.abs(table["col"] - table["col"][index]) <= reach
    net = networks.net if "net" in parameters.localize.methods else None
    n = int(np.count_nonzero(near))
    _, rows, cols = look(prepared, table["row"][near], table["col"][near], n, net)
    start = time.perf_counter()
    fits = fit_window_peaks(prepared, rows, cols, parameters.localize, only=n).fits
    milliseconds = (time.perf_counter() - start) * 1e3
    return fits.model_patch(int(np.count_nonzero(near[:index]))), milliseconds

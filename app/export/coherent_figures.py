"""One figure of a reconstruction: slices, convergence of what was measured, strain."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from braggscope.app.engine.coherent_look import Looked
from braggscope.app.engine.coherent_views import palette
from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.export.coherent import check_suffix
from braggscope.app.export.figures import new_figure, save_figure
from braggscope.models.cdi.layers import EMPTY, Layer

SUFFIXES = (".png", ".svg", ".pdf")
_AXES = "zyx"


def crystal_figure(path: Path, looked: Looked, context: Context = UNWATCHED) -> None:
    """Three slices of modulus and phase (and strain), the transfer function, the histogram of strain.

    Raises ExportError, Cancelled.
    """
    check_suffix(path, SUFFIXES)
    save_figure(_drawn(looked), path, context)


def _drawn(looked: Looked) -> Any:
    particle, transfer = looked.particle, looked.candidate.phased.transfer
    rows = [particle.layers[name] for name in ("modulus", "phase", "strain") if name in particle.layers]
    figure, first = new_figure(7.0, 2.1 * len(rows) + 2.2)
    first.remove()
    grid = figure.add_gridspec(len(rows) + 1, 6)
    for row, layer in enumerate(rows):
        for axis in range(3):
            _slice(figure.add_subplot(grid[row, 2 * axis : 2 * axis + 2]), layer, axis, particle.unit)
    curve, bars = figure.add_subplot(grid[-1, :3]), figure.add_subplot(grid[-1, 3:])
    if transfer is None:
        _text(curve, "PRTF: needs two or more runs")
    else:
        curve.plot(transfer.frequency, transfer.prtf, color="#0072b2", lw=1.2)
        curve.axhline(1 / math.e, color="#888888", lw=0.8, ls="--")
        curve.set(ylim=(0, 1.1))
        _labels(curve, "frequency / voxels⁻¹", "PRTF")
    if len(looked.counts):
        bars.stairs(looked.counts, looked.edges, fill=True, color="#0072b2")
        _labels(bars, "strain along Q", "voxels")
    else:
        _text(bars, "strain: needs the geometry")
    said = "   ".join(f"{name} {value}" for name, value in looked.facts[:4])
    figure.suptitle(said, fontsize=8)
    return figure


def _slice(axes: Any, layer: Layer, axis: int, unit: str) -> None:
    middle = layer.index.shape[axis] // 2
    plane = np.take(layer.index, middle, axis=axis)
    rows, columns = [k for k in range(3) if k != axis]
    table = np.concatenate([palette(layer.colormap), np.full((1, 3), 255, np.uint8)])
    height, width = (layer.index.shape[k] * layer.spacing[k] / 2 for k in (rows, columns))
    axes.imshow(
        table[np.minimum(plane, EMPTY)], origin="lower", extent=(-width, width, -height, height),
        interpolation="nearest",
    )  # fmt: skip
    (top, bottom), (left, right) = layer.box[rows], layer.box[columns]
    for low, high, step, n, limit in (
        (left, right, layer.spacing[columns], layer.index.shape[columns], axes.set_xlim),
        (top, bottom, layer.spacing[rows], layer.index.shape[rows], axes.set_ylim),
    ):
        limit((low - n / 2 - 3) * step, (high - n / 2 + 4) * step)
    _labels(axes, f"{_AXES[columns]} / {unit}", f"{_AXES[rows]} / {unit}")
    ends = "−π to π" if layer.quantity == "phase" else f"{layer.low:.2g} to {layer.high:.2g} {layer.unit}"
    axes.set_title(f"{layer.quantity}, {ends.strip()}".replace("-", "−"), fontsize=7)


def _labels(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=7)
    axes.set_ylabel(y, fontsize=7)
    axes.tick_params(labelsize=6)


def _text(axes: Any, text: str) -> None:
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=8, color="#666666")

"""Figures of a whole series at journal quality: PNG and SVG, by matplotlib without a display."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.export.tables import ExportError
from braggscope.app.files import atomic_path

TITLES = {
    "median": "median distance fit − BraggNN / px",
    "mean": "mean distance fit − BraggNN / px",
    "p95": "95th percentile distance fit − BraggNN / px",
    "count": "peaks per frame",
    "fitted": "fitted peaks per frame",
    "lost": "peaks per frame without a pair of answers",
}
STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.8, "svg.fonttype": "path", "figure.dpi": 100, "savefig.dpi": 300,
    "legend.frameon": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a figure, with the colour of its parameter set."""

    name: str
    colour: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def error_figure(path: Path, lines: Sequence[Line], quantity: str, x_label: str = "frame") -> None:
    """Curves of a quantity against frame, one per parameter set."""
    figure, axes = _figure(6.0, 3.2)
    for line in lines:
        axes.plot(line.x, line.y, color=line.colour, lw=1.0, label=line.name)
    axes.set_xlabel(x_label)
    axes.set_ylabel(TITLES.get(quantity, quantity))
    axes.set_ylim(bottom=0)
    if lines:
        axes.legend(loc="best")
    _save(figure, path)


def offset_figure(path: Path, dx: NDArray, dy: NDArray, colour: str) -> None:
    """Scatter of the differences fit - BraggNN with their median and 68 % radius."""
    figure, axes = _figure(3.4, 3.4)
    axes.scatter(dx, dy, s=3, color=colour, alpha=0.35, lw=0, rasterized=True)
    if len(dx):
        centre = np.median(dx), np.median(dy)
        radius = np.percentile(np.hypot(dx - centre[0], dy - centre[1]), 68)
        reach = max(1.05 * np.percentile(np.hypot(dx, dy), 99), 1e-3)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        turn = np.linspace(0, 2 * np.pi, 120)
        axes.plot(centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn), "k-", lw=0.8)
        axes.set_title(
            f"median ({centre[0]:+.3f}, {centre[1]:+.3f}) px, 68 % within {radius:.3f} px", fontsize=8
        )
    axes.axhline(0, color="0.6", lw=0.6)
    axes.axvline(0, color="0.6", lw=0.6)
    axes.set_aspect("equal")
    axes.set_xlabel("Δx / px")
    axes.set_ylabel("Δy / px")
    _save(figure, path)


def picture_figure(path: Path, picture: Any, title: str) -> None:
    """A painted frame (Pillow image) as PNG, or embedded in SVG with its title as text."""
    if path.suffix.lower() == ".png":
        with atomic_path(path) as temporary:
            picture.save(temporary)
        return
    width, height = picture.size
    figure, axes = _figure(width / 100, height / 100)
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)
    _save(figure, path)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    import matplotlib

    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ExportError(f"{path.name} is no figure; use .png, .svg or .pdf.")
    with matplotlib.rc_context(STYLE), atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())

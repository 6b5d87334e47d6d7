"""Figures of a whole series at journal quality: PNG, SVG and PDF, by matplotlib without a display.

No reader needs our fonts: a PDF carries them whole (TrueType), in an SVG the letters are outlines.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.export.tables import ExportError
from braggscope.app.files import atomic_path

TITLES = {
    "median": "median distance fit − BraggNN / px",
    "mean": "mean distance fit − BraggNN / px",
    "p95": "95th percentile distance fit − BraggNN / px",
    "count": "peaks per frame",
    "fitted": "fitted peaks per frame",
    "distance": "distance fit − BraggNN / px",
    "lost": "peaks per frame without a pair of answers",
}
MANY = 5000  # points of a curve beyond which it is drawn as pixels
STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.8, "svg.fonttype": "path", "pdf.fonttype": 42, "figure.dpi": 100, "savefig.dpi": 300,
    "legend.frameon": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a figure, with the colour of its parameter set."""

    name: str
    colour: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def error_figure(
    path: Path, lines: Sequence[Line], quantity: str, x_label: str = "frame", context: Context = UNWATCHED
) -> None:
    """Curves of a quantity against frame, one per parameter set."""
    save_figure(curve_plot(lines, quantity, x_label), path, context)


def curve_plot(lines: Sequence[Line], quantity: str, x_label: str = "frame") -> Any:
    """The same as a matplotlib figure."""
    figure, axes = new_figure(6.0, 3.2)
    for line in lines:
        axes.plot(line.x, line.y, color=line.colour, lw=1.0, label=line.name, rasterized=len(line.x) > MANY)
    axes.set_xlabel(x_label)
    axes.set_ylabel(TITLES.get(quantity, quantity))
    axes.set_ylim(bottom=0)
    if lines:
        axes.legend(loc="best")
    return figure


def offset_figure(path: Path, dx: NDArray, dy: NDArray, colour: str, context: Context = UNWATCHED) -> None:
    """Scatter of the differences fit - BraggNN with their median and 68 % radius."""
    save_figure(offset_plot(dx, dy, colour), path, context)


def offset_plot(dx: NDArray, dy: NDArray, colour: str) -> Any:
    """The same as a matplotlib figure."""
    figure, axes = new_figure(3.4, 3.4)
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
    return figure


def histogram_plot(dx: NDArray, dy: NDArray, colours: tuple[str, str]) -> Any:
    """Histograms of the differences fit - BraggNN, by axis, as a matplotlib figure."""
    figure, axes = new_figure(4.4, 3.4)
    reach = max(float(np.percentile(np.abs([dx, dy]), 99)), 1e-3) if len(dx) else 1.0
    for name, values, colour in zip("xy", (dx, dy), colours, strict=True):
        axes.hist(values, np.linspace(-reach, reach, 61), histtype="step", color=colour, label=f"Δ{name}")
    axes.axvline(0, color="0.6", lw=0.6)
    axes.set_xlabel("fit − BraggNN / px")
    axes.set_ylabel("peaks per bin")
    axes.legend(loc="best")
    return figure


def as_svg(figure: Any) -> bytes:
    """A figure as SVG, for pages."""
    return _drawn(figure, "svg")


def picture_figure(path: Path, picture: Any, title: str, context: Context = UNWATCHED) -> None:
    """A painted frame (Pillow image) as PNG, or embedded in SVG with its title as text."""
    if path.suffix.lower() == ".png":
        with atomic_path(path, context.commit) as temporary:
            picture.save(temporary)
        return
    width, height = picture.size
    figure, axes = new_figure(width / 100, height / 100)
    axes.imshow(picture, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)
    save_figure(figure, path, context)


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    """A matplotlib figure of this size in inches, in our style and without a display, and its axes.

    One axes object, or an array (rows, columns) of them.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
        return figure, axes if axes.size > 1 else axes[0, 0]


def save_figure(figure: Any, path: Path, context: Context = UNWATCHED) -> None:
    """Write a figure; the suffix decides the format. Raises ExportError, Cancelled."""
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ExportError(f"{path.name} is no figure; use .png, .svg or .pdf.")
    content = _drawn(figure, path.suffix[1:].lower())  # matplotlib's writer of PDF stumbles over a full disk
    with atomic_path(path, context.commit) as temporary:
        temporary.write_bytes(content)


def _drawn(figure: Any, form: str) -> bytes:
    """A figure in a format; letters that no font here has are drawn as boxes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(buffer, format=form)
    return buffer.getvalue()

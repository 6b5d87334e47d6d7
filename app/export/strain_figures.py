"""Strain maps as a figure: one symmetric scale, axes and signs drawn, a scale bar."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.engine.strain_result import StrainResult, axes_on_scan
from braggscope.app.export.figures import new_figure, save_figure

TITLES = {"exx": "ε$_{xx}$ / %", "eyy": "ε$_{yy}$ / %", "exy": "ε$_{xy}$ / %", "theta": "θ / °"}
UNITS = (("exx", 100.0), ("eyy", 100.0), ("exy", 100.0), ("theta", np.rad2deg(1.0)))
DIVERGING = "RdBu_r"  # red: tension; tells apart for colour-blind people
NOTHING = "0.75"  # grey of positions without a value
_NICE = (1, 2, 5)
ARROW = 16  # points
MARGIN = 0.06  # of the width, on the left, where the arrows stand


def strain_figure(
    path: Path, result: StrainResult, *, errors: bool = False, limit: float | None = None,
    context: Context = UNWATCHED,
) -> None:  # fmt: skip
    """The four maps, with ``errors`` a second row below. Suffix .png, .svg or .pdf.

    Raises ExportError, Cancelled.

    ``limit``: end of the scale of the strains as a number (0.03 = 3 %); default: 99 % of all positions fit.
    """
    save_figure(strain_plot(result, errors=errors, limit=limit), path, context)


def strain_plot(result: StrainResult, *, errors: bool = False, limit: float | None = None) -> Any:
    """The same as a matplotlib figure."""
    strain = result.strain
    rows, columns = strain.valid.shape
    height = float(np.clip(2.3 * rows / columns, 0.6, 4.0)) + 1.0
    figure, grid = new_figure(10.0, height * (2 if errors else 1), 2 if errors else 1, 4)
    figure.set_layout_engine("compressed", rect=(MARGIN, 0, 1 - MARGIN, 1))
    shown = {
        name: (getattr(strain, name) * unit, getattr(strain, f"{name}_err") * unit) for name, unit in UNITS
    }
    strains = [shown[name] for name, _ in UNITS[:3]]
    together = _end([value for value, _ in strains]), _high([error for _, error in strains])
    for k, (name, _) in enumerate(UNITS):
        values, spread = shown[name]
        end, high = (_end([values]), _high([spread])) if name == "theta" else together
        end = 100 * limit if limit is not None and name != "theta" else end
        _panel(figure, grid[0, k], values, TITLES[name], DIVERGING, (-end, end))
        if errors:
            _panel(figure, grid[1, k], spread, f"σ of {TITLES[name]}", "viridis", (0.0, high))
    _arrows(grid[0, 0], axes_on_scan(result))
    _scale_bar(grid[0, 3], columns, result.scan_step_nm)
    figure.supxlabel("tension positive; θ from +x towards +y; grey: not measured", fontsize=8)
    return figure


def _end(values: list[NDArray]) -> float:
    """A round number that 99 % of the finite magnitudes stay under."""
    return _high([np.abs(part) for part in values])


def _high(values: list[NDArray]) -> float:
    whole = np.stack(values)
    finite = whole[np.isfinite(whole)]
    high = float(np.percentile(finite, 99)) if finite.size else 0.0
    if high <= 0:
        return 1e-3
    power = 10.0 ** np.floor(np.log10(high))
    return float(next((n * power for n in (1, 1.5, 2, 3, 4, 5, 6, 8) if n * power >= high), 10 * power))


def _panel(
    figure: Any, axes: Any, values: NDArray, title: str, colours: str, ends: tuple[float, float]
) -> None:
    import matplotlib.ticker

    table = matplotlib.colormaps[colours].with_extremes(bad=NOTHING)
    image = axes.imshow(values, cmap=table, vmin=ends[0], vmax=ends[1], interpolation="nearest")
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    ticks = matplotlib.ticker.MaxNLocator(4)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.9, pad=0.02, aspect=25, ticks=ticks)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)


def _arrows(axes: Any, angles: tuple[float, float]) -> None:
    """The axes of the strain left of a map, as they lie in the scan: rad from right towards down.

    Lengths are in points: in shares of the axes a map that is no square would turn them.
    """
    from matplotlib.transforms import ScaledTranslation

    ways = np.array([(0.0, 0.0), *((np.cos(angle), -np.sin(angle)) for angle in angles)])
    right, top = (ARROW + 12) * ways.max(axis=0) + 4
    there = axes.transAxes + ScaledTranslation(-right / 72, -top / 72, axes.figure.dpi_scale_trans)
    arrow = {"arrowstyle": "<|-", "lw": 1.2, "color": "k", "shrinkA": 0, "shrinkB": 0}
    inside: dict[str, Any] = {"xycoords": there, "textcoords": "offset points"}
    for way, name in zip(ways[1:], "xy", strict=True):
        axes.annotate("", (0, 1), ARROW * way, arrowprops=arrow, **inside)
        axes.annotate(name, (0, 1), (ARROW + 7) * way, ha="center", va="center", fontsize=8, **inside)


def _scale_bar(axes: Any, columns: int, step_nm: float | None) -> None:
    """A bar of a round length, about a quarter of the scan."""
    step, unit = (1.0, "positions") if step_nm is None else (step_nm, "nm")
    wanted = max(columns * step / 4, step)
    power = 10.0 ** np.floor(np.log10(wanted))
    length = max(n * power for n in _NICE if n * power <= wanted * 1.0001)
    end = 0.95
    start = end - length / (columns * step)
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="w")]
    there: Any = {"transform": axes.transAxes, "path_effects": halo}
    axes.plot([start, end], [0.06, 0.06], "k-", lw=3, solid_capstyle="butt", **there)
    axes.text((start + end) / 2, 0.1, f"{length:g} {unit}", fontsize=8, ha="center", **there)

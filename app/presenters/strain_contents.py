"""From strain results to what the maps, histograms and profiles show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.strain_result import StrainResult, axes_on_scan
from braggscope.app.state.strain import StrainView
from braggscope.models.disks.results import StrainMap
from braggscope.models.disks.strain import difference
from braggscope.widgets.strain_map_row import DIVERGING, RISING, MapPicture
from braggscope.widgets.strain_maps import COMPONENTS
from braggscope.widgets.strain_methods import METHODS
from braggscope.widgets.strain_plots import Along, Spread
from braggscope.widgets.theme import SERIES_COLOURS

Floats = NDArray[np.float64]
BINS = 80
MEANING = {
    "exx": "Stretch along x: positive is tension, negative compression",
    "eyy": "Stretch along y: positive is tension, negative compression",
    "exy": "Shear: half the change of the angle between x and y",
    "theta": "Rotation of the lattice from x towards y: positive is clockwise on the screen",
}
POINTS = 3  # of a profile, per position of the scan
FINE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # ends of such a scale
WHOLE = 99.0  # % of the positions whose values a scale chosen by the data holds


@dataclass(frozen=True, slots=True)
class MapContent:
    """All that the dock of strain maps shows of one result, or of two."""

    pictures: list[MapPicture]
    spreads: list[Spread]
    spread_label: str
    profile: list[Along]
    profile_labels: tuple[str, str]
    note: str
    limits: tuple[float, float]  # % and degrees at the ends of the colour scales


def content(result: StrainResult, other: StrainResult | None, view: StrainView) -> MapContent:
    """What is shown of a result; ``other``: of the method that it is compared with."""
    ends = limits(result, view)
    view = view.model_copy(update={"limit": ends[0], "limit_deg": ends[1]})
    if view.beside:
        pictures, named = _compared(result, other, view)
    elif view.shown == "validity":
        pictures, named = _validity(result), []
    else:
        pictures, named = _components(result, view)
    unit = named[0].unit if named else ""
    label = f"{'rotation' if unit == '°' else 'strain'} / {unit}" if named else ""
    step = result.scan_step_nm
    across = "distance / positions" if step is None else "distance / nm"
    profile = [] if view.line is None else [_along(p, k, view.line, step or 1.0) for k, p in enumerate(named)]
    return MapContent(pictures, _spreads(named), label, profile, (across, label), _note(result), ends)


def limits(result: StrainResult, view: StrainView) -> tuple[float, float]:
    """Ends of the scales of strain / % and rotation / degrees: as chosen, else round numbers by the data."""
    strains = [_scaled(result.strain, name)[0] for name in ("exx", "eyy", "exy")]
    angle = [_scaled(result.strain, "theta")[0]]
    chosen = view.limit, view.limit_deg
    by_data = (
        _reach(values) if end is None else end for values, end in zip((strains, angle), chosen, strict=True)
    )
    strain, rotation = by_data
    return strain, rotation


def _reach(maps: list[NDArray]) -> float:
    known = np.abs(np.concatenate([values[np.isfinite(values)] for values in maps]))
    return nice(float(np.percentile(known, WHOLE)), FINE) if known.size else 1.0


def _scaled(strain: StrainMap, name: str) -> tuple[NDArray, NDArray, str]:
    """Values and errors in % or degrees."""
    factor = math.degrees(1.0) if name == "theta" else 100.0
    values, errors = getattr(strain, name) * factor, getattr(strain, f"{name}_err") * factor
    return values, errors, "°" if name == "theta" else "%"


def _components(result: StrainResult, view: StrainView) -> tuple[list[MapPicture], list[MapPicture]]:
    """The four maps, and those of them that are drawn as histograms."""
    strain, ways = result.strain, axes_on_scan(result)
    found: list[MapPicture] = []
    for name, title in COMPONENTS.items():
        values, errors, unit = _scaled(strain, name)
        limit = _end(view, name)
        axes = ways if name == "exx" else None
        if view.shown == "error":
            found.append(MapPicture(name, f"1 σ {title}", errors, None, unit, 0.0, 1.0, RISING, axes))
        else:
            shown = MapPicture(
                name, title, values, errors, unit, -limit, limit, DIVERGING, axes, MEANING[name]
            )
            found.append(shown)
    if view.shown == "error":
        found = [*_on_one_scale(found[:3]), *_on_one_scale(found[3:])]
    return found, found[:3]


def _end(view: StrainView, name: str) -> float:
    """Where the scale of a map ends, once it is known."""
    end = view.limit_deg if name == "theta" else view.limit
    assert end is not None
    return end


def _on_one_scale(pictures: list[MapPicture]) -> list[MapPicture]:
    """The same pictures up to a round number that few values exceed."""
    every = np.concatenate([p.values[np.isfinite(p.values)] for p in pictures])
    high = nice(float(np.percentile(every, 98))) if every.size else 1.0
    return [
        MapPicture(p.key, p.title, p.values, p.errors, p.unit, 0.0, high, RISING, p.axes) for p in pictures
    ]


def _compared(
    result: StrainResult, beside: StrainResult | None, view: StrainView
) -> tuple[list[MapPicture], list[MapPicture]]:
    """One component by two methods, and their difference."""
    name, strain = view.component, result.strain
    other = None if beside is None else beside.strain
    titles = METHODS[result.parameters.strain.method].title, METHODS[view.beside].title
    values, errors, unit = _scaled(strain, name)
    limit = _end(view, name)
    found = [MapPicture("one", titles[0], values, errors, unit, -limit, limit,
                        DIVERGING, axes_on_scan(result), MEANING[name])]  # fmt: skip
    if other is None or other.exx.shape != strain.exx.shape:
        return found, found
    values, errors, _ = _scaled(other, name)
    found.append(MapPicture("other", titles[1], values, errors, unit, -limit, limit, tip=MEANING[name]))
    values, errors, _ = _scaled(difference(strain, other), name)
    known = np.abs(values[np.isfinite(values)])
    reach = min(nice(float(np.percentile(known, 98))), limit) if known.size else limit
    tip = f"{titles[0]} − {titles[1]}"
    apart = MapPicture("difference", "Difference", values, errors, unit, -reach, reach, tip=tip)
    return [*found, apart], found


def _validity(result: StrainResult) -> list[MapPicture]:
    """Where there is a strain, from how many disks, and how well they fit a lattice."""
    shape, lattices = result.scan.scan_shape, result.lattices
    count = lattices.count.reshape(shape).astype(np.float64)
    residual = np.where(lattices.valid, lattices.residual, np.nan).reshape(shape)
    known = residual[np.isfinite(residual)]
    high = nice(float(np.percentile(known, 98))) if known.size else 1.0
    most = max(float(count.max(initial=1.0)), 1.0)
    valid = result.strain.valid.astype(np.float64)
    return [
        MapPicture("valid", "Valid", valid, None, "", 0, 1, RISING, tip="1 where there is a strain"),
        MapPicture("count", "Disks used", count, None, "", 0, most, RISING, tip="Disks on the lattice"),
        MapPicture("residual", "Residual", residual, None, "px", 0, high, RISING,
                   tip="Distance of the disks from their lattice, rms"),
    ]  # fmt: skip


def _spreads(pictures: list[MapPicture]) -> list[Spread]:
    found = []
    for k, picture in enumerate(pictures):
        known = picture.values[np.isfinite(picture.values)].astype(np.float64)
        if not known.size:
            continue
        ends = picture.low, picture.high
        counts, edges = np.histogram(np.clip(known, *ends), BINS, ends)
        text = f"{np.mean(known):.2f} ± {np.std(known):.2f} {picture.unit}".replace("-", "−")
        found.append(Spread(picture.title, SERIES_COLOURS[k], edges, counts.astype(np.float64), text))
    return found


def _along(picture: MapPicture, k: int, line: tuple[float, float, float, float], step: float) -> Along:
    """A map along a line, linear between positions."""
    from scipy.ndimage import map_coordinates

    x0, y0, x1, y1 = line
    length = math.hypot(x1 - x0, y1 - y0)
    share = np.linspace(0, 1, max(2, round(POINTS * length)))
    at = np.array([y0 + share * (y1 - y0), x0 + share * (x1 - x0)])
    values = map_coordinates(picture.values.astype(np.float64), at, order=1, mode="nearest")
    errors = np.full(len(share), np.nan)
    if picture.errors is not None:
        errors = map_coordinates(picture.errors.astype(np.float64), at, order=1, mode="nearest")
    return Along(picture.title, SERIES_COLOURS[k], share * length * step, values, errors)


def _note(result: StrainResult) -> str:
    valid, total = int(result.strain.valid.sum()), result.strain.valid.size
    refers = "median of all" if result.parameters.strain.reference is None else "drawn region"
    text = f"{valid:,} of {total:,} positions · reference: {refers}"
    if result.problems:
        text += f" · {len(result.problems):,} failed"
    return text


def nice(value: float, steps: tuple[float, ...] = (1, 2, 5)) -> float:
    """The next of 1, 2, 5 (or of other steps) and their decades that is not smaller."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(k * power for k in (*steps, 10) if k * power >= value * (1 - 1e-9))

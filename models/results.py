"""Value types that travel between the laboratory, the office and the gallery."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class Status(IntEnum):
    """What became of a peak in detection and fit. Anything but ``OK`` is the reason why it has no fit."""

    OK = 0
    REJECTED = 1  # by hand
    EDGE = 2  # too few pixels of the window lie on the frame
    OVERLAP = 3  # neighbours in the window could not be told apart
    MASKED = 4  # bad pixels cover the core of the peak
    SATURATED = 5  # the core is saturated
    BROAD = 6  # wider than the window can hold
    FAILED = 7  # the fit did not converge, or left its window
    PENDING = 8  # not computed yet

    @property
    def label(self) -> str:
        """Lower-case name, as written in tables."""
        return self.name.lower()


class Source(IntEnum):
    """Which method gave the combined position."""

    NONE = 0
    FIT = 1
    BRAGGNN = 2
    NET = 3
    COMBINED = 4  # of fit and network

    @property
    def label(self) -> str:
        """Lower-case name, ``fit+net`` for both, empty for none."""
        if self is Source.COMBINED:
            return "fit+net"
        return "" if self is Source.NONE else self.name.lower()


class Model(IntEnum):
    """Which profile was fitted."""

    NONE = 0
    GAUSSIAN = 1
    PSEUDOVOIGT = 2

    @property
    def label(self) -> str:
        """Lower-case name, empty for none."""
        return "" if self is Model.NONE else self.name.lower()


class Background(IntEnum):
    """Which background the profile was fitted on."""

    NONE = 0
    CONSTANT = 1
    PLANE = 2

    @property
    def label(self) -> str:
        """Lower-case name, empty for none."""
        return "" if self is Background.NONE else self.name.lower()


@dataclass(frozen=True, slots=True)
class Candidates:
    """All local maxima of one prepared image with birth >= floor: the merge tree, flattened.

    ``index`` (N,) int64: flat pixel index, row-major. ``birth``, ``death`` (N,) float64 counts: value at
    the maximum, and at the saddle where it joins an older peak (0 where it never does). Order: falling
    ``birth - death``, ties in findpeaks' order. Exact for every ``minval >= floor``.
    """

    shape: tuple[int, int]
    floor: float
    index: NDArray[np.int64]
    birth: NDArray[np.float64]
    death: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def row(self) -> NDArray[np.int64]:
        """(N,) rows."""
        return self.index // self.shape[1]

    @property
    def col(self) -> NDArray[np.int64]:
        """(N,) columns."""
        return self.index % self.shape[1]


class Selection(NamedTuple):
    """Candidates that are peaks under given thresholds, by falling score, ties in findpeaks' order."""

    candidate: NDArray[np.int64]  # (M,) position in Candidates
    death: NDArray[np.float64]  # (M,) counts; a saddle under minval counts as 0
    score: NDArray[np.float64]  # (M,) birth - death


class Column(NamedTuple):
    """Name, dtype, unit and meaning of one column of the peak table."""

    name: str
    dtype: str
    unit: str
    meaning: str


COLUMNS: tuple[Column, ...] = (
    Column("frame", "int64", "", "0-based index in the source"),
    Column("peak", "int64", "", "0-based by falling score within the frame"),
    Column("component", "int64", "", "0; 1, 2 … for further peaks fitted jointly in the same window"),
    Column("col", "int64", "px", "column of the maximum"),
    Column("row", "int64", "px", "row of the maximum"),
    Column("birth", "float64", "counts", "value at the maximum"),
    Column("death", "float64", "counts", "value at the saddle to an older peak; 0 if there is none"),
    Column("score", "float64", "counts", "persistence, birth - death"),
    Column("status", "uint8", "", "ok, rejected, or why there is no fit"),
    Column("x_fit", "float64", "px", "column of the fitted centre"),
    Column("y_fit", "float64", "px", "row of the fitted centre"),
    Column("x_fit_err", "float64", "px", "1 sigma"),
    Column("y_fit_err", "float64", "px", "1 sigma"),
    Column("amplitude", "float64", "counts", "height over the background"),
    Column("background", "float64", "counts", "background at the centre"),
    Column("fwhm_major", "float64", "px", "full width at half maximum, long axis"),
    Column("fwhm_minor", "float64", "px", "full width at half maximum, short axis"),
    Column("angle", "float64", "rad", "long axis, from +x towards +y, in (-pi/2, pi/2]"),
    Column("chi2", "float64", "", "reduced chi-square under counting statistics"),
    Column("x_braggnn", "float64", "px", "column from BraggNN"),
    Column("y_braggnn", "float64", "px", "row from BraggNN"),
    Column("distance", "float64", "px", "between the fit and BraggNN"),
    Column("x_net", "float64", "px", "column from the localiser network"),
    Column("y_net", "float64", "px", "row from the localiser network"),
    Column("x_net_err", "float64", "px", "1 sigma"),
    Column("y_net_err", "float64", "px", "1 sigma"),
    Column("x", "float64", "px", "combined answer, column"),
    Column("y", "float64", "px", "combined answer, row"),
    Column("x_err", "float64", "px", "1 sigma"),
    Column("y_err", "float64", "px", "1 sigma"),
    Column("method", "uint8", "", "who gave the combined answer"),
    Column("n_components", "int64", "", "peaks fitted jointly in the window"),
    Column("window", "int64", "px", "side of the window of the fit; 0 without fits"),
    Column("model", "uint8", "", "profile that was fitted"),
    Column("background_model", "uint8", "", "background under the fit, constant or plane"),
    Column("slope_x", "float64", "counts/px", "slope of a plane along x"),
    Column("slope_y", "float64", "counts/px", "slope of a plane along y"),
    Column("eta", "float64", "", "Lorentzian fraction of a pseudo-Voigt"),
    Column("cov_xy", "float64", "px^2", "covariance of x_fit and y_fit"),
    Column("quality", "float64", "", "trust of the localiser network in its answer, 0 to 1"),
    Column("q", "float64", "1/angstrom", "4 pi sin(theta) / wavelength"),
    Column("d", "float64", "angstrom", "lattice spacing"),
    Column("two_theta", "float64", "rad", "scattering angle"),
    Column("azimuth", "float64", "rad", "about the beam, from +x towards +y"),
)
COLUMN = {column.name: column for column in COLUMNS}
WORDS: Mapping[str, type[Status] | type[Source] | type[Model] | type[Background]] = {
    "status": Status,
    "method": Source,
    "model": Model,
    "background_model": Background,
}  # columns of codes that stand for words


@dataclass(frozen=True, slots=True)
class PeakTable:
    """Peaks of one or many frames as a structure of arrays, one entry per column of :data:`COLUMNS`."""

    columns: Mapping[str, NDArray]

    def __post_init__(self) -> None:
        if list(self.columns) != [column.name for column in COLUMNS]:
            raise ValueError("a peak table has exactly the columns of COLUMNS, in their order")
        if len({len(values) for values in self.columns.values()}) > 1:
            raise ValueError("the columns of a peak table have one length")

    @classmethod
    def blank(cls, n: int, **given: NDArray | float) -> Self:
        """Table of n rows: given columns as given, other numbers NaN, other integers 0."""
        columns = {}
        for column in COLUMNS:
            values = np.full(n, np.nan) if column.dtype == "float64" else np.zeros(n, column.dtype)
            if column.name in given:
                values[...] = given[column.name]
            columns[column.name] = values
        return cls(columns)

    @classmethod
    def concatenate(cls, tables: Iterable[Self]) -> Self:
        """One table from many, rows in the given order."""
        parts = [table.columns for table in tables]
        if not parts:
            return cls.blank(0)
        return cls({c.name: np.concatenate([part[c.name] for part in parts]) for c in COLUMNS})

    def __len__(self) -> int:
        return len(self.columns["frame"])

    def __getitem__(self, name: str) -> NDArray:
        return self.columns[name]

    @property
    def detected(self) -> NDArray[np.bool_]:
        """(N,) bool: rows of detected peaks; the others are further ones, fitted with the one before."""
        return np.asarray(self.columns["component"] == 0)

    def take(self, rows: NDArray | slice) -> Self:
        """Table of the chosen rows (indices, boolean mask or slice)."""
        return replace(self, columns={name: values[rows] for name, values in self.columns.items()})

    def with_columns(self, **changes: NDArray) -> Self:
        """Table with some columns replaced."""
        unknown = set(changes) - set(self.columns)
        if unknown:
            raise KeyError(f"no such column: {', '.join(sorted(unknown))}")
        return replace(self, columns={name: changes.get(name, old) for name, old in self.columns.items()})

    def labels(self, name: str) -> NDArray:
        """(N,) str: a column of :data:`WORDS` in words."""
        words = np.array([member.label for member in WORDS[name]])
        return words[self.columns[name]]


_POSITIONS = ("x_fit", "y_fit", "x_braggnn", "y_braggnn", "x_net", "y_net", "x", "y")
_LENGTHS = (
    "x_fit_err", "y_fit_err", "x_net_err", "y_net_err", "x_err", "y_err",
    "fwhm_major", "fwhm_minor", "distance", "window",
)  # fmt: skip


def in_frame_pixels(table: PeakTable, binning: int) -> PeakTable:
    """Table of a prepared image, binned ``binning`` x ``binning``, in pixels of the whole frame.

    A position moves with its bin's centre; ``col`` and ``row`` become the pixel at or before that centre.
    Counts stay those of bins.
    """
    pixels = {name: table[name] * binning + (binning - 1) // 2 for name in ("col", "row")}
    return _scaled(table, pixels, binning, 1)


def in_prepared_pixels(table: PeakTable, binning: int) -> PeakTable:
    """Inverse of :func:`in_frame_pixels`."""
    return _scaled(table, {name: table[name] // binning for name in ("col", "row")}, 1, binning)


def _scaled(table: PeakTable, pixels: dict[str, NDArray], up: int, down: int) -> PeakTable:
    """Table with these ``col`` and ``row``, and all else in pixels of ``down / up`` times the size."""
    if up == down:
        return table
    changed = pixels | {name: (table[name] + 0.5) * up / down - 0.5 for name in _POSITIONS}
    changed |= {name: (table[name] * up / down).astype(table[name].dtype) for name in _LENGTHS}
    changed |= {name: table[name] * down / up for name in ("slope_x", "slope_y")}
    changed["cov_xy"] = table["cov_xy"] * up**2 / down**2
    return table.with_columns(**changed)

"""The result of fitting the peaks of a frame, one entry per peak."""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.models import profiles
from braggscope.models.fitting.solution import GROUND, STRIDE, Solution, blank_solution, store
from braggscope.models.results import Status

Floats = NDArray[np.float64]


class Outcome(NamedTuple):
    """What became of N peaks: their fits, and the words on them."""

    solution: Solution
    status: NDArray[np.uint8]
    plane: NDArray[np.bool_]
    components: NDArray[np.int64]  # fitted jointly, 0 without a fit
    window: NDArray[np.int64]  # px

    @classmethod
    def blank(cls, n: int, window: int) -> "Outcome":
        """Nothing fitted yet."""
        status, plane, count = np.zeros(n, np.uint8), np.zeros(n, np.bool_), np.zeros(n, np.int64)
        return cls(blank_solution(n), status, plane, count, np.full(n, window, np.int64))

    def take_over(self, at: NDArray, other: "Outcome", which: NDArray) -> None:
        """Copy the entries ``which`` of another outcome to the places ``at``."""
        store(self.solution, at, other.solution, which)
        for name in ("status", "plane", "components", "window"):
            getattr(self, name)[at] = getattr(other, name)[which]


@dataclass(frozen=True, slots=True)
class Fits:
    """Result of :func:`fit_peaks`, arrays of N entries; float64 unless said, positions in px of the frame.

    ``x, y, x_err, y_err`` (1 sigma), ``cov_xy`` (px²) are NaN unless ``status`` (uint8) is OK. Given wherever
    a fit was made: ``amplitude`` and ``background`` (at the centre) in counts, its slopes ``slope_x`` and
    ``slope_y`` in counts/px (NaN: constant), ``fwhm_*`` in px, ``angle`` of the long axis in rad from +x
    towards +y in (-pi/2, pi/2], ``chi2`` reduced Pearson chi-square, ``eta`` (NaN: Gaussian). ``plane`` bool:
    fitted over a plane. ``n_components`` int64: peaks fitted jointly, 0 without a fit. ``window`` int64 px.
    ``row, col`` int64: middle of the window. ``parameters`` (N, 24): three components of amplitude, x, y, a,
    b, c, eta with x, y relative to the middle and (a, b, c) of :mod:`braggscope.models.profiles`; background
    at the middle and its slopes.
    """

    x: Floats
    y: Floats
    x_err: Floats
    y_err: Floats
    cov_xy: Floats
    amplitude: Floats
    background: Floats
    slope_x: Floats
    slope_y: Floats
    fwhm_major: Floats
    fwhm_minor: Floats
    angle: Floats
    chi2: Floats
    eta: Floats
    status: NDArray[np.uint8]
    plane: NDArray[np.bool_]
    n_components: NDArray[np.int64]
    window: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    parameters: Floats

    def __len__(self) -> int:
        return len(self.status)

    def take(self, which: NDArray | slice) -> "Fits":
        """Some of them."""
        return Fits(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    def model_patch(self, k: int) -> Floats:
        """(window, window) float64 counts: model of peak ``k`` with its neighbours. NaN without a fit."""
        half = int(self.window[k]) // 2
        dy, dx = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
        count = int(self.n_components[k])
        level, rise, fall = self.parameters[k, GROUND:]
        patch = level + rise * dx + fall * dy
        for amplitude, x, y, a, b, c, eta in self.parameters[k, : count * STRIDE].reshape(count, STRIDE):
            patch += amplitude * profiles.profile(profiles.quadratic(dx - x, dy - y, a, b, c), eta)
        return patch


def assemble(rows: NDArray[np.int64], cols: NDArray[np.int64], voigt: bool, outcome: Outcome) -> Fits:
    """Positions on the frame, axes and errors from what the solver returned."""
    solution, status, plane, count, window = outcome
    raw = np.where((count > 0)[:, None], solution.parameters, np.nan)
    major, minor, angle = profiles.axes_from_form(raw[:, 3], raw[:, 4], raw[:, 5])
    placed = np.where(status == Status.OK, 1.0, np.nan)
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(solution.covariance[:, :2]) * placed[:, None]
    return Fits(
        x=(raw[:, 1] + cols.astype(np.float64)) * placed,
        y=(raw[:, 2] + rows.astype(np.float64)) * placed,
        x_err=errors[:, 0],
        y_err=errors[:, 1],
        cov_xy=solution.covariance[:, 2] * placed,
        amplitude=raw[:, 0],
        background=raw[:, GROUND] + raw[:, GROUND + 1] * raw[:, 1] + raw[:, GROUND + 2] * raw[:, 2],
        slope_x=np.where(plane, raw[:, GROUND + 1], np.nan),
        slope_y=np.where(plane, raw[:, GROUND + 2], np.nan),
        fwhm_major=major,
        fwhm_minor=minor,
        angle=angle,
        chi2=solution.chi2,
        eta=raw[:, 6] if voigt else np.full(len(rows), np.nan),
        status=status,
        plane=plane & (count > 0),
        n_components=count,
        window=window,
        row=rows,
        col=cols,
        parameters=raw,
    )

"""What the simulation bench draws, and how far a method came: values, without the numerics behind them."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

AMPLITUDE = 100.0  # counts, where the noise is Gaussian
DRAWS = 1000
BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A second peak of the same shape. ``distance`` px, ``angle`` rad from +x towards +y; relative height."""

    distance: float = 4.0
    angle: float = 0.5
    height: float = 0.6


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What is drawn. ``sigma`` px of the short axis, ``ratio`` of the long to it, ``angle`` rad of the long.

    ``eta``: Lorentzian part. ``snr``: height over the noise at the middle of the peak. ``background``
    counts at the lowest pixel of the window, rising along +x by ``slope`` counts/px. ``missing``: columns
    of the window that lie outside the frame. ``noise``: "gaussian", the same everywhere, then the peak has
    100 counts; or "counting", then its counts follow from the SNR.
    """

    sigma: float = 1.5
    ratio: float = 1.0
    angle: float = 0.0
    eta: float = 0.0
    snr: float = 20.0
    background: float = 50.0
    slope: float = 0.0
    second: Neighbour | None = None
    missing: int = 0
    window: Literal[11, 15, 21] = 11
    noise: Literal["gaussian", "counting"] = "counting"
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.sigma > 0 and self.ratio >= 1 and self.snr > 0 and self.background >= 0):
            raise ValueError("sigma and SNR must be > 0, the ratio of the axes >= 1, the background >= 0")
        if not (0 <= self.eta <= 1 and self.slope >= 0 and 0 <= self.missing < self.window):
            raise ValueError("eta lies in 0..1, the slope is >= 0, and not all columns can be missing")

    @property
    def level(self) -> float:
        """Counts of the background at the middle pixel."""
        return self.background + self.slope * (self.window // 2)

    @property
    def amplitude(self) -> float:
        """Height of the peak in counts."""
        if self.noise == "gaussian":
            return AMPLITUDE
        square = self.snr**2  # A / sqrt(A + level) = SNR
        return 0.5 * (square + math.sqrt(square**2 + 4.0 * square * self.level))

    @property
    def threshold(self) -> float:
        """Counts under which a pixel is nothing, to methods that ask: 2 sigma, or a fifth of the height."""
        noise = AMPLITUDE / self.snr if self.noise == "gaussian" else math.sqrt(self.level)
        return self.level + max(0.2 * self.amplitude, 2.0 * noise)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Errors of a method over all draws. ``errors`` (N,) px, rising, infinite without an answer.

    ``bias`` mean x and y error px of the answers; ``coverage``: share of x and y within their stated 1
    sigma, NaN where none is stated; ``failed``: draws without an answer; ``us``: CPU time of a draw.
    """

    key: str
    name: str
    errors: Floats
    bias: tuple[float, float] = (0.0, 0.0)
    coverage: float = math.nan
    failed: int = 0
    us: float = math.nan

    def quantile(self, share: float) -> float:
        """Error in px that so large a share of the draws does not exceed."""
        at = math.ceil(share * len(self.errors)) - 1
        return float(self.errors[max(at, 0)])

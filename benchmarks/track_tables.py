"""Peak tables of the demo series without its images: the truth with noise, in a moment."""

import numpy as np

from braggscope.models.peaks.simulate import Series, SeriesSpec
from braggscope.models.results import PeakTable, Status
from braggscope.models.tracks.score import Truth

FWHM = 2 * np.sqrt(2 * np.log(2))  # in sigma
LOWEST_SNR = (5.0, 15.0)  # at which a peak gets into the table, one draw for a series
MERGED = 1.9  # sigma: nearer to a brighter peak there is no maximum
LOST = 0.01  # share of the peaks that are missing


def simulated_case(seed: int, splitting: float) -> tuple[Truth, np.ndarray, PeakTable]:
    """(truth, splits (S, 3), table): errors at the Cramer-Rao bound of a Gaussian on a known background."""
    t = Series(SeriesSpec(seed=seed, splitting=splitting)).truth
    random = np.random.default_rng([seed, 7])
    lowest = np.exp(random.uniform(*np.log(LOWEST_SNR)))
    sigma = np.sqrt((t.sigma_major**2 + t.sigma_minor**2) / 2)
    seen = t.visible & (t.amplitude >= lowest * np.sqrt(t.background)) & (random.random(t.x.shape) > LOST)
    for k in range(t.x.shape[1]):
        near = np.hypot(t.x - t.x[:, k : k + 1], t.y - t.y[:, k : k + 1]) < MERGED * sigma
        seen[:, k] &= ~(near & (t.amplitude > t.amplitude[:, k : k + 1]) & t.visible).any(axis=1)
    f, g = np.nonzero(seen)
    size, background = sigma[f, g], t.background[f, g]
    counts = 2 * np.pi * size**2 * t.amplitude[f, g]
    dark = 8 * np.pi * size**2 * background / counts**2
    place, share = size * np.sqrt(1 / counts + dark), np.sqrt(1 / counts + dark)
    noise = random.normal(size=(5, len(f)))
    x, y = t.x[f, g] + place * noise[0], t.y[f, g] + place * noise[1]
    table = PeakTable.blank(
        len(f), frame=f, row=np.rint(y).astype(int), col=np.rint(x).astype(int), x=x, y=y, x_err=place,
        y_err=place, amplitude=t.amplitude[f, g] * (1 + 1.2 * share * noise[2]), background=background,
        birth=t.amplitude[f, g] + background,
        fwhm_major=FWHM * t.sigma_major[f, g] * (1 + 0.7 * share * noise[3]),
        fwhm_minor=FWHM * t.sigma_minor[f, g] * (1 + 0.7 * share * noise[4]), status=int(Status.OK),
    )  # fmt: skip
    truth = Truth(t.x, t.y, t.visible, t.amplitude >= 2 * np.sqrt(t.background), t.parent)
    return truth, t.splits(), table

"""Fits of the demo series beside its truth, for every background and noise model."""

import time
from typing import Any, NamedTuple

import h5py
import numpy as np
from scipy.spatial import cKDTree

from braggscope.app.demo import ensure_demo_series
from braggscope.app.engine.peaks import find
from braggscope.app.engine.setup import make_preparer
from braggscope.app.sources.reader import Reader
from braggscope.models.fitting.peaks import Fits, fit_peaks
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.detect import select
from braggscope.models.prepare import Prepared
from braggscope.models.results import Status

MINVAL, MINSCORE = 120.0, 150.0
EVERY = 4  # frames
GATE = 2.5  # px between a maximum and the truth it belongs to


class Frame(NamedTuple):
    """One frame, its peaks, and for each the true (x, y), NaN where the truth has none."""

    prepared: Prepared
    rows: np.ndarray
    cols: np.ndarray
    truth: np.ndarray


def frames() -> list[Frame]:
    """Every fourth frame of the demo series."""
    path = ensure_demo_series()
    with h5py.File(path) as file:
        group = file["/truth/peaks"]
        truth = {name: group[name][()] for name in ("frame", "x", "y", "resolved")}
    parameters = Parameters().with_detect(minval=MINVAL, minscore=MINSCORE)
    result = []
    with Reader() as reader:
        info = reader.open(str(path))
        preparer = make_preparer(parameters.prepare, info, reader)
        for i in range(0, info.frames, EVERY):
            prepared = preparer.apply([reader.read(i)])
            candidates = find(prepared, parameters)
            chosen = select(candidates, MINVAL, MINSCORE).candidate
            rows, cols = candidates.row[chosen], candidates.col[chosen]
            known = (truth["frame"] == i) & (truth["resolved"] > 0)
            places = np.column_stack((truth["x"][known], truth["y"][known]))
            result.append(Frame(prepared, rows, cols, _matched(np.column_stack((cols, rows)), places)))
    return result


def _matched(pixels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, 2) the place that is nearest to each pixel and has no nearer pixel itself, within the gate."""
    truth = np.full(pixels.shape, np.nan)
    if len(places) and len(pixels):
        distance, owner = cKDTree(pixels).query(places)
        for k in np.argsort(-distance):  # the nearest comes last and stays
            if distance[k] <= GATE:
                truth[owner[k]] = places[k]
    return truth


def row(series: list[Frame], background: str, noise: str) -> dict[str, Any]:
    """Errors, what was left without a fit, coverage and cost."""

    def fit(frame: Frame) -> Fits:
        image, mask = frame.prepared.image, frame.prepared.mask
        return fit_peaks(image, mask, frame.rows, frame.cols, background=background, noise=noise)

    fit(series[0])  # compile
    begin = time.thread_time()
    fits = [fit(frame) for frame in series]
    seconds = time.thread_time() - begin
    truth = np.concatenate([frame.truth for frame in series])
    found, error = (
        np.concatenate([np.column_stack((getattr(f, x), getattr(f, y))) for f in fits])
        for x, y in (("x", "y"), ("x_err", "y_err"))
    )
    lost = np.concatenate([f.status for f in fits]) != Status.OK
    known = np.isfinite(truth[:, 0])
    apart = np.hypot(*(found - truth)[known & ~lost].T)
    return {
        "background": background,
        "noise": noise,
        "peaks": len(truth),
        "with a truth": int(known.sum()),
        "of these without a fit": int((lost & known).sum()),
        "median, px": f"{np.median(apart):.3f}",
        "95 %, px": f"{np.quantile(apart, 0.95):.3f}",
        "1σ coverage": f"{np.mean(np.abs(((found - truth) / error)[known & ~lost]) < 1):.3f}",
        "on a plane, %": f"{100 * np.concatenate([f.plane for f in fits])[~lost].mean():.0f}",
        "µs a peak": f"{seconds / len(truth) * 1e6:.0f}",
    }


def run() -> list[dict[str, Any]]:
    """One entry per background and noise model."""
    series = frames()
    kinds = [(b, n) for n in ("uniform", "poisson") for b in ("constant", "plane", "auto")]
    return [row(series, background, noise) for background, noise in kinds]

"""One position from several methods, by a stated rule.

0. How likely the network finds a second peak depends on how frequent pairs were in its training. Their share
   in the frame at hand is estimated from all its peaks, and the probabilities are corrected for it
   (:func:`in_this_frame`). A peak is alone if it was fitted with one component and the corrected
   probability is below :data:`PAIRED`.
1. A fit whose own error is at most :data:`WEAK_PX` stands as it is where the peak is alone; there it reaches
   the Cramér-Rao bound. So does any fit of a lone peak that only the training made the network take for two:
   its position is then that of one of them.
2. Every other fit is averaged with the network by inverse variance. A weak fit may have settled in a wrong
   place without knowing it: it loses weight as it leaves the network's interval, half of it at
   :data:`REACH` of the network's errors (root mean square of x and y), sooner where peaks overlap.
3. Without a fit the network, if its quality is at least :data:`TRUST`; else BraggNN; else nothing. Nothing
   at all where an edge or bad pixels cut the peak off (:data:`CUT_OFF`): its highest pixel is then not where
   its centre is, and the errors of the network were 2 to 5 times too small there.

The error of an average takes the two errors as correlated, for they come from the same noise: as measured on
simulated pairs, 0.75 where the fit is weak (SNR 10), 0.35 where not, because there the network errs by itself
(SNR 100); half of the variance of two disagreeing answers is added where the fit is weak. Without a network
1 and 3 remain.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from braggscope.models.results import Source, Status

PAIRED = 0.7
WEAK_PX = 0.06
REACH = 1.5, 0.5  # of a lone peak, and where peaks overlap
TRAINED_SHARE = 0.45  # of pairs in the training
FORMER = 10, 0.1  # so many peaks with this share of pairs are added to those of a frame
TRUST = 0.5
CUT_OFF = Status.EDGE, Status.MASKED
CORRELATION = 0.35, 0.75  # of the errors of a good fit, and of a weak one, with the network's

Floats = NDArray[np.float64]


def combine(columns: Mapping[str, NDArray], overlap: Floats | None = None) -> dict[str, NDArray]:
    """Columns ``x y x_err y_err method distance`` from those of the methods, as far as there are any.

    ``overlap`` (N,): the network's probability of a second peak in the window, all of one frame.
    """
    n = len(columns["status"])
    nothing = np.full(n, np.nan)

    def pair(kind: str, end: str = "") -> Floats:
        return np.stack([columns.get(f"{axis}_{kind}{end}", nothing) for axis in "xy"], axis=1)

    fit, net, braggnn = pair("fit"), pair("net"), pair("braggnn")
    errors = pair("fit", "_err"), pair("net", "_err")
    fitted, seen = np.isfinite(fit).all(1), np.isfinite(net).all(1)
    overlap = np.zeros(n) if overlap is None else overlap
    single = columns.get("n_components", np.ones(n)) <= 1
    crowded = ~single | (in_this_frame(overlap) >= PAIRED)
    deceived = ~crowded & (overlap >= 0.5)
    weight = np.where(fitted, 1.0, 0.0)
    both = fitted & seen & (crowded | _weak(errors[0])) & ~deceived
    weight[both] = fit_weight(fit[both], net[both], errors[0][both], errors[1][both], crowded[both])
    whole = ~np.isin(columns["status"], CUT_OFF)
    trusted = seen & (columns.get("quality", nothing) >= TRUST)
    method = np.select(
        [weight == 1, weight > 0, both | (~fitted & trusted & whole), np.isfinite(braggnn).all(1) & whole],
        [Source.FIT, Source.COMBINED, Source.NET, Source.BRAGGNN],
        Source.NONE,
    ).astype(np.uint8)
    place, error = _average(weight, (fit, net), errors)
    from_net = (method == Source.NET)[:, None]
    ours = (method != Source.BRAGGNN) & (method != Source.NONE)
    place = np.where(ours[:, None], np.where(from_net, net, place), braggnn)
    place[method == Source.NONE] = np.nan
    error = np.where(ours[:, None], np.where(from_net, errors[1], error), np.nan)
    return {
        "distance": np.hypot(*(fit - braggnn).T),
        "x": place[:, 0],
        "y": place[:, 1],
        "x_err": error[:, 0],
        "y_err": error[:, 1],
        "method": method,
    }


def in_this_frame(overlap: Floats) -> Floats:
    """Probabilities of a second peak, (N,), corrected for the share of pairs in the frame that they are of.

    The share is that of greatest likelihood, by expectation maximisation: Saerens, Latinne and Decaestecker,
    Neural Computation 14, 21 (2002), eq. 4. A few imagined peaks keep that of small frames within bounds.
    """
    known, rate = FORMER
    share, result = rate, overlap
    for _ in range(50):
        odds = share / (1 - share) * (1 - TRAINED_SHARE) / TRAINED_SHARE
        result = odds * overlap / (odds * overlap + 1 - overlap + 1e-12)
        share = float((result.sum() + known * rate) / (len(overlap) + known))
    return np.asarray(result)


def fit_weight(
    fit: Floats, net: Floats, fit_err: Floats, net_err: Floats, crowded: NDArray[np.bool_]
) -> Floats:
    """(N,) weight of the fit in rule 2; positions and errors (N, 2) px, ``crowded`` (N,): peaks overlap."""
    with np.errstate(divide="ignore", invalid="ignore"):
        theirs = np.mean(net_err**2, axis=1)
        weight = 1 / (1 + np.mean(fit_err**2, axis=1) / theirs)
        strange = np.mean((fit - net) ** 2, axis=1) / theirs / np.where(crowded, REACH[1], REACH[0]) ** 2
        return np.nan_to_num(np.where(_weak(fit_err), weight / (1 + strange), weight))


def _average(
    weight: Floats, places: tuple[Floats, Floats], errors: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Weighted place and its error, (N, 2) each; a method of no weight may be missing."""
    shares = weight[:, None], 1 - weight[:, None]
    x, s = (
        [np.where(w > 0, w * v, 0.0) for w, v in zip(shares, values, strict=True)]
        for values in (places, errors)
    )
    weak = _weak(errors[0])[:, None]
    variance = s[0] ** 2 + s[1] ** 2 + 2 * np.where(weak, CORRELATION[1], CORRELATION[0]) * s[0] * s[1]
    mixed = weak & (shares[0] > 0) & (shares[1] > 0)
    apart = np.where(mixed, shares[0] * shares[1] * (places[0] - places[1]) ** 2, 0.0)
    return x[0] + x[1], np.sqrt(variance + 0.5 * apart)


def _weak(fit_err: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.mean(fit_err**2, axis=1) > WEAK_PX**2)

"""One position from several methods, by a stated rule."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from braggscope.models.results import Source

TRUST = 0.5  # least quality of the network where it stands alone


def combine(columns: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Columns ``x y x_err y_err method distance`` from those of the methods, as far as there are any."""
    n = len(columns["status"])
    nothing = np.full(n, np.nan)

    def pair(kind: str) -> NDArray:
        return np.stack([columns.get(f"x_{kind}", nothing), columns.get(f"y_{kind}", nothing)], axis=1)

    fit, net, braggnn = pair("fit"), pair("net"), pair("braggnn")
    fitted, answered = np.isfinite(fit[:, 0]), np.isfinite(braggnn[:, 0])
    trusted = np.isfinite(net[:, 0]) & (columns.get("quality", nothing) >= TRUST)
    method = np.select([fitted, trusted, answered], [Source.FIT, Source.NET, Source.BRAGGNN], Source.NONE)
    taken = [(method == code)[:, None] for code in (Source.FIT, Source.NET, Source.BRAGGNN)]
    place = np.select(taken, [fit, net, braggnn], np.nan)
    errors = [np.stack([columns.get(f"{c}_{k}_err", nothing) for c in "xy"], axis=1) for k in ("fit", "net")]
    error = np.select(taken[:2], errors, np.nan)
    return {
        "distance": np.hypot(*(fit - braggnn).T),
        "x": place[:, 0],
        "y": place[:, 1],
        "x_err": error[:, 0],
        "y_err": error[:, 1],
        "method": method.astype(np.uint8),
    }

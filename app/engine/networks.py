"""What the networks say of the peaks of a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from braggscope.models.parameters import Method
from braggscope.models.results import PeakTable

if TYPE_CHECKING:
    from braggscope.models.localizer.infer import Answer
    from braggscope.models.prepare import Prepared

HIDDEN = 0.7  # least probability of a second peak that the fit is told of
HIDDEN_PX = (1.7, 6.5)  # distance from the peak; nearer ones are no peaks of their own
CHUNK = 256  # peaks between two looks at the cancel flag: about 10 ms of work


class PatchLocalizer(Protocol):
    """What the pipeline needs of BraggNN. ``window``: px, side of its patches."""

    window: int

    def locate(self, patches: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, S, S) patches scaled to 0..1 -> (N, 2) (x, y) in px of the patch."""
        ...


class CountsLocalizer(Protocol):
    """What the pipeline needs of the localiser network. ``window``: px, side of its patches."""

    window: int

    def locate(self, counts: NDArray[np.float32], valid: NDArray[np.bool_]) -> Answer:
        """(N, S, S) counts and valid pixels -> positions in px of the patch, and how sure they are."""
        ...


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks that are ready for use."""

    braggnn: PatchLocalizer | None = None
    net: CountsLocalizer | None = None

    def complete(self, methods: tuple[Method, ...]) -> bool:
        """Whether every network among the methods is ready."""
        ready = {"braggnn": self.braggnn, "net": self.net}
        return all(ready.get(method, self) is not None for method in methods)


def network_patches(
    prepared: Prepared, rows: NDArray, cols: NDArray, window: int, minval: float | None
) -> NDArray[np.float32]:
    """(N, window, window) what BraggNN is given: cut, thresholded if ``minval`` is given, scaled to 0..1."""
    from braggscope.models.peaks.patches import cut_patches, normalise

    patches, valid = cut_patches(prepared.image, prepared.mask, rows, cols, window)
    return normalise(patches, valid, threshold=minval)


def braggnn_columns(
    prepared: Prepared,
    table: PeakTable,
    minval: float | None,
    localizer: PatchLocalizer,
    check: Callable[[], None],
) -> dict[str, NDArray]:
    """Columns of BraggNN, px of the frame."""
    n = len(table)
    position = np.full((n, 2), np.nan)
    for start in range(0, n, CHUNK):
        check()
        part = slice(start, start + CHUNK)
        rows, cols = table["row"][part], table["col"][part]
        patches = network_patches(prepared, rows, cols, localizer.window, minval)
        corner = np.stack([cols, rows], axis=1) - localizer.window // 2
        position[part] = localizer.locate(patches) + corner
    return {"x_braggnn": position[:, 0], "y_braggnn": position[:, 1]}


def look(
    prepared: Prepared,
    rows: NDArray,
    cols: NDArray,
    n: int,
    localizer: CountsLocalizer | None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Answer | None, NDArray, NDArray]:
    """What the localiser network says of the first ``n`` of all peaks of a frame, px of the frame.

    And the pixels (rows, cols) of all peaks, those that only the network sees behind the others. None
    where there is no network or no peak.
    """
    if localizer is None or n == 0:
        return None, rows, cols
    from braggscope.models.peaks.patches import cut_patches

    parts = []
    for start in range(0, n, CHUNK):
        check()
        row, col = (pixels[start : min(start + CHUNK, n)] for pixels in (rows, cols))
        answer = localizer.locate(*cut_patches(prepared.image, prepared.mask, row, col, localizer.window))
        left, top = col - localizer.window // 2, row - localizer.window // 2
        second = answer.second + np.stack([left, top], axis=1)
        parts.append(answer._replace(x=answer.x + left, y=answer.y + top, second=second))
    answer = type(parts[0]).concatenate(parts)
    hidden = _hidden_peaks(answer, rows, cols, prepared.image.shape)
    return answer, np.concatenate((rows, hidden[0])), np.concatenate((cols, hidden[1]))


def net_columns(answer: Answer) -> dict[str, NDArray]:
    """Columns of the localiser network."""
    return {
        "x_net": answer.x,
        "y_net": answer.y,
        "x_net_err": answer.x_err,
        "y_net_err": answer.y_err,
        "quality": answer.quality,
    }


def _hidden_peaks(
    answer: Answer, rows: NDArray, cols: NDArray, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels (rows, cols) of second peaks that the network sees and the list of all peaks lacks.

    The joint fit of a peak starts from its neighbours; one that lies below the thresholds, or in the flank
    of the peak, is no maximum of its own and would be missing there.
    """
    away = np.hypot(answer.second[:, 0] - answer.x, answer.second[:, 1] - answer.y)
    near = (away >= HIDDEN_PX[0]) & (away <= HIDDEN_PX[1])
    pixels = np.unique(np.rint(answer.second[near & (answer.overlap >= HIDDEN)]).astype(np.int64), axis=0)
    pixels = pixels[np.all((pixels >= 0) & (pixels < np.array([shape[1], shape[0]])), axis=1)]
    if len(pixels):
        from scipy.spatial import cKDTree

        distance, _ = cKDTree(np.stack([cols, rows], axis=1)).query(pixels)
        pixels = pixels[distance >= HIDDEN_PX[0]]
    return pixels[:, 1], pixels[:, 0]

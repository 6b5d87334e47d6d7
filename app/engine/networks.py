"""What the networks say of the peaks of a frame."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from braggscope.models.parameters import Method
from braggscope.models.peaks.patches import cut_patches, normalise
from braggscope.models.prepare import Prepared
from braggscope.models.results import PeakTable

if TYPE_CHECKING:
    from braggscope.models.localizer.infer import Answer

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

    def locate(self, counts: NDArray[np.float32], valid: NDArray[np.bool_]) -> "Answer":
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


def net_columns(
    prepared: Prepared, table: PeakTable, localizer: CountsLocalizer, check: Callable[[], None]
) -> dict[str, NDArray]:
    """Columns of the localiser network, px of the frame."""
    n = len(table)
    names = ("x_net", "y_net", "x_net_err", "y_net_err", "quality")
    columns = {name: np.full(n, np.nan) for name in names}
    for start in range(0, n, CHUNK):
        check()
        part = slice(start, start + CHUNK)
        rows, cols = table["row"][part], table["col"][part]
        answer = localizer.locate(*cut_patches(prepared.image, prepared.mask, rows, cols, localizer.window))
        columns["x_net"][part] = answer.x + cols - localizer.window // 2
        columns["y_net"][part] = answer.y + rows - localizer.window // 2
        columns["x_net_err"][part], columns["y_net_err"][part] = answer.x_err, answer.y_err
        columns["quality"][part] = answer.quality
    return columns

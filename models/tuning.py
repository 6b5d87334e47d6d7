"""Values of a fine-tuning: what it starts from, how it goes, what comes out, and the rule that decides."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.models.finetune import Distribution
from braggscope.models.paired import Change

EXAMPLES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.98)  # quantiles of the old error at which patches are shown


class Basis(NamedTuple):
    """What the training learns from. ``labels`` and ``held_out``: fits to train on, and to judge by.

    ``label_error_px``: median 1 sigma of the held-out fits themselves, x and y together.
    """

    distribution: Distribution
    frames: int
    frames_held_out: int
    labels: int
    held_out: int
    label_error_px: float


class LearningPoint(NamedTuple):
    """One look at the network on its way. Losses without unit; errors are medians, px."""

    step: int
    seconds: float
    loss: float
    held_out_loss: float
    measured_px: float
    simulated_px: float


class Example(NamedTuple):
    """A held-out patch (S, S) float32 in 0-1 with (x, y) px in it: the fit, the old and the new answer."""

    image: NDArray[np.float32]
    frame: int
    fit: tuple[float, float]
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Live:
    """State of a training under way. ``steps`` of ``of_steps``; ``basis`` None while frames are read."""

    steps: int
    of_steps: int
    basis: Basis | None
    curve: tuple[LearningPoint, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the new weights replace the old ones, and why, in one sentence."""

    accepted: bool
    sentence: str


def judge(measured: Change, simulated: Change) -> Verdict:
    """The rule: new weights are kept if they are better on the held-out frames and nowhere worse.

    Better: the 95 % interval of the change of the median error lies below 0. Worse: that of the median or
    of the 95th percentile lies above 0. ``measured``: on held-out frames, against the fit; ``simulated``:
    on simulated peaks like the user's, against the truth.
    """
    change = f"{measured.before[0]:.3f} → {measured.after[0]:.3f} px"
    if measured.median_range[0] > 0:
        return Verdict(False, f"Refused: the old weights are better on the held-out frames ({change}).")
    if not measured.better:
        return Verdict(
            False, f"Refused: on the held-out frames ({change}) there is no gain beyond chance; the old"
            " weights stay."
        )  # fmt: skip
    if measured.worse:
        tail = f"{measured.before[1]:.3f} → {measured.after[1]:.3f} px"
        return Verdict(False, f"Refused: large errors grew on the held-out frames (95 %: {tail}).")
    if simulated.worse:
        parts = (f"{a:.3f} → {b:.3f}" for a, b in zip(simulated.before, simulated.after, strict=True))
        return Verdict(
            False, "Refused: the old weights are better on simulated peaks (median and 95 %: "
            f"{' and '.join(parts)} px)."
        )  # fmt: skip
    return Verdict(
        True, f"Better: the median error on {measured.peaks} held-out peaks fell, {change}, and simulated"
        " peaks are located no worse."
    )  # fmt: skip

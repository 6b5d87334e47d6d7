"""What a whole series came to, gathered in one pass over its tables and in bounded memory."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from braggscope.app.engine.agreement import AgreementSample
from braggscope.app.engine.summary import Curves, summarise
from braggscope.models.results import PeakTable, Status


@dataclass
class Findings:
    """Curves per frame, a sample of the peaks, counts by status, and the table of one example frame.

    Counts are of detected peaks. ``problems``: frames that failed and why.
    """

    curves: Curves
    problems: dict[int, str]
    sample: AgreementSample = field(default_factory=AgreementSample)
    statuses: Counter[str] = field(default_factory=Counter)
    peaks: int = 0
    example: PeakTable | None = None

    @property
    def frames(self) -> int:
        """Frames analysed."""
        return int(np.count_nonzero(self.curves.done))


def gather(
    tables: Iterable[tuple[int, PeakTable]],
    frames: int,
    problems: dict[int, str],
    example: int,
    check: Callable[[], None] = lambda: None,
) -> Findings:
    """Go through the tables of a series of ``frames`` frames; keep that of frame ``example``."""
    found = Findings(Curves(frames), problems)
    for frame, table in tables:
        check()
        found.curves.add(summarise(frame, table))
        found.sample.add(table)
        codes, counts = np.unique(table["status"][table.detected], return_counts=True)
        found.statuses.update(
            {Status(c).label: n for c, n in zip(codes.tolist(), counts.tolist(), strict=True)}
        )
        found.peaks += int(table.detected.sum())
        if frame == example:
            found.example = table
    return found

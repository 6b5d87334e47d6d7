"""What the program wants to reach, beside what was measured."""

from typing import NamedTuple


class Aim(NamedTuple):
    """A figure asked of one row: at most ``value``, or at least."""

    title: str
    section: str
    case: str  # how the row's case begins
    key: str
    value: float
    at_least: bool

    def reached(self, found: float) -> bool:
        """Whether a measured figure is good enough."""
        return found >= self.value if self.at_least else found <= self.value


AIMS = (
    Aim("480 frames of 1024 x 1024 with everything, two cores: s", "series", "480 frames of 1024", "seconds",
        4.0, False),
    Aim("frames a second of 2048 x 2048 with 200 peaks", "series", "48 frames of 2048", "frames_per_s",
        25.0, True),
    Aim("reading 2048² uint16, two threads, times h5py", "reading", "2048² uint16 bitshuffle-LZ4, 2 threads",
        "ratio", 4.0, True),
    Aim("reading 2048² uint32, two threads, times h5py", "reading", "2048² uint32 bitshuffle-LZ4, 2 threads",
        "ratio", 4.0, True),
    Aim("scrubbing cached frames, 60 a second: median ms to the picture", "window",
        "scrub, cached 1024 x 1024 frames", "median", 16.7, False),
    Aim("the same, processor time of the window's thread with all that follows: median ms", "window",
        "scrub, cached frames: the window's thread with all", "median", 16.7, False),
)  # fmt: skip
WHY = """What stood in the way on two cores of an AMD EPYC in November 2026: of 60 ms for a late frame of
the 480, 40 are joint fits of spots that have come to overlap, most of them spent where a second peak is
not determined and the iterations run out. A solver that learns second derivatives and begins where the
simpler fit ended took a third off that, but found other minima when a frame was mirrored, and was not
kept. Two threads on the two cores of this machine, which share much, bring 1.2 times the frames of one,
and unpack 1.1 to 2 times as fast."""


def section(measured: dict[str, list[dict]]) -> list[str]:
    """Paragraphs of the page: every aim beside the row that answers it; none without its section."""
    lines, missed = [], False
    for aim in AIMS:
        if not measured.get(aim.section):
            continue
        asked = f"{'at least' if aim.at_least else 'at most'} {aim.value:g}"
        rows = [row for row in measured[aim.section] if row["case"].startswith(aim.case)]
        if not rows:
            lines.append(f"| {aim.title} | {asked} | not measured | – |")
            continue
        found = float(rows[0][aim.key])
        missed |= not aim.reached(found)
        lines.append(f"| {aim.title} | {asked} | {found:.3g} | {'yes' if aim.reached(found) else '**no**'} |")
    if not lines:
        return []
    head = "| aim | asked | measured | reached |\n|---|---|---|---|\n"
    return ["## Aims", head + "\n".join(lines), *([WHY] if missed else [])]

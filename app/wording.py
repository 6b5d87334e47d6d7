"""Counts of peaks and tracks, said in the same words everywhere."""

from collections.abc import Iterable, Iterator

from braggscope.models.results import PeakTable


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 merge``, ``1,200 merges``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def count_peaks(peaks: int, seconds: int = 0) -> str:
    """Detected peaks, and the second spots fitted with them: ``36 peaks and 2 second spots beside them``."""
    beside = f" and {counted(seconds, 'second spot')} beside them" if seconds else ""
    return counted(peaks, "peak") + beside


class Tally:
    """Counts the peaks of tables that pass through it."""

    def __init__(self) -> None:
        self.peaks = self.seconds = 0

    def over(self, tables: Iterable[PeakTable]) -> Iterator[PeakTable]:
        """The same tables, counted one by one."""
        for table in tables:
            detected = int(table.detected.sum())
            self.peaks += detected
            self.seconds += len(table) - detected
            yield table

    def __str__(self) -> str:
        return count_peaks(self.peaks, self.seconds)


def count_rows(table: PeakTable) -> str:
    """Peaks and second spots of a table."""
    detected = int(table.detected.sum())
    return count_peaks(detected, len(table) - detected)

"""Whole series: 480 frames of 1024 x 1024, 4M-pixel frames with 200 peaks, the demo; all threads.

Processor time: of this process and of the one that reads. On two cores 4M-pixel frames may take 80 ms for 25
a second, the 480 frames 16.7 ms each for 4 s.
"""

import tempfile
import time
from pathlib import Path

import psutil

from braggscope.app.demo import ensure_demo_series, write_demo_series
from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.localizers import open_networks
from braggscope.app.engine.setup import make_preparer
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.detect import suggest_thresholds
from braggscope.models.peaks.simulate import SeriesSpec


def big_series() -> Path:
    """480 frames of 1024 x 1024, written once per machine."""
    path = Path(tempfile.gettempdir()) / "braggscope-bench-1024.h5"
    if not path.exists():
        write_demo_series(path, spec=SeriesSpec(frames=480, shape=(1024, 1024), grains=150))
    return path


def wide_series() -> Path:
    """48 frames of 2048 x 2048 with about 200 peaks, written once per machine."""
    path = Path(tempfile.gettempdir()) / "braggscope-bench-2048.h5"
    if not path.exists():
        write_demo_series(path, spec=SeriesSpec(frames=48, shape=(2048, 2048), grains=270))
    return path


def processor_s() -> float:
    """Seconds of the processor that this process and its ended children took."""
    spent = psutil.Process().cpu_times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def measure(path: Path) -> dict:
    """Time of one warm whole-series run with fits, BraggNN and the localiser network."""
    networks = open_networks(Parameters().localize)
    with Reader() as reader:
        info = reader.open(str(path))
        preparer = make_preparer(Parameters().prepare, info, reader)
        prepared = preparer.apply([reader.read(info.frames // 2)])
    minval, minscore = suggest_thresholds(prepared.image, prepared.excluded)
    parameters = Parameters().with_detect(minval=minval, minscore=minscore)
    workers = psutil.cpu_count() or 1
    peaks, spent = [], []

    def once(frames: range) -> float:
        job = SeriesJob(str(path), frames, parameters, workers=workers)
        start, begun = time.perf_counter(), processor_s()
        run_series(
            job,
            networks,
            silent_context(),
            on_outcomes=lambda found: peaks.extend(int(o.table.detected.sum()) for o in found),
        )
        spent.append((processor_s() - begun) / len(frames))
        return time.perf_counter() - start

    once(range(8))  # compile and warm up
    peaks.clear()
    seconds = min(once(range(info.frames)) for _ in range(3))
    return {
        "case": f"{info.frames} frames of {info.shape[0]} x {info.shape[1]}, "
        f"{sum(peaks) / len(peaks):.0f} peaks a frame, {workers} threads",
        "seconds": seconds,
        "frames_per_s": info.frames / seconds,
        "cpu_ms": 1e3 * min(spent[1:]),
        "rss_mb": psutil.Process().memory_info().rss / 1e6,
    }


def run() -> list[dict]:
    """Rows for the collecting script."""
    return [measure(big_series()), measure(wide_series()), measure(ensure_demo_series())]


if __name__ == "__main__":
    for row in run():
        print(row)

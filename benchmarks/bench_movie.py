"""An overlay movie of 1024 x 1024 frames, peaks found and fitted, beside a matplotlib and imageio script.

The script is given the positions; it only reads, draws and encodes. Wall time, H.264.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import peers
from benchmarks.bench_series import big_series
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.movies import MovieJob, make_movie
from braggscope.app.engine.setup import make_preparer
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.detect import select, suggest_thresholds
from braggscope.models.peaks.persistence import find_candidates

FRAMES = range(100, 140)


def run() -> list[dict]:
    """Rows for the collecting script; none where the other script cannot be run."""
    path, given = big_series(), {}
    with Reader() as reader:
        info = reader.open(str(path))
        preparer = make_preparer(Parameters().prepare, info, reader)
        for k in FRAMES:
            prepared = preparer.apply([reader.read(k)])
            if not given:
                minval, minscore = suggest_thresholds(prepared.image, prepared.excluded)
            found = find_candidates(prepared.image, prepared.excluded, minval)
            chosen = select(found, minval, minscore).candidate
            given |= {f"x{k}": found.col[chosen], f"y{k}": found.row[chosen]}
    base = Parameters().with_detect(minval=minval, minscore=minscore)
    parameters = base.with_localize(methods=("fit",))
    with tempfile.TemporaryDirectory() as name:
        job = MovieJob(str(path), FRAMES, parameters, Path(name) / "ours.mp4")
        times = []
        for _ in range(3):
            start = time.perf_counter()
            make_movie(job, None, silent_context())
            times.append(time.perf_counter() - start)
        answer = peers.ask("movie", path=str(path), output=str(Path(name) / "peer.mp4"),
                           frames=np.array(FRAMES), **given)  # fmt: skip
    if answer is None:
        return []
    ours, theirs = (seconds / len(FRAMES) * 1e3 for seconds in (min(times), float(answer["seconds"])))
    return [{"case": "a frame of 1024 x 1024 with its peaks, 768 px", "ours_ms": ours, "peer_ms": theirs,
             "peer": "matplotlib, imageio", "ratio": theirs / ours}]  # fmt: skip


if __name__ == "__main__":
    for row in run():
        print(row)

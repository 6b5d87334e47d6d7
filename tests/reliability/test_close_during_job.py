"""The window is closed at random moments of every job: it ends at once and leaves nothing half done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from amounts import amount, state

HERE = Path(__file__).parent
SECONDS = 3.0
JOBS = {
    "series": "whole-series run, movie and fine-tuning at once",
    "reports": "tracks, report and figure at once",
    "scan": "measuring strain",
    "crystal": "phasing",
    "opening": "opening a file that does not answer",
}
pytestmark = pytest.mark.timeout(0)  # a busy machine takes its time


@pytest.mark.parametrize("group", JOBS)
def test_closing_ends_at_once_and_leaves_nothing(tmp_path, group):
    moments = amount(2, 50)
    command = [sys.executable, str(HERE / "closing_job.py"), str(tmp_path / "all"), group, str(moments), "1"]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    longest = max(one["seconds"] - one["others"] for one in seen)
    wrong = [
        one
        for one in seen
        if one["code"] or one["left"] or one["temporary"] or not one["whole"] or set(one["journals"]) - {"ok"}
    ]
    caught = sum(bool(one["running"]) for one in seen)
    state(
        f"Closing the window during jobs: {JOBS[group]}",
        f"{moments} moments, {caught} while a job ran",
        f"{len(wrong)} not clean; gone after at most {longest:.1f} s, without waits for a CPU",
        not wrong and longest <= SECONDS,
    )
    assert len(seen) == moments
    assert caught, "no job was running at any moment"
    assert not wrong, (wrong, done.stderr[-3000:])
    if os.getloadavg()[0] <= os.cpu_count():  # threads that wait for a processor cannot end in time
        assert longest <= SECONDS

"""Many small frames through window and batch: memory stays, and the last frames cost what the first did."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from amounts import amount, folder, state

HERE = Path(__file__).parent
FLAT, LOSS = 0.05, 0.05
pytestmark = pytest.mark.timeout(0)  # a busy machine takes its time


@pytest.mark.parametrize("way", ["window", "batch"])
def test_the_last_frames_are_as_the_first(tmp_path, way):
    frames = amount(5000, 100_000)
    command = [sys.executable, str(HERE / "soak.py"), str(tmp_path), str(frames), way]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    at, cpu, memory = np.array(json.loads(done.stdout.splitlines()[-1])["rows"]).T
    half = at > at[-1] / 2
    first, last = (np.polyfit(at[part], cpu[part], 1)[0] for part in (~half & (at > at[-1] / 8), half))
    change, loss = float(memory[half].max() / np.median(memory[~half]) - 1), float(last / first - 1)
    flat = change <= FLAT and loss <= LOSS
    state(
        f"Soak through the {way}",
        f"{frames:,} frames of 32 x 32",
        f"memory {change:+.1%} ({memory[-1]:.0f} MB at the end); {1e3 * last:.2f} ms of CPU a frame,"
        f" {loss:+.1%} from the first half to the second",
        flat,
    )
    assert change <= FLAT
    if folder() is not None:  # over seconds the CPU time of a shared machine differs by more
        assert loss <= LOSS

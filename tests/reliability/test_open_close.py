"""Every source is opened and closed again and again: nothing of it stays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from amounts import amount, state

HERE = Path(__file__).parent
GROWTH_MB = 20.0
pytestmark = pytest.mark.timeout(0)  # a busy machine takes its time


def test_nothing_stays_of_sources_that_were_closed(tmp_path):
    cycles = amount(50, 200)
    command = [sys.executable, str(HERE / "open_close.py"), str(tmp_path), str(cycles)]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    before, after = seen["before"], seen["after"]
    growth = after["MB"] - before["MB"]
    left = {
        kind: after[kind] - before[kind] for kind in before if kind != "MB" and after[kind] > before[kind]
    }
    state(
        "Open and close, every source",
        f"{cycles} cycles over {seen['sources']} sources, after one of each",
        f"left behind: {left or 'nothing'}; {growth:+.1f} MB",
        not left and growth <= GROWTH_MB,
    )
    assert not seen["faults"]
    assert not left
    assert growth <= GROWTH_MB

"""``kill -9`` at random moments in a batch, a training, an export and a session save."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from amounts import amount, state

SHORT = {"batch": 4, "training": 3, "export": 10, "session save": 10}  # the first two take seconds to begin


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and fork")
@pytest.mark.timeout(amount(300, 12_000))
@pytest.mark.parametrize("job", SHORT)
def test_killed_work_leaves_old_files_and_goes_on_to_the_same_result(job, tmp_path):
    moments = amount(SHORT[job], 200)
    seed = int(os.environ.get("BRAGGSCOPE_KILLS_SEED", random.randrange(10**6)))
    print(f"BRAGGSCOPE_KILLS_SEED={seed}")
    program = Path(__file__).with_name("killed.py")
    done = subprocess.run(
        [sys.executable, str(program), job, str(tmp_path), str(moments), str(seed)],
        capture_output=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "BRAGGSCOPE_HOME": str(tmp_path / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.splitlines()[-1])
    state(
        f"kill -9 in a {job}", f"{said['killed']} random moments, seed {seed}",
        said["wrong"] or "old files intact, results identical", not said["wrong"],
    )  # fmt: skip
    assert said["wrong"] == "", f"seed {seed}: {said['wrong']}"
    assert said["killed"] == moments

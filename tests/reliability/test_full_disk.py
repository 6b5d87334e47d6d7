"""Every kind of file onto a full or a read-only disk: one sentence, and what stood there still stands."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amounts import amount, state

CHILD = Path(__file__).with_name("full_disk.py")
GROWING = ("weights", "peaks.h5.journal")  # folders that are gone on with, not results


def own_disk(folder: Path) -> list[str]:
    """Words before a command that give it mounts of its own, or none where the system does not allow it."""
    for words in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        if shutil.which("unshare") is None:
            break
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
        if subprocess.run([*words, *mount], capture_output=True, check=False).returncode == 0:
            return words
    return []


def faults_of(row: dict, folder: Path) -> list[str]:
    """What is wrong with one attempt to write."""
    said, wrong = row["said"], []
    if not said:
        if row["how"] in ("full", "read-only") or row["old"] or row["hidden"]:
            wrong.append("was written")
        return wrong
    stem = row["name"].split(".")[0]
    if "\n" in said or not said.endswith(".") or (stem not in said and str(folder) not in said):
        wrong.append(f"{row['kind']}: {said!r}")
    expected = ("DiskFullError", "NotWrittenError", "ExportError", "TrainingError", "JournalError")
    if row["kind"] not in expected:
        wrong.append(f"{row['kind']} was not foreseen")
    growing = row["name"] in GROWING
    if row["hidden"] or (row["left"] and not growing):
        wrong.append(f"left {row['left']}")
    if not growing and "." in row["name"] and not row["old"]:
        wrong.append("what stood there is gone")
    return wrong


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_every_export_on_a_full_and_on_a_read_only_disk(tmp_path):
    scratch, target = tmp_path / "scratch", tmp_path / "disk"
    scratch.mkdir()
    target.mkdir()
    words = own_disk(target)
    command = [*words, sys.executable, str(CHILD), str(scratch), str(target)]
    command += [] if words else ["limit"]
    command += ["thorough"] if amount(0, 1) else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{rows[-1:]}: {done.stderr[-2000:]}"
    end = rows.pop()
    faults = [
        f"{r['name']}, {r['how']}: {f}" for r in rows if r["how"] != "room" for f in faults_of(r, target)
    ]
    faults += [f"{r['name']} was not written: {r['said']}" for r in rows if r["how"] == "room" and r["said"]]
    if done.stderr.strip():
        faults.append(f"on stderr: {done.stderr[-500:]}")
    state(
        "Full and read-only disk",
        f"{end['end']} kinds of files, {len(rows)} attempts, {end['disk']}",
        f"{sum(bool(r['said']) for r in rows)} refused in one sentence, {len(faults)} faults",
        not faults,
    )
    assert not faults, "\n".join(faults)

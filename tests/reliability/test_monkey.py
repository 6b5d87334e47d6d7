"""A monkey at the real window finds nothing: no exception, no complaint of Qt, no stall, no leak."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from amounts import amount, state

HERE = Path(__file__).parent
STALL_S, MB_PER_1000 = 0.5, 1.0
SEEDS = 5
pytestmark = pytest.mark.timeout(0)  # a busy machine takes its time


def act(scratch: Path, actions: int, seed: int, *more: str, **environment: str) -> dict:
    """Let a monkey act in a process of its own; what it saw."""
    command = [
        sys.executable,
        str(HERE / "monkey.py"),
        str(scratch),
        "--actions",
        str(actions),
        "--seed",
        str(seed),
    ]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1", "QT_QPA_PLATFORM": "offscreen"} | environment
    done = subprocess.run([*command, *more], env=surroundings, capture_output=True, text=True, check=False)
    log = scratch / "actions.log"
    last = log.read_text("utf-8").splitlines()[-3:] if log.exists() else []
    assert done.returncode == 0, f"the program died after {last}: {done.stderr[-3000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def faults(seen: dict) -> list[str]:
    """Exceptions and complaints, each with what was done before."""
    return [
        f"{count} x {text}\nafter {seen['before'][text]}"
        for kind in ("exceptions", "qt")
        for text, count in seen[kind].items()
    ]


def test_a_monkey_breaks_nothing(tmp_path):
    each = amount(1200, 20_000)
    seeds = range(1, amount(1, SEEDS) + 1)
    long = each > 2000  # in fewer actions the memory says nothing
    seen = [act(tmp_path / str(seed), each, seed, *["--warm"] * long) for seed in seeds]
    wrong = [fault for one in seen for fault in faults(one)]
    stalls = sorted(cpu for one in seen for _, cpu, _ in one["stalls"])
    growth = max(one["mb_per_1000"] for one in seen)
    state(
        "Monkey on the real window",
        f"{each:,} actions x {len(seen)} seeds",
        f"{len(wrong)} kinds of exceptions or Qt warnings; {len(stalls)} stalls over 500 ms of CPU time, "
        f"the longest {max(stalls, default=0):.2f} s; {growth:+.1f} MB per 1,000 actions"
        f"{'' if long else ', not warmed up'}",
        not wrong and not stalls and (growth <= MB_PER_1000 or not long),
    )
    assert not wrong, "\n".join(wrong)
    assert not stalls, [one["stalls"] for one in seen]
    assert not long or growth <= MB_PER_1000


@pytest.mark.parametrize(
    ("factor", "locale"), [("1", "C"), ("1.25", "de_DE"), ("2", "fr_FR")]
)  # of decimal commas
def test_every_scale_and_decimal_commas(tmp_path, factor, locale):
    actions = amount(60, 2000)
    seen = act(
        tmp_path,
        actions,
        7,
        "--locale",
        locale,
        "--picture",
        str(tmp_path / "seen.png"),
        QT_SCALE_FACTOR=factor,
    )
    wrong = faults(seen)
    state(
        f"Scale factor {factor}, locale {locale}", f"{actions:,} actions", f"{len(wrong)} faults", not wrong
    )
    assert not wrong, "\n".join(wrong)
    assert seen["scale"] == float(factor)
    assert seen["picture"][0] == round(1400 * float(factor))

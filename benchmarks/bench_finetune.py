"""What fine-tuning gives on the demo series, beside its truth, and on measured series.

``python -m benchmarks.bench_finetune [NETWORK…]`` in the root writes the figures of docs/fine-tuning.md.
Measured series come from the folder that BRAGGSCOPE_TEST_DATA names; without it only the demo series is used.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from braggscope.app.demo import ensure_demo_series
from braggscope.app.engine.finetune import SIMULATED, fine_tune
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.lessons import Lessons, collect
from braggscope.app.engine.trainable import open_trainable
from braggscope.app.engine.tuned import FineTuned, FineTuning
from braggscope.app.sources.reader import Reader
from braggscope.models.finetune import Distribution
from braggscope.models.paired import Change
from braggscope.models.parameters import Parameters

PAGE = Path(__file__).resolve().parents[1] / "docs" / "fine-tuning.md"
MINUTES, SEED = 5.0, 0
SERIES = {"demo series": (120, 150), "thaumatin_grid": (15, 40), "dac_zr": (8, 50)}  # minval, minscore
FOLDERS = {"thaumatin_grid": "thaumatin_grid", "dac_zr": "dac_zr/*.npz"}
TITLES = {"braggnn": "BraggNN", "net": "localiser network"}
HEADING = "## Figures"  # what stands above it is written by hand
HEAD = """## Figures

Made by `python -m benchmarks.bench_finetune` with the default of {minutes:g} minutes, seed {seed}, from the
shipped weights. CPU: time of one core of the machine at hand. Errors in px, median / 95 %, before → after.
*Fits known to*: their 1σ, median; they share the noise of the frame with the network, so that it may come
closer to them than that. *Simulated*: {simulated:,} peaks; pairs, edges and weak peaks are among them, which
labels leave out.
"""


class Row(NamedTuple):
    """One fine-tuning and what it cost."""

    series: str
    network: str
    tuned: FineTuned
    cpu_s: float


def main(networks: list[str]) -> None:
    """Run all, writing the page after each."""
    rows: list[Row] = []
    truth: list[tuple] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, location in _series().items():
            for network in networks:
                job = _job(name, location, network, Path(folder))
                before = time.process_time()
                tuned = fine_tune(job, context=silent_context())
                rows.append(Row(name, network, tuned, time.process_time() - before))
                print(name, network, tuned.verdict.sentence, flush=True)
                if name == "demo series" and tuned.verdict.accepted:
                    truth.append((network, *_beside_truth(job)))
                _write(rows, truth)


def _write(rows: list[Row], truth: list[tuple]) -> None:
    above = PAGE.read_text(encoding="utf-8").partition(HEADING)[0]
    text = HEAD.format(minutes=MINUTES, seed=SEED, simulated=SIMULATED)
    text += _table(rows) + _truth_table(truth) + _distributions(rows)
    PAGE.write_text(above + text, encoding="utf-8")


def _series() -> dict[str, str]:
    found = {"demo series": str(ensure_demo_series(0))}
    data = os.environ.get("BRAGGSCOPE_TEST_DATA")
    if data:
        found |= {name: str(Path(data) / place) for name, place in FOLDERS.items()}
    return found


def _job(name: str, location: str, network: str, folder: Path) -> FineTuning:
    minval, minscore = SERIES[name]
    parameters = Parameters().with_detect(minval=minval, minscore=minscore)
    out = folder / f"{name}-{network}.safetensors"
    return FineTuning(location, parameters, out, network, minutes=MINUTES, seed=SEED)


def _beside_truth(job: FineTuning) -> tuple[int, list[str]]:
    """Peaks of the held-out demo frames: errors of old, new and fit against the truth, px."""
    old, new = (open_trainable(job.network, weights) for weights in (job.weights, job.out))
    with Reader() as reader:
        info = reader.open(job.location)
        size = old.window + 2
        lessons = collect(reader, info, job.parameters, size, job.seed, silent_context())
    measured, table = lessons.patches(held=True)
    place = _true_places(job.location, lessons, table["frame"], table["col"], table["row"])
    known = np.isfinite(place[:, 0])
    corner = np.stack([table["col"], table["row"]], axis=1) - old.window // 2
    answers = [
        subject.examine(subject.base, subject.measured(measured, 0.1))[0].numpy() + corner
        for subject in (old, new)
    ]
    answers.append(np.stack([table["x_fit"], table["y_fit"]], axis=1))
    errors = [np.hypot(*(answer - place)[known].T) for answer in answers]
    return int(known.sum()), [_pair(e) for e in errors]


def _true_places(
    location: str, lessons: Lessons, frame: np.ndarray, col: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """(N, 2) x, y px of the nearest resolved grain within 2.5 px, NaN where there is none."""
    with h5py.File(location) as file:
        truth = {name: file[f"/truth/peaks/{name}"][()] for name in ("frame", "x", "y", "resolved")}
    place = np.full((len(frame), 2), np.nan)
    for number in lessons.frames_held_out:
        there = (truth["frame"] == number) & truth["resolved"].astype(bool)
        x, y, mine = truth["x"][there], truth["y"][there], np.flatnonzero(frame == number)
        if not len(x):
            continue
        apart = np.hypot(x - col[mine, None], y - row[mine, None])
        near = apart.argmin(axis=1)
        close = apart.min(axis=1) < 2.5
        place[mine[close]] = np.stack([x[near], y[near]], axis=1)[close]
    return place


def _pair(errors: np.ndarray) -> str:
    return "{:.3f} / {:.3f}".format(*np.quantile(errors, [0.5, 0.95]))


def _change(change: Change) -> str:
    return " → ".join(f"{median:.3f} / {high:.3f}" for median, high in (change.before, change.after))


def _table(rows: list[Row]) -> str:
    lines = [
        "\n| series | network | frames, held out | peaks, held out | held-out frames | fits known to |"
        " simulated | steps | CPU s | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for series, network, t, cpu_s in rows:
        b = t.basis
        lines.append(
            f"| {series} | {TITLES[network]} | {b.frames}, {b.frames_held_out} | {b.labels:,}, {b.held_out:,}"
            f" | {_change(t.measured)} | {b.label_error_px:.3f} | {_change(t.simulated)} | {t.steps:,}"
            f" | {cpu_s:.0f} | {'kept' if t.verdict.accepted else t.verdict.sentence} |"
        )
    return "\n".join(lines) + "\n"


def _truth_table(rows: list[tuple]) -> str:
    if not rows:
        return ""
    lines = [
        "\n## Beside the truth of the demo series\n",
        "The same held-out peaks, against where the grains really are; the fit that taught the network for"
        " comparison. px, median / 95 %.\n",
        "| network | peaks | before | after | fit |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {TITLES[n]} | {count:,} | {' | '.join(texts)} |" for n, count, texts in rows]
    return "\n".join(lines) + "\n"


def _distributions(rows: list[Row]) -> str:
    found: dict[str, Distribution] = {row.series: row.tuned.basis.distribution for row in rows}
    lines = [
        "\n## What was measured on each series\n",
        "2.5 %, median and 97.5 % of the well-fitted peaks.\n",
        "| series | σ, px | long / narrow axis | signal to noise | background / height | second peak, % |",
        "|---|---|---|---|---|---|",
    ]
    for name, d in found.items():
        parts = [" – ".join(f"{v:.3g}" for v in s) for s in (d.sigma, d.ratio, d.snr, d.background)]
        lines.append(f"| {name} | {' | '.join(parts)} | {100 * d.second_share:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:] or list(TITLES))

"""Work that is killed at random moments of its life: ``python killed.py JOB FOLDER MOMENTS SEED``.

One warm process forks all others, so that a life is the work and not the start of Python. Prints one line of
JSON: how often it was killed, how often the work ended before, and what was wrong.
"""

import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import psutil
import torch
from safetensors.numpy import load_file

from braggscope.app.cli import main as command
from braggscope.app.engine import training
from braggscope.app.engine.checkpoint import checkpoint_folder
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.warmup import warm_up
from braggscope.app.export.peaklists import read_positions
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import read_peaks, write_peaks
from braggscope.app.state.session import Session, load_session, save_session
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable

FRAMES, SIDE, PEAKS, STEPS, SAVES = 24, 48, 1000, 2, 30
KILLS = 4  # of one piece of work before it may end
OLD = b"what was there before"
CHILDREN_S = 5.0  # within which children of a killed process end


@dataclass
class Job:
    """``work`` takes whether it goes on from before. ``names``: final names of what it writes, each read by
    ``content``. ``beside``: what may stand beside them until the work has ended.
    """

    folder: Path
    work: Callable[[bool], object]
    names: tuple[str, ...]
    content: Callable[[Path], object]
    beside: tuple[str, ...] = ()
    before: Callable[[Path], object] = lambda path: path.write_bytes(OLD)
    whole: dict[str, object] = field(default_factory=dict)

    def begin(self) -> None:
        """Put an old file under every final name; nothing of an earlier run stays."""
        for name in self.beside:
            path = self.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for name in self.names:
            self.before(self.folder / name)

    def read(self, name: str) -> object:
        """What stands under a final name; raises where it is neither old nor whole."""
        path = self.folder / name
        return OLD if path.read_bytes() == OLD else self.content(path)


def batch(folder: Path) -> Job:
    source = folder.parent / "series.h5"
    with h5py.File(source, "w") as file:
        file["data"] = np.random.default_rng(3).poisson(20, (FRAMES, SIDE, SIDE)).astype(np.uint16)
    words = ["peaks", source, "-o", folder / "a.csv", "--minval", "32", "--minscore", "20"]
    words += ["--localize", "fit", "--device", "cpu", "--workers", "1"]

    def work(resume: bool) -> None:
        from braggscope.app.engine import batch

        batch.COMMIT_S = 0.02  # many transactions in a short life
        if command([str(word) for word in words] + ["--resume"] * resume, lambda _: 1) != 0:
            raise RuntimeError("the batch failed")

    return Job(folder, work, ("a.csv",), Path.read_bytes, ("a.csv.journal", "a.csv.json"))


def train(folder: Path) -> Job:
    out = folder / "w.safetensors"
    training.CHECKPOINT_SECONDS = 0.0

    def work(resume: bool) -> None:
        resume = resume and checkpoint_folder(out).exists()
        training.train_braggnn(out, seed=4, steps=STEPS, resume=resume, context=silent_context())

    def content(path: Path) -> object:
        if path.suffix == ".csv":  # all but the seconds
            return [line.split(",")[:2] + line.split(",")[3:] for line in path.read_text().splitlines()]
        return {name: array.tobytes() for name, array in load_file(path).items()}

    return Job(folder, work, ("w.safetensors", "w_curve.csv"), content, ("w.safetensors.checkpoint",))


def export(folder: Path) -> Job:
    random = np.random.default_rng(1)
    values = {name: random.normal(scale=1e3, size=PEAKS) for name in ("x", "y", "x_fit", "y_fit", "score")}
    table = PeakTable.blank(PEAKS, frame=np.sort(random.integers(0, 9, PEAKS)), **values)
    provenance = Provenance("a.h5", "a", Parameters())
    names = tuple(f"p{suffix}" for suffix in (".csv", ".parquet", ".h5", ".cxi"))

    def work(_: bool) -> None:
        for name in names:
            write_peaks(folder / name, [table], provenance)

    def content(path: Path) -> object:
        if path.suffix == ".cxi":
            return [np.asarray(values).tobytes() for values in read_positions(path)]
        return {name: values.tobytes() for name, values in read_peaks(path).columns.items()}

    return Job(folder, work, names, content, ("p.csv.json",))


def session(folder: Path) -> Job:
    states = [Session().with_parameters(Parameters().with_detect(minval=v)) for v in (10.0, 20.0)]

    def work(_: bool) -> None:
        for k in range(SAVES):
            save_session(states[(k + 1) % 2], folder / "s.json")

    def content(path: Path) -> object:
        if load_session(path) not in states:
            raise ValueError("another session")
        return "one of both"

    return Job(
        folder, work, ("s.json",), content, before=lambda path: save_session(states[0], path)
    )  # fmt: skip


def born(job: Job, resume: bool) -> int:
    """Fork a process that does the work; its number."""
    child = os.fork()
    if child:
        return child
    try:
        log = os.open(job.folder.parent / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        job.work(resume)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def ended(job: Job, child: int) -> None:
    """Wait for a process that nobody kills. Raises RuntimeError if it failed."""
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError((job.folder.parent / "log").read_text()[-2000:])


def killed(child: int, after_s: float) -> bool:
    """Kill a process after a while, and see its children end; False if it had ended by itself."""
    time.sleep(after_s)
    try:
        children = psutil.Process(child).children(recursive=True)
    except psutil.Error:
        children = []
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if psutil.wait_procs(children, CHILDREN_S)[1]:
        raise RuntimeError("a child outlived the kill")
    if not os.WIFSIGNALED(status) and status != 0:
        raise RuntimeError("the work failed before it was killed")
    return os.WIFSIGNALED(status)


def check(job: Job, complete: bool) -> None:
    """Old or whole under every final name, whole when ``complete``, and nothing strange beside."""
    for name in job.names:
        found = job.read(name)
        if found != job.whole[name] and (complete or found is not OLD):
            raise RuntimeError(f"{name} is neither old nor whole: {difference(found, job.whole[name])}")
    strange = {p.name for p in job.folder.iterdir()} - {*job.names, *job.beside}
    if strange := {name for name in strange if not name.startswith(".")}:
        raise RuntimeError(f"left behind: {sorted(strange)}")


def difference(found: object, whole: object) -> str:
    """The first rows or columns that differ."""
    if isinstance(found, list) and isinstance(whole, list):
        return str(next((pair for pair in zip(found, whole, strict=False) if pair[0] != pair[1]), "length"))
    if isinstance(found, dict) and isinstance(whole, dict):
        return ", ".join(sorted(k for k in {*found, *whole} if found.get(k) != whole.get(k)))
    return "other content"


def run(job: Job, moments: int, seed: int) -> dict[str, object]:
    """Kill the work ``moments`` times, every few kills let it end."""
    random = np.random.default_rng(seed)
    job.begin()
    begun = time.monotonic()
    ended(job, born(job, False))
    life = time.monotonic() - begun
    job.whole.update({name: job.read(name) for name in job.names})
    counts = {"killed": 0, "ended before": 0}
    for k in range(5 * moments):
        resume = k % KILLS != 0
        if not resume:
            job.begin()
        moment = random.uniform(0, life)
        try:
            if killed(born(job, resume), moment):
                counts["killed"] += 1
            else:
                counts["ended before"] += 1
                life = moment  # the first time is the longest
            check(job, complete=False)
            enough = counts["killed"] == moments
            if (k + 1) % KILLS == 0 or enough:
                ended(job, born(job, True))
                check(job, complete=True)
            if enough:
                break
        except Exception as error:
            return {**counts, "wrong": f"moment {k}, {moment:.3f} of {life:.3f} s: {error}"}
    return {**counts, "wrong": "", "life": round(life, 2)}


def main() -> None:
    """One job, from the command line."""
    torch.set_num_threads(1)
    name, place, moments, seed = sys.argv[1:]
    folder = Path(place) / "out"
    folder.mkdir()
    job = {"batch": batch, "training": train, "export": export, "session save": session}[name](folder)
    if name == "batch":
        warm_up()
    print(json.dumps(run(job, int(moments), int(seed))))


if __name__ == "__main__":
    main()

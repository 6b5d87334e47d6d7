"""Batches on worker processes: the same table, whatever becomes of workers, scheduler and user."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import h5py
import numpy as np
import psutil
import pytest
from command_line import COMMAND, FLAGS, same

from braggscope.app.engine import cluster, cluster_worker
from braggscope.app.engine.batch import Outcome, SeriesJob
from braggscope.app.engine.cluster import ClusterError, connected, run_on_cluster
from braggscope.app.engine.cluster_worker import Task, analyse_chunk, forget
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.journal import Journal, decode
from braggscope.app.engine.setup import input_files_key
from braggscope.app.export.tables import read_peaks
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader

distributed = pytest.importorskip("distributed", reason="needs the extra cluster of pyproject.toml")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
KEY = {"source": "a", "parameters": "b"}
SLOW_S = 0.02
DEADLY = 5


class Sabotage(distributed.WorkerPlugin):
    """Makes every frame slow and, where told, frame 5 deadly; also on workers that are started again."""

    name = "sabotage"
    honest = staticmethod(cluster_worker.analyse_one)

    def __init__(self, deadly: bool) -> None:
        self.deadly = deadly

    def setup(self, worker: object) -> None:
        def slow(*words: object) -> Outcome:
            if self.deadly and words[-2] == DEADLY:
                os._exit(1)
            time.sleep(SLOW_S)
            return Sabotage.honest(*words)

        cluster_worker.analyse_one = slow

    def teardown(self, worker: object) -> None:
        cluster_worker.analyse_one = Sabotage.honest


@pytest.fixture(scope="module")
def address():
    """A scheduler with two worker processes."""
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0", silence_logs=50
        ) as workers,
    ):
        yield workers.scheduler_address


@pytest.fixture
def client(address):
    with connected(address, 1) as client:
        yield client


@pytest.fixture(scope="module")
def job(series, fit_only, tmp_path_factory):
    """60 of 600 frames with three spots each."""
    path = tmp_path_factory.mktemp("cluster") / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.concatenate([series.frames] * 50)
    return SeriesJob(str(path), range(60), fit_only)


@pytest.fixture(scope="module")
def info(job):
    with Reader() as reader:
        return reader.open(job.location)


def test_the_table_is_the_local_one_byte_for_byte(run, series, address, tmp_path, monkeypatch):
    monkeypatch.chdir(series.path.parent)
    with_networks = [word for word in FLAGS if word not in ("--localize", "fit")]
    for suffix, flags in ((".csv", with_networks), (".parquet", FLAGS)):
        assert run("peaks", series.path.name, "-o", tmp_path / f"here{suffix}", *flags)[0] == 0
        out = tmp_path / f"there{suffix}"
        code, _, err = run("peaks", series.path.name, "-o", out, *flags, "--scheduler", address)
        assert (code, "36 peaks in 12 frames" in err) == (0, True)
    assert "x_net" in (tmp_path / "here.csv").read_text("utf-8").partition("\n")[0]
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    same(tmp_path / "there.parquet", tmp_path / "here.parquet")


def test_frames_that_cannot_be_read_are_named(run, broken_series, address, tmp_path):
    code, _, err = run("peaks", broken_series, "-o", tmp_path / "a.csv", *FLAGS, "--scheduler", address)
    here = run("peaks", broken_series, "-o", tmp_path / "b.csv", *FLAGS)[2]
    assert code == 0
    assert [line for line in err.splitlines() if "frame 5 failed" in line] == [
        line for line in here.splitlines() if "frame 5 failed" in line
    ]
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_lost_worker_loses_nothing_and_only_what_is_missing_is_done(
    job, info, client, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster, "CHUNK_S", 0.1)
    client.register_plugin(Sabotage(deadly=False))
    journal = Journal.start(tmp_path / "j", KEY)
    ticket, seen = Ticket(0), []

    def stop_after_a_third(outcomes):
        seen.extend(outcomes)
        if len(seen) >= 20:
            ticket.cancel()

    with pytest.raises(Cancelled):
        run_on_cluster(
            job,
            info,
            client,
            Context(ticket, lambda _: None),
            journal=journal,
            on_outcomes=stop_after_a_third,
        )
    first = journal.done()
    assert 20 <= len(first) < 60

    victims = list(client.run(os.getpid).values())
    later = []

    def kill_one(outcomes):
        later.extend(o.frame for o in outcomes)
        if victims and len(later) >= 6:
            os.kill(victims.pop(), signal.SIGKILL)
            victims.clear()

    assert run_on_cluster(job, info, client, silent_context(), journal=journal, on_outcomes=kill_one) == {}
    assert victims == []
    assert sorted([*first, *later]) == list(range(60))
    assert [frame for frame, _ in journal.tables()] == list(range(60))
    assert {len(table) for _, table in journal.tables()} == {3}
    journal.close()
    client.unregister_worker_plugin("sabotage")


def test_a_frame_that_kills_workers_is_listed_and_the_others_are_done(job, info, client, tmp_path):
    client.register_plugin(Sabotage(deadly=True))
    few = replace(job, frames=range(10))
    journal = Journal.start(tmp_path / "j", KEY)
    problems = run_on_cluster(few, info, client, silent_context(), journal=journal)
    client.unregister_worker_plugin("sabotage")
    assert list(problems) == [DEADLY]
    assert "ended every worker" in problems[DEADLY]
    assert journal.done() == set(range(10)) - {DEADLY}
    assert journal.problems() == problems
    journal.close()


def test_workers_that_see_something_else_are_refused(job, info):
    task = Task(
        job.location,
        None,
        job.parameters.model_dump_json(),
        "cpu",
        info.identity,
        input_files_key(job.parameters),
    )
    for changed, word in (
        (replace(task, identity="else"), "the same files at the same place"),
        (replace(task, inputs="else"), "other weights"),
        (replace(task, format="else"), "another version"),
    ):
        with pytest.raises(SourceError, match=word):
            analyse_chunk(changed, [0])
    packed = analyse_chunk(task, [0, 3])
    assert [(frame, len(decode(data)), problem) for frame, data, problem in packed.rows] == [
        (0, 3, ""),
        (3, 3, ""),
    ]
    forget(task)
    assert cluster_worker._sessions == {}


def test_a_worker_with_another_file_ends_the_run_in_one_sentence(job, info, client):
    with pytest.raises(ClusterError, match=r"same files at the same place; what is done is kept"):
        run_on_cluster(job, replace(info, identity="else"), client, silent_context())


def test_a_scheduler_that_is_not_there(fails, series, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    journal = Journal.start(tmp_path / "a.csv.journal", KEY)
    journal.add([(7, None, "kept")])
    journal.close()
    words = ["peaks", series.path, "-o", tmp_path / "a.csv", *FLAGS]
    start = time.monotonic()
    assert "No scheduler answers at tcp://127.0.0.1:9" in fails(*words, "--scheduler", "tcp://127.0.0.1:9")
    assert time.monotonic() - start < 5
    assert "write local:2" in fails(*words, "--scheduler", "local:none")
    for where in ("nonsense", "127.0.0.1:8786", "tcp://host"):
        assert f"{where} is no address of a scheduler" in fails(*words, "--scheduler", where)
    assert "No scheduler answers" in fails(*words, "--scheduler", "nonsense://x:1")
    assert "no sbatch here" in fails(*words, "--cluster", "slurm")
    again = Journal.resume(tmp_path / "a.csv.journal", KEY)
    assert again.problems() == {7: "kept"}
    again.close()
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install distributed" in fails(*words, "--scheduler", "local:1")


def test_an_interrupted_run_on_local_workers_leaves_nothing_running(run, job, tmp_path):
    out = tmp_path / "a.csv"
    words = ["peaks", job.location, "-o", str(out), *FLAGS]
    process = subprocess.Popen(
        [*COMMAND, *words, "--scheduler", "local:1"], stderr=subprocess.PIPE, start_new_session=True
    )
    journal = tmp_path / "a.csv.journal" / "frames.sqlite-wal"
    end = time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size > 20_000):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert said.decode().strip().splitlines()[-1] == "Interrupted; --resume goes on from here."
    assert b"Traceback" not in said
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert not out.exists()
    assert run(*words, "--resume")[0] == 0
    assert len(np.unique(read_peaks(out)["frame"])) == 600

"""A batch on many processes or machines: chunks of frames go to the workers of a dask scheduler."""

import contextlib
import itertools
import logging
import queue
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from braggscope.app.engine import cluster_worker
from braggscope.app.engine.batch import Outcome, Recorder, SeriesJob, begin
from braggscope.app.engine.cluster_worker import Packed, Task, analyse_chunk, forget
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.journal import Journal
from braggscope.app.engine.setup import input_files_key
from braggscope.app.errors import sentence
from braggscope.app.sources.many import absolute
from braggscope.app.sources.protocol import SourceInfo

CHUNK_S = 0.7  # work of one task: little is done twice when a worker is lost
MOST_FRAMES = 256  # of one task
FIRST_FRAMES = 4  # of the first tasks, before the time of a frame is known
AHEAD = 2  # tasks a worker thread has or waits for
RECOUNT_S = 1.0  # between two looks at who works
CONNECT_S = 10.0
WORKER_BYTES = 2 << 30  # of a local worker; one that takes more is ended and its frames go elsewhere
LOSSES = 2  # workers that may be lost under one task before its frames are suspects
QUIET = {  # dask watches itself, in every process, more closely than a batch needs
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.worker.memory.monitor-interval": "500ms",
}
QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}


class ClusterError(Exception):
    """The cluster cannot be used. One sentence says why and what to do."""

    expected = True


@contextmanager
def connected(where: str, workers: int) -> Iterator[Any]:
    """A dask client. ``where``: ``tcp://host:port``, ``local:N`` processes here, or a batch queue.

    ``workers``: jobs asked of a batch queue (``slurm``, ``pbs``, ``lsf``, ``sge``), each with one core and
    2 GiB; the queue's other settings come from the user's dask configuration. Raises ClusterError.
    """
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise ClusterError(
            "Batches on a cluster need dask; install it with pip install distributed."
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = QUIET | {
        "distributed.scheduler.allowed-failures": LOSSES,
        "distributed.comm.timeouts.connect": CONNECT_S,
    }
    with dask.config.set(settings), contextlib.ExitStack() as stack:
        place = where
        if where in QUEUES:
            place = stack.enter_context(_queue(where, workers))
        elif where.startswith("local:"):
            place = stack.enter_context(_local(where))
        elif not re.fullmatch(r"\w+://.+:\d+", where):  # dask would leave a broken client behind
            raise ClusterError(f"{where} is no address of a scheduler; write tcp://host:8786, or local:2.")
        try:
            client = Client(place, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError, ImportError) as error:
            reason = sentence(error).rstrip(".")[:120]
            raise ClusterError(
                f"No scheduler answers at {where} within {CONNECT_S:g} s ({reason}); check the address."
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=2)


def _local(where: str) -> Any:
    from distributed import LocalCluster

    count = where.partition(":")[2]
    if not count.isdecimal() or int(count) < 1:
        raise ClusterError(f"{where} is not possible; write local:2 for two worker processes.")
    return LocalCluster(
        n_workers=int(count), threads_per_worker=1, processes=True, host="127.0.0.1",
        dashboard_address="127.0.0.1:0", worker_dashboard_address="127.0.0.1:0", memory_limit=WORKER_BYTES,
        silence_logs=logging.CRITICAL, preload=[cluster_worker.__name__],
    )  # fmt: skip


def _queue(name: str, workers: int) -> Any:
    try:
        import dask_jobqueue
    except ImportError:
        raise ClusterError(
            f"--cluster {name} needs dask-jobqueue; install it with pip install dask-jobqueue."
        ) from None
    import shutil

    submit = getattr(dask_jobqueue, QUEUES[name]).job_cls.submit_command.split()[0]
    if shutil.which(submit) is None:
        raise ClusterError(f"There is no {submit} here; run this on a machine that submits {name} jobs.")
    cluster = getattr(dask_jobqueue, QUEUES[name])(cores=1, processes=1, memory="2GiB")
    cluster.scale(jobs=workers)
    return cluster


def run_on_cluster(
    job: SeriesJob,
    info: SourceInfo,
    client: Any,
    context: Context,
    *,
    journal: Journal | None = None,
    on_outcomes: Callable[[list[Outcome]], object] = lambda _: None,
) -> dict[int, str]:
    """Analyse ``job.frames`` on the workers of ``client``, those in the journal excepted.

    The same tables as :func:`braggscope.app.engine.batch.run_series` gives. Workers read for themselves:
    they need the same files under the same names. Returns the failed frames and why; among them frames
    under which workers died again and again. Raises ClusterError if the scheduler is lost or the workers
    cannot work, Cancelled within a second.
    """
    todo, recorder = begin(job, context, journal, on_outcomes)
    task = Task(
        absolute(job.location), job.frame_axis, job.parameters.model_dump_json(), job.device, info.identity,
        input_files_key(job.parameters),
    )  # fmt: skip
    dealer = _Dealer(client, task, todo)
    try:
        with recorder:
            _drain(dealer, recorder, context)
    finally:
        dealer.stop()
    return recorder.problems


def _drain(dealer: "_Dealer", recorder: Recorder, context: Context) -> None:
    while recorder.waiting:
        dealer.deal()
        for outcome in dealer.finished(0.05):
            recorder.take(outcome)
        context.check()


@dataclass
class _Dealer:
    """Gives out chunks, a few for each worker thread, and takes them back."""

    client: Any
    task: Task
    todo: Sequence[int]
    _next: int = 0
    _suspects: deque[int] = field(default_factory=deque)
    _flying: dict[str, tuple[Any, list[int]]] = field(default_factory=dict)
    _done: queue.Queue = field(default_factory=queue.Queue)
    _frame_s: float = 0.0
    _alone: bool = False
    _counted: int = 0
    _counted_s: float = -1.0

    def __post_init__(self) -> None:
        self._names = (f"braggscope-{uuid.uuid4().hex}-{n}" for n in itertools.count())

    def deal(self) -> None:
        """Submit chunks until every worker thread has one to do and one that waits."""
        while len(self._flying) < AHEAD * max(1, self._threads()):
            frames = self._fresh()
            if not frames and self._suspects and not self._flying:  # alone: who else could it have been
                self._alone, frames = True, [self._suspects.popleft()]
            if not frames or (self._alone and self._flying):
                return
            future = self.client.submit(
                analyse_chunk, self.task, frames, key=next(self._names), pure=False, retries=0
            )
            self._flying[future.key] = (future, frames)
            future.add_done_callback(self._done.put)

    def _threads(self) -> int:
        """Of all workers; asked for again every second, as workers come and go."""
        if self.client.status != "running":
            raise ClusterError("The scheduler is gone; what is done is kept, and --resume goes on from here.")
        if time.monotonic() - self._counted_s > RECOUNT_S:
            self._counted, self._counted_s = sum(self.client.nthreads().values()), time.monotonic()
        return self._counted

    def _fresh(self) -> list[int]:
        size = FIRST_FRAMES
        if self._frame_s > 0:
            size = max(1, min(MOST_FRAMES, int(CHUNK_S / self._frame_s)))
        frames = list(self.todo[self._next : self._next + size])
        self._next += len(frames)
        return frames

    def finished(self, patience_s: float) -> list[Outcome]:
        """Outcomes of the next chunk that ended within ``patience_s``, if any."""
        try:
            future = self._done.get(timeout=patience_s)
        except queue.Empty:
            return []
        _, frames = self._flying.pop(future.key)
        if future.status == "finished":
            packed: Packed = future.result()
            self._frame_s = packed.seconds / max(1, len(packed.rows))
            return [Outcome(frame, None, None, problem, data) for frame, data, problem in packed.rows]
        return self._failed(future, frames)

    def _failed(self, future: Any, frames: list[int]) -> list[Outcome]:
        """Frames of a chunk that killed its workers, or waited beside it, go again one by one at the end.

        A frame under which workers die although it is alone has failed.
        """
        from distributed.scheduler import KilledWorker

        error = future.exception() if future.status == "error" else None
        if not isinstance(error, KilledWorker):
            reason = "The scheduler is gone" if error is None else sentence(error).rstrip(".")
            raise ClusterError(f"{reason}; what is done is kept, and --resume goes on from here.")
        if not self._alone:
            self._suspects.extend(frames)
            return []
        return [
            Outcome(
                frames[0], None, None, f"Frame {frames[0]} ended every worker that tried it; leave it out."
            )
        ]

    def stop(self) -> None:
        """Take back what is not done and let the workers close their files."""
        with contextlib.suppress(Exception):  # the cluster may be gone
            self.client.cancel([future for future, _ in self._flying.values()], force=True)
            self.client.run(forget, self.task, wait=False)
        self._flying.clear()

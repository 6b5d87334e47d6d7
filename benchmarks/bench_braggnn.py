"""BraggNN beside torch running the same network layer by layer, and beside ONNX Runtime; processor time.

``python benchmarks/bench_braggnn.py`` prints the rows of :func:`run` and of :func:`accuracy` as tables.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks import peers
from braggscope.models.braggnn.evaluate import accuracy_table
from braggscope.models.braggnn.infer import Localizer
from braggscope.models.braggnn.network import BraggNN, BraggNNConfig
from braggscope.models.braggnn.simulate import Scene, simulate
from braggscope.models.weights import build_braggnn
from braggscope.resources.loader import load_weights

PATCHES, REPEATS = 4096, 3
CHUNKS = {"torch eager, one batch": PATCHES, "torch eager, chunks of 64": 64}


def rates(work: list[Callable[[], object]], patches: int) -> list[float]:
    """Patches per second of each, measured in turns so that all meet the same neighbours."""
    times: list[list[float]] = [[] for _ in work]
    for turn in range(REPEATS + 1):
        for each, spent in zip(work, times, strict=True):
            start = time.process_time()
            each()
            if turn:  # the first one warms up
                spent.append(time.process_time() - start)
    return [patches / statistics.median(spent) for spent in times]


def case(name: str, network: BraggNN) -> list[dict]:
    """Rows for one network on one thread."""
    localizer = Localizer(network)
    images = simulate(PATCHES, 0, Scene(network.config.window)).image
    patches, batch = images.numpy(), images[:, None]

    def eager(chunk: int) -> torch.Tensor:
        with torch.inference_mode():
            return torch.cat([network(part) for part in batch.split(chunk)])

    plain = eager(64).double().numpy() * localizer.window
    difference = float(np.abs(localizer.locate(patches) - plain).max())
    work: list[Callable[[], object]] = [lambda: localizer.locate(patches)]
    work += [lambda chunk=chunk: eager(chunk) for chunk in CHUNKS.values()]
    ours, *others = rates(work, PATCHES)
    found = [(peer, rate, difference) for peer, rate in zip(CHUNKS, others, strict=True)]
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    answer = peers.ask("onnx", patches=patches, window=network.config.window, **weights)
    if answer is not None:
        apart = np.abs(localizer.locate(patches) - answer["places"] * localizer.window).max()
        found.append(("ONNX Runtime, chunks of 64", PATCHES / float(answer["seconds"]), float(apart)))
    return [
        {
            "case": name,
            "ours_per_s": ours,
            "peer_per_s": rate,
            "peer": peer,
            "ratio": ours / rate,
            "max_difference_px": apart,
        }
        for peer, rate, apart in found
    ]


def run() -> list[dict]:
    """Speed on one thread: the shipped weights at 11 px, and a 15 px network (untrained: the same work)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        return [
            *case("BraggNN, 11 px", build_braggnn(load_weights("braggnn")[0])),
            *case("BraggNN, 15 px", BraggNN(BraggNNConfig(15)).eval()),
        ]
    finally:
        torch.set_num_threads(threads)


def accuracy(count: int = 10_000) -> list[dict]:
    """Errors of the shipped weights in px on fresh simulated patches."""
    localizer = Localizer(build_braggnn(load_weights("braggnn")[0]))
    table = accuracy_table(lambda images: torch.from_numpy(localizer.locate(images.numpy())), count=count)
    return [
        {"case": name, "patches": kind, "median_px": found.median_px, "p95_px": found.p95_px}
        for name, kind, found in table
    ]


def markdown(rows: list[dict]) -> str:
    """A table of rows with the same keys."""

    def text(value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"

    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([text(row[key]) for key in head] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    print(markdown(run()), markdown(accuracy()), sep="\n\n")

"""How good found disks are against the truth of simulated patterns."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from braggscope.models.disks.network.build import DiskNet
from braggscope.models.disks.network.fcunet import FCUNet
from braggscope.models.disks.network.peaks import Found, find_peaks
from braggscope.models.disks.network.pool import Scenes
from braggscope.models.disks.network.unet import Output

CUT = 0.35  # visibility above which a disk counts as found, where nothing else is said
GATE = 0.7  # radii within which a disk found is the true one
APART = 1.5  # radii between two disks found
CHUNK = 32


class Score(NamedTuple):
    """Position errors in px: ``median``, ``rms``, ``p95``. ``recall`` of the disks that are present;
    ``precision``: share of found disks that are true ones, weak ones too.
    """

    median: float
    rms: float
    p95: float
    recall: float
    precision: float


class Matched(NamedTuple):
    """Found disks and which true ones they are. ``error`` (N, 2) px, found - true; ``rows`` (N,) found;
    ``pattern``, ``disk`` (N,): which true disk.
    """

    error: NDArray[np.float64]
    rows: NDArray[np.int64]
    pattern: NDArray[np.int64]
    disk: NDArray[np.int64]


def outputs(network: DiskNet, scenes: Scenes, chunk: int = CHUNK) -> Output:
    """What a network says of scenes, convolutions in bfloat16."""
    parts = []
    network.eval()
    for start in range(0, len(scenes.counts), chunk):
        inputs = scenes.rows(slice(start, start + chunk)).inputs(spectrum=isinstance(network, FCUNet))
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            parts.append(network(inputs))
    return Output(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def find(network: DiskNet, scenes: Scenes, cut: float = CUT) -> Found:
    """Disks of scenes."""
    return find_peaks(outputs(network, scenes), cut, 10**6, APART * scenes.radius.numpy())


def match(found: Found, scenes: Scenes) -> Matched:
    """Pair what was found with the true disks, present or weak, that are each other's nearest."""
    pattern, disk = (
        v.numpy() for v in torch.nonzero(scenes.truth.present | scenes.truth.weak, as_tuple=True)
    )
    true = scenes.truth.xy[pattern, disk].double().numpy()
    gate = GATE * scenes.radius.numpy()[pattern]
    if not len(found.xy) or not len(true):
        none = np.empty(0, np.int64)
        return Matched(np.empty((0, 2)), none, none, none)
    far = 1e5  # px between patterns
    a = np.column_stack([found.xy, far * found.pattern])
    b = np.column_stack([true, far * pattern])
    distance, nearest = cKDTree(a).query(b)
    mutual = cKDTree(b).query(a)[1][nearest] == np.arange(len(b))
    good = np.flatnonzero(mutual & (distance < gate))
    rows = nearest[good]
    return Matched(found.xy[rows] - true[good], rows, pattern[good], disk[good])


def score(found: Found, scenes: Scenes) -> Score:
    """Score of found disks, the position errors those of present ones."""
    pairs = match(found, scenes)
    present = scenes.truth.present.numpy()[pairs.pattern, pairs.disk]
    distance = np.hypot(*pairs.error[present].T) if present.any() else np.array([np.nan])
    number = int(scenes.truth.present.sum())
    return Score(
        float(np.median(distance)), float(np.sqrt(np.mean(distance**2))), float(np.quantile(distance, 0.95)),
        float(present.sum() / max(1, number)), len(pairs.rows) / max(1, len(found.xy)),
    )  # fmt: skip

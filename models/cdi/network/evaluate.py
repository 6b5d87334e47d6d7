"""How well the network does on samples whose truth is known."""

import numpy as np
import torch
from numpy.typing import NDArray

from braggscope.models.cdi.dataset import Samples
from braggscope.models.cdi.network.inputs import middle, prepare
from braggscope.models.cdi.network.loss import twin_overlap
from braggscope.models.cdi.network.network import CdiNet
from braggscope.models.cdi.network.train import tensors

_BATCH = 8


def unexplained(network: CdiNet | None, samples: Samples) -> NDArray[np.float32]:
    """(N,) share of each object that the network's does not explain, 0 is perfect; None: the guesses'."""
    amplitude, guess, truth = tensors(samples)
    found = []
    with torch.inference_mode():
        for start in range(0, len(guess), _BATCH):
            part = slice(start, start + _BATCH)
            obj = middle(guess[part])
            if network is not None:
                obj = network(prepare(amplitude[part], guess[part])).obj
            found.append(1 - twin_overlap(obj, truth[part]))
    return np.asarray(torch.cat(found).numpy(), np.float32)

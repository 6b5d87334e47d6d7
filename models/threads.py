"""How many threads one call of torch may use."""

import torch


def use_one_thread() -> None:
    """Let the calling thread compute alone: threads run over frames, inside one they would only wait.

    torch and MKL count their threads for each calling thread: what another thread set does not hold here,
    and sums over two threads differ in their last bits from sums of one. Takes a microsecond.
    """
    torch.set_num_threads(1)

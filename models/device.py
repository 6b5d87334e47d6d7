"""Which device computes."""

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda"]


def resolve(name: DeviceName | str) -> str:
    """``auto`` becomes ``cuda`` where torch finds a device, else ``cpu``. Raises ValueError, one sentence."""
    if name == "cpu":
        return name
    if name not in ("auto", "cuda"):
        raise ValueError(f"There is no device called {name!r}; choose auto, cpu or cuda.")
    import torch  # late: the import takes seconds

    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise ValueError(
            "No CUDA device can be used here; choose the device auto or cpu, or install torch with CUDA."
        )
    return "cpu"

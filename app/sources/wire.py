"""What travels between the program and its reader process: JSON with raw arrays behind it, never pickles."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.protocol import DatasetEntry, SourceInfo

Message = dict[str, Any]


def pack(message: Message, arrays: dict[str, NDArray] | None = None) -> list[bytes]:
    """A message as a list of byte strings: JSON, then one for each array."""
    held = {name: np.ascontiguousarray(a) for name, a in (arrays or {}).items()}
    shapes = [[name, a.dtype.str, list(a.shape)] for name, a in held.items()]
    text = json.dumps(message | ({"arrays": shapes} if shapes else {})).encode()
    return [text, *(a.tobytes() for a in held.values())]


def unpack_head(data: bytes) -> tuple[Message, list[tuple[str, np.dtype, tuple[int, ...]]]]:
    """The message and (name, dtype, shape) of the arrays that follow it. Raises ValueError."""
    message = json.loads(data)
    shapes = [(str(n), np.dtype(str(d)), tuple(int(k) for k in s)) for n, d, s in message.pop("arrays", [])]
    if any(dtype.kind not in "biuf" for _, dtype, _ in shapes):
        raise ValueError("an array that holds no numbers")
    return message, shapes


def info_to_wire(info: SourceInfo) -> tuple[Message, dict[str, NDArray]]:
    """SourceInfo as plain values and its axes as arrays."""
    plain = {name: getattr(info, name) for name in SourceInfo.__dataclass_fields__}
    plain["datasets"] = tree_to_wire(info.datasets)
    return plain, dict(plain.pop("axes"))


def info_from_wire(plain: Message, axes: dict[str, NDArray]) -> SourceInfo:
    """Inverse of :func:`info_to_wire`."""
    rows, columns = plain["shape"]
    values = plain | {
        "axes": axes,
        "shape": (int(rows), int(columns)),
        "stack_shape": tuple(plain["stack_shape"]),
        "warnings": tuple(plain["warnings"]),
        "parts": tuple((str(name), int(first)) for name, first in plain["parts"]),
        "datasets": tree_from_wire(plain["datasets"]),
    }
    return SourceInfo(**values)


def tree_to_wire(entries: tuple[DatasetEntry, ...]) -> list[list[Any]]:
    """Datasets as lists."""
    return [[e.path, e.shape, e.dtype, e.problem] for e in entries]


def tree_from_wire(entries: list[list[Any]]) -> tuple[DatasetEntry, ...]:
    """Inverse of :func:`tree_to_wire`."""
    return tuple(DatasetEntry(p, tuple(s), d, problem) for p, s, d, problem in entries)

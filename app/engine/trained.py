"""The files of a finished training: weights that carry their own record, and the learning curve."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.checkpoint import TrainingError, file_sha256, write_whole
from braggscope.app.files import atomic_path

if TYPE_CHECKING:
    from torch import Tensor

CURVE_HEADER = "step,samples,seconds,learning_rate,loss,median_px,p95_px"


def curve_header(network: str) -> str:
    """Columns of the learning curve of a kind of network: objects are judged by their share not explained."""
    return CURVE_HEADER.replace("_px", "_unexplained") if network == "CdiNet" else CURVE_HEADER


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training gave.

    Errors are median and 95th percentile in px on held-out patches, measured ones where a data file was
    given, simulated ones otherwise. ``improved`` is False where the old weights were better and were
    written instead.
    """

    out: Path
    sha256: str
    curve: Path
    steps: int
    samples: int
    seconds: float
    held_out: int
    before_px: tuple[float, float]
    after_px: tuple[float, float]
    improved: bool


def curve_path(out: Path) -> Path:
    """Where the learning curve of ``out`` is written."""
    return out.with_name(out.stem + "_curve.csv")


def write_trained(
    out: Path,
    state: "Mapping[str, Tensor]",
    network: Mapping[str, str],
    identity: str,
    record: Mapping[str, Any],
    curve: Sequence[str],
    header: str = CURVE_HEADER,
) -> None:
    """Write the learning curve, then the weights (safetensors) with what they are and what made them.

    ``header``: columns of the curve.
    """
    from safetensors.torch import save  # its own writer hides why a disk refuses

    metadata = {**network, "identity": identity, "training": json.dumps(record)}
    text = "\n".join([header, *curve]) + "\n"
    content = save({k: v.contiguous() for k, v in state.items()}, metadata)

    def write(path: Path) -> None:
        with atomic_path(curve_path(out)) as curve_file:  # appears only once the weights fit beside it
            path.write_bytes(content)
            curve_file.write_text(text, encoding="utf-8")

    write_whole(out, write)


def read_report(out: Path, identity: str) -> TrainingReport:
    """The report of a finished training. Raises TrainingError if ``out`` is of another one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(out, "pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise TrainingError(f"{out} exists and is not a weight file; give another name after -o.") from error
    if metadata.get("identity") != identity:
        raise TrainingError(
            f"{out} was trained with other data, base weights, time or seed; give another name after -o,"
            " or run without --resume."
        )
    record = json.loads(metadata["training"])
    return TrainingReport(
        out=out,
        sha256=file_sha256(out),
        curve=curve_path(out),
        steps=record["steps"],
        samples=record["samples"],
        seconds=record["seconds"],
        held_out=record["held_out"],
        before_px=(record["before_px"][0], record["before_px"][1]),
        after_px=(record["after_px"][0], record["after_px"][1]),
        improved=record["improved"],
    )

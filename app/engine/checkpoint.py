"""Files that are always whole: atomic writes, hashes, and the checkpoint beside an output."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from braggscope.app.files import NotWrittenError, atomic_path


class TrainingError(Exception):
    """Training cannot start. The message is one sentence: what is wrong, where, and what to do."""


class RefusedError(TrainingError):
    """Trained weights are no better than the old ones, and nothing was written."""


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """As :func:`atomic_path`, in a folder made if need be. Raises TrainingError, NotWrittenError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            write(temporary)
    except NotWrittenError:
        raise
    except OSError as error:
        raise TrainingError(
            f"{path} cannot be written ({error.strerror or error}); choose another place."
        ) from error


def checkpoint_folder(out: Path) -> Path:
    """Folder of the checkpoint that belongs to an output."""
    return out.with_name(out.name + ".checkpoint")


def save_checkpoint(out: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint of ``out``."""
    import torch

    content = io.BytesIO()  # torch's own writer hides why the disk refuses
    torch.save(state, content)
    write_whole(checkpoint_folder(out) / "state.pt", lambda path: path.write_bytes(content.getbuffer()))


def load_checkpoint(out: Path) -> dict[str, Any] | None:
    """The checkpoint of ``out``, or None. Raises TrainingError if it cannot be read."""
    import torch

    path = checkpoint_folder(out) / "state.pt"
    if not path.exists():
        return None
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True)
    except Exception as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be read; run without --resume to start afresh."
        ) from error
    return saved

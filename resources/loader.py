"""Opens weight files: shipped ones checked against the manifest, a user's own without running any code."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).parent
MANIFEST = ROOT / "manifest.json"
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
_WRAPPERS = ("model_state_dict", "state_dict", "model", "network", "weights")


class WeightsError(ValueError):
    """Weights cannot be used. The message is one sentence: what is wrong, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where weights come from. ``name``: shipped name or path; ``axis_order``: "xy", "yx", "" if unknown."""

    name: str
    sha256: str
    path: Path
    shipped: bool
    axis_order: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


def manifest() -> dict[str, dict[str, Any]]:
    """Shipped weights by name: file, sha256 and how they were trained."""
    entries: dict[str, dict[str, Any]] = json.loads(MANIFEST.read_text(encoding="utf-8"))["weights"]
    return entries


def weights_hash(name_or_path: str | Path) -> str:
    """SHA-256 of a weight file, hexadecimal. Raises WeightsError."""
    path, _ = _find(name_or_path)
    return _sha256(_read(path))


def file_stamp(name_or_path: str | Path) -> str:
    """Size and time of a user's weight file; empty for shipped weights and for what is not there."""
    path = Path(name_or_path).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        return ""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def load_weights(name_or_path: str | Path) -> tuple[dict[str, "Tensor"], Provenance]:
    """State dict and provenance of shipped weights, by name, or of a user's file, by path.

    Files: ``.safetensors``, or ``.pth .pt .ckpt`` as torch writes them. Nothing in a file is ever executed.
    Raises WeightsError.
    """
    path, entry = _find(name_or_path)
    content = _read(path)
    sha256 = _sha256(content)
    if entry is not None and sha256 != entry["sha256"]:
        raise WeightsError(
            f"The shipped weights {path.name} are damaged (their hash is not the manifest's);"
            " install the program again."
        )
    if path.suffix.lower() == ".safetensors":
        state, metadata = _from_safetensors(path, content)
    else:
        state, metadata = _from_torch(path, content), {}
    described = metadata if entry is None else entry
    order = described.get("axis_order", "")
    provenance = Provenance(str(name_or_path), sha256, path, entry is not None, order, described)
    return state, provenance


def _find(name_or_path: str | Path) -> tuple[Path, dict[str, Any] | None]:
    shipped = manifest()
    name = str(name_or_path)
    if name in shipped:
        return ROOT / shipped[name]["file"], shipped[name]
    path = Path(name_or_path).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise WeightsError(
            f"There are no weights called {name}; give one of {', '.join(sorted(shipped))},"
            f" or a file ending in {', '.join(SUFFIXES)}."
        )
    return path, None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise WeightsError(f"The weight file {path} {reason}; check its path and permissions.") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _from_safetensors(path: Path, content: bytes) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    from safetensors.torch import load

    try:
        state = load(content)
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
    except Exception as error:
        raise WeightsError(f"{path} is not a whole safetensors file; fetch or export it again.") from error
    return state, header.get("__metadata__", {})


def _from_torch(path: Path, content: bytes) -> dict[str, "Tensor"]:
    import io
    import pickle

    import torch

    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than arrays (a whole pickled model, or code), which is never run; export it"
            " with torch.save(model.state_dict(), path) and load that file."
        ) from error
    except Exception as error:
        raise WeightsError(f"{path} is not a whole torch checkpoint; fetch or export it again.") from error
    return _state_dict(path, loaded)


def _state_dict(path: Path, loaded: Any) -> dict[str, "Tensor"]:
    """The tensors by name, also from the usual wrappers around them."""
    import torch

    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not loaded:
        raise WeightsError(
            f"{path} holds no state dict; export it with torch.save(model.state_dict(), path)."
        )
    wrong = [name for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise WeightsError(
            f"{path} holds no state dict ({wrong[0]!s} is not an array); export it with"
            " torch.save(model.state_dict(), path)."
        )
    return {str(name): value for name, value in loaded.items()}

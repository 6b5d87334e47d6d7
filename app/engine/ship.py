"""For maintainers: makes trained weights the shipped ones, with their record in the manifest.

``python -m braggscope.app.engine.ship WEIGHTS`` takes a finished training, or one under way (then its latest
checkpoint), measures it on the benchmark scenes and writes ``resources/weights/braggnn.safetensors``, its
learning curve and its entry in ``resources/manifest.json``.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.checkpoint import TrainingError, file_sha256, load_checkpoint, write_whole
from braggscope.app.engine.trained import CURVE_HEADER, curve_path
from braggscope.resources.loader import MANIFEST, ROOT

if TYPE_CHECKING:
    from torch import Tensor

NAME = "braggnn"
METADATA = {"network": "BraggNN", "axis_order": "xy"}


def ship(weights: Path) -> dict[str, Any]:
    """Ship ``weights`` and return the entry of the manifest. Raises TrainingError."""
    from safetensors.torch import save_file

    state, record, curve = _trained(weights)
    target = ROOT / "weights" / f"{NAME}.safetensors"
    write_whole(curve_path(target), lambda path: path.write_text(curve, encoding="utf-8"))
    write_whole(target, lambda path: save_file(state, path, METADATA))
    target.chmod(0o644)
    entry = _entry(state, record, target)
    write_whole(MANIFEST, lambda path: path.write_text(_text({NAME: entry}), encoding="utf-8"))
    return entry


def _trained(weights: Path) -> "tuple[dict[str, Tensor], dict[str, Any], str]":
    """Weights, record and learning curve of a finished training or of a checkpoint."""
    from safetensors import safe_open

    if weights.exists():
        with safe_open(weights, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record = json.loads((file.metadata() or {})["training"])
        return state, record, curve_path(weights).read_text(encoding="utf-8")
    saved = load_checkpoint(weights)
    if saved is None:
        raise TrainingError(f"There is neither {weights} nor a checkpoint of it.")
    trainer = saved["trainer"]
    settings = json.loads(saved.get("settings", "{}"))
    record = {
        "steps": trainer["step"],
        "of_steps": saved["steps"],
        "samples": trainer["step"] * settings.get("batch", 256),
        "seconds": round(saved["seconds"], 1),
        "settings": settings,
    }
    return trainer["average"], record, "\n".join([CURVE_HEADER, *saved["curve"]]) + "\n"


def _entry(state: "dict[str, Tensor]", record: dict[str, Any], target: Path) -> dict[str, Any]:
    from braggscope.models.braggnn.evaluate import accuracy_table, predict
    from braggscope.models.braggnn.simulate import SIMULATION_VERSION
    from braggscope.models.weights import build_braggnn

    network = build_braggnn(state)
    table: dict[str, dict[str, list[float]]] = {}
    for case, kind, found in accuracy_table(lambda images: predict(network, images)):
        table.setdefault(case, {})[kind] = [round(found.median_px, 4), round(found.p95_px, 4)]
    training = {key: value for key, value in record.items() if key not in ("improved", "before_px")}
    return {
        "file": target.relative_to(ROOT).as_posix(),
        "sha256": file_sha256(target),
        **METADATA,
        "window": network.config.window,
        "parameters": sum(p.numel() for p in network.parameters()),
        "licence": "GPL-3.0-or-later",
        "simulation": SIMULATION_VERSION,
        "training": {**training, "minutes": round(record["seconds"] / 60, 1)},
        "accuracy": {"columns": ["median_px", "p95_px"], "patches": 10_000, "cases": table},
    }


def _text(weights: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "weights": weights}, indent=2) + "\n"


if __name__ == "__main__":
    print(json.dumps(ship(Path(sys.argv[1]))["accuracy"], indent=2))

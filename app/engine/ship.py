"""For maintainers: makes trained weights the shipped ones, with their record in the manifest.

``python -m braggscope.app.engine.ship WEIGHTS`` takes a finished training of BraggNN or of the localiser
network, or one under way (then its latest checkpoint), measures it on the benchmark scenes and writes
``resources/weights/braggnn.safetensors`` or ``net.safetensors``, its learning curve and its entry in
``resources/manifest.json``.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.checkpoint import TrainingError, file_sha256, load_checkpoint, write_whole
from braggscope.app.engine.recipes import simulation_version
from braggscope.app.engine.trained import CURVE_HEADER, curve_path
from braggscope.resources.loader import MANIFEST, ROOT, manifest

if TYPE_CHECKING:
    from torch import Tensor

    from braggscope.models.braggnn.network import BraggNN
    from braggscope.models.localizer.network import LocalizerNet

METADATA = {
    "braggnn": {"network": "BraggNN", "axis_order": "xy"},
    "net": {"network": "Localizer", "axis_order": "xy"},
}


def ship(weights: Path) -> dict[str, Any]:
    """Ship ``weights`` and return the entry of the manifest. Raises TrainingError."""
    from safetensors.torch import save_file

    state, record, curve = _trained(weights)
    name = "net" if "features.0.weight" in state else "braggnn"
    target = ROOT / "weights" / f"{name}.safetensors"
    state = {key: array.contiguous() for key, array in state.items()}
    write_whole(curve_path(target), lambda path: path.write_text(curve, encoding="utf-8"))
    write_whole(target, lambda path: save_file(state, path, METADATA[name]))
    target.chmod(0o644)
    entry = _entry(name, state, record, target)
    entries = {**manifest(), name: entry}
    write_whole(MANIFEST, lambda path: path.write_text(_text(entries), encoding="utf-8"))
    return entry


def _trained(weights: Path) -> "tuple[dict[str, Tensor], dict[str, Any], str]":
    """Weights, record and learning curve of a finished training or of a checkpoint."""
    from safetensors import safe_open

    if weights.exists():
        with safe_open(weights, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record = json.loads((file.metadata() or {})["training"])
        return _finished(state), record, curve_path(weights).read_text(encoding="utf-8")
    saved = load_checkpoint(weights)
    if saved is None:
        raise TrainingError(f"There is neither {weights} nor a checkpoint of it.")
    trainer = saved["trainer"]
    state = _finished(trainer["average"])
    settings = json.loads(saved.get("settings", "{}"))
    record = {
        "steps": trainer["step"],
        "of_steps": saved["steps"],
        "samples": trainer["step"] * settings.get("batch", 256),
        "seconds": round(saved["seconds"], 1),
        "settings": settings,
    }
    return state, record, "\n".join([CURVE_HEADER, *saved["curve"]]) + "\n"


def _finished(state: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """The weights, calibrated anew where that is the last step of a training."""
    from braggscope.models.localizer.calibrate import calibrate
    from braggscope.models.localizer.network import LocalizerNet
    from braggscope.models.weights import build_localizer

    if "features.0.weight" not in state:
        return state
    kept = {name: array for name, array in state.items() if name.partition(".")[0] in ("features", "head")}
    network = build_localizer(LocalizerNet().state_dict() | kept)
    calibrate(network)
    return network.state_dict()


def _entry(name: str, state: "dict[str, Tensor]", record: dict[str, Any], target: Path) -> dict[str, Any]:
    network, columns, table = _measured_net(state) if name == "net" else _measured_braggnn(state)
    training = {key: value for key, value in record.items() if key not in ("improved", "before_px")}
    return {
        "file": target.relative_to(ROOT).as_posix(),
        "sha256": file_sha256(target),
        **METADATA[name],
        "window": network.config.window,
        "parameters": sum(p.numel() for p in network.parameters()),
        "licence": "GPL-3.0-or-later",
        "simulation": simulation_version("net" if name == "net" else "braggnn"),
        "training": {**training, "minutes": round(record["seconds"] / 60, 1)},
        "accuracy": {"columns": columns, "patches": 10_000, "cases": table},
    }


Table = dict[str, dict[str, list[float]]]


def _measured_braggnn(state: "dict[str, Tensor]") -> "tuple[BraggNN, list[str], Table]":
    from braggscope.models.braggnn.evaluate import accuracy_table, predict
    from braggscope.models.weights import build_braggnn

    network, table = build_braggnn(state), Table()
    for case, kind, found in accuracy_table(lambda images: predict(network, images)):
        table.setdefault(case, {})[kind] = [round(found.median_px, 4), round(found.p95_px, 4)]
    return network, ["median_px", "p95_px"], table


def _measured_net(state: "dict[str, Tensor]") -> "tuple[LocalizerNet, list[str], Table]":
    from braggscope.models.localizer.evaluate import accuracy_table
    from braggscope.models.weights import build_localizer

    network, table = build_localizer(state), Table()
    for case, kind, found in accuracy_table(network):
        table.setdefault(case, {})[kind] = [round(value, 4) for value in found]
    return network, ["median_px", "p95_px", "coverage"], table


def _text(weights: dict[str, Any]) -> str:
    return json.dumps({"version": 1, "weights": weights}, indent=2) + "\n"


if __name__ == "__main__":
    print(json.dumps(ship(Path(sys.argv[1]))["accuracy"], indent=2))

"""For maintainers: makes trained weights of coherent imaging the shipped ones, with their record.

``python -m braggscope.app.engine.ship_cdi WEIGHTS`` takes a finished training, measures it on simulated
crystals that it never saw and writes ``resources/weights/cdi.safetensors`` in half precision, its learning
curve and its entry in ``resources/manifest.json``.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from braggscope.app.engine.checkpoint import file_sha256, write_whole
from braggscope.app.engine.recipes import simulation_version
from braggscope.app.engine.trained import curve_path
from braggscope.resources.loader import MANIFEST, ROOT, manifest

if TYPE_CHECKING:
    from braggscope.models.cdi.network.network import CdiNet

NAME, KEPT = "cdi", {"network": "CdiNet", "axis_order": ""}
BLOCKS, FIRST_BLOCK = 4, 100  # simulated samples for the figures, beyond those that training watches


def ship(weights: Path) -> dict[str, Any]:
    """Ship ``weights`` and return the entry of the manifest."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    from braggscope.models.cdi.network.build import build_cdi
    from braggscope.models.threads import use_one_thread

    use_one_thread()
    with safe_open(weights, "pt") as file:
        state = {key: file.get_tensor(key).half() for key in file.keys()}  # noqa: SIM118
        record = json.loads((file.metadata() or {})["training"])
    curve = curve_path(weights).read_text(encoding="utf-8")
    network, target = build_cdi(state), ROOT / "weights" / f"{NAME}.safetensors"
    write_whole(curve_path(target), lambda path: path.write_text(curve, encoding="utf-8"))
    write_whole(target, lambda path: save_file(state, path, KEPT))
    target.chmod(0o644)
    entry = {
        "file": target.relative_to(ROOT).as_posix(),
        "sha256": file_sha256(target),
        **KEPT,
        "parameters": sum(p.numel() for p in network.parameters()),
        "licence": "GPL-3.0-or-later",
        "simulation": simulation_version(NAME),
        "training": {**record, "minutes": round(record["seconds"] / 60, 1)},
        "accuracy": measured(network),
    }
    text = json.dumps({"version": 1, "weights": {**manifest(), NAME: entry}}, indent=2) + "\n"
    write_whole(MANIFEST, lambda path: path.write_text(text, encoding="utf-8"))
    return entry


def measured(network: "CdiNet") -> dict[str, Any]:
    """Share of held-out objects that is not explained, before and after the network."""
    from braggscope.models.cdi.dataset import Samples, block
    from braggscope.models.cdi.network.evaluate import unexplained
    from braggscope.models.cdi.network.train import HELD_OUT_SEED

    samples = Samples.joined([block(HELD_OUT_SEED + FIRST_BLOCK + k) for k in range(BLOCKS)])
    cases = {}
    for case, judged in (("rough objects", None), ("after the network", network)):
        found = unexplained(judged, samples)
        cases[case] = [round(float(np.quantile(found, q)), 4) for q in (0.5, 0.95)]
    return {"columns": ["median", "p95"], "patterns": len(samples.guess), "cases": cases}


if __name__ == "__main__":
    print(json.dumps(ship(Path(sys.argv[1]))["accuracy"], indent=2))

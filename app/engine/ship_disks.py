"""For maintainers: makes trained weights of a disk network the shipped ones, with their record.

``python -m braggscope.app.engine.ship_disks WEIGHTS NAME`` takes a finished training, measures it on
simulated patterns of crystals that it never saw and writes ``resources/weights/NAME.safetensors`` in half
precision, its learning curve and its entry in ``resources/manifest.json``.
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
    from braggscope.models.disks.network.build import DiskNet
    from braggscope.models.disks.network.pool import Scenes

BROAD = 192  # patterns, of everything that is simulated
POSITIONS = 16  # of the wedge, for each thickness
TILT_RAD, TILTS = 6e-3, 4
DOSES = (5e5, 2e4)
CUTS = np.arange(0.1, 0.71, 0.05)
SEED = 5


def ship(weights: Path, name: str) -> dict[str, Any]:
    """Ship ``weights`` as ``name`` and return the entry of the manifest."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    from braggscope.models.disks.network.build import build_network
    from braggscope.models.threads import use_one_thread

    use_one_thread()
    with safe_open(weights, "pt") as file:
        state = {key: file.get_tensor(key).half() for key in file.keys()}  # noqa: SIM118
        metadata = file.metadata() or {}
    curve = curve_path(weights).read_text(encoding="utf-8")
    network, target = build_network(state), ROOT / "weights" / f"{name}.safetensors"
    kept = {"network": metadata["network"], "axis_order": "xy"}
    write_whole(curve_path(target), lambda path: path.write_text(curve, encoding="utf-8"))
    write_whole(target, lambda path: save_file(state, path, kept))
    target.chmod(0o644)
    record = json.loads(metadata["training"])
    entry = {
        "file": target.relative_to(ROOT).as_posix(),
        "sha256": file_sha256(target),
        **kept,
        "cut": best_cut(network),
        "parameters": sum(p.numel() for p in network.parameters()),
        "licence": "GPL-3.0-or-later",
        "simulation": simulation_version("disks"),
        "training": {**record, "minutes": round(record["seconds"] / 60, 1)},
        "accuracy": measured(network),
    }
    entries = {**manifest(), name: entry}
    text = json.dumps({"version": 1, "weights": entries}, indent=2) + "\n"
    write_whole(MANIFEST, lambda path: path.write_text(text, encoding="utf-8"))
    return entry


def best_cut(network: "DiskNet") -> float:
    """Visibility at which the lower one of recall and precision is highest, on crystals of the training."""
    from braggscope.models.disks.network.calibrate import CALIBRATION_SEED
    from braggscope.models.disks.network.evaluate import find, score
    from braggscope.models.disks.network.scenes import drawing

    scenes = drawing(CALIBRATION_SEED + 1, BROAD)(0)
    found = find(network, scenes, float(CUTS[0]))
    scores = [score(found.take(np.flatnonzero(found.visibility > cut)), scenes) for cut in CUTS]
    return round(float(CUTS[int(np.argmax([min(s.recall, s.precision) for s in scores]))]), 2)


def measured(network: "DiskNet") -> dict[str, Any]:
    """Figures on crystals that the training never saw, by case."""
    from braggscope.models.disks.network.calibrate import errors_of
    from braggscope.models.disks.network.evaluate import find, match, score
    from braggscope.models.disks.network.scenes import HELD_OUT_SEED, drawing

    cases: dict[str, list[float]] = {}
    for case, scenes in {
        "all that is simulated, held-out crystals": drawing(HELD_OUT_SEED + 1, BROAD, crystals="held_out")(0),
        **wedges(),
    }.items():
        found = find(network, scenes)
        pairs, radius = match(found, scenes), scenes.radius.double().numpy()
        inside = np.abs(pairs.error) < errors_of(network, found, radius)[pairs.rows]
        share = float(inside.mean()) if inside.size else 0.0
        cases[case] = [round(value, 4) for value in (*score(found, scenes), share)]
    return {"columns": ["median_px", "rms_px", "p95_px", "recall", "precision", "coverage"], "cases": cases}


def wedges() -> "dict[str, Scenes]":
    """Si [110] at the thicknesses of the benchmark, tilts to 6 mrad, strains to 2 %, by name."""
    import torch

    from braggscope.models.disks.network.pool import Scenes
    from braggscope.models.disks.network.targets import Truth
    from braggscope.models.disks.simulation.scenes import THICKNESSES_NM, random_strains, wedge

    rng = np.random.default_rng(SEED)
    angle, size = rng.uniform(0, 2 * np.pi, TILTS), TILT_RAD * np.sqrt(rng.random(TILTS))
    tilts = size[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = {}
    for dose in DOSES:
        count = POSITIONS * len(THICKNESSES_NM)
        strains, thickness = random_strains(count, SEED), np.repeat(THICKNESSES_NM, POSITIONS)
        scene = wedge(strains, thickness, tilts[np.arange(count) % TILTS], dose, SEED)
        for first, nm in zip(range(0, count, POSITIONS), THICKNESSES_NM, strict=True):
            rows = slice(first, first + POSITIONS)
            patterns, xy = torch.from_numpy(scene.patterns[rows]), torch.from_numpy(scene.xy[rows])
            present = torch.from_numpy(scene.present[rows])
            inside = ((xy > -0.5) & (xy < patterns.shape[-1] - 0.5)).all(2)
            found[f"Si [110], {nm:g} nm, dose {dose:g}"] = Scenes(
                patterns, torch.ones(patterns.shape, dtype=torch.bool),
                torch.from_numpy(scene.probe[1:, 1:])[None].expand(POSITIONS, -1, -1),
                torch.full((POSITIONS,), scene.radius),
                Truth(xy, torch.ones(present.shape), present, inside & ~present),
            )  # fmt: skip
    return found


if __name__ == "__main__":
    print(json.dumps(ship(Path(sys.argv[1]), sys.argv[2])["accuracy"], indent=2))

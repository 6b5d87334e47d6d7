"""A simulated coherent pattern of a gold crystal as a NeXus file with its truth."""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Context, silent_context
from braggscope.app.files import atomic_path
from braggscope.app.folders import cache_folder
from braggscope.app.version import VERSION

_EDITION = 1  # of the simulation: demo files of another one are written anew


class Known(NamedTuple):
    """What somebody who measured the demo would know: (z, y, x) size of the object's voxels, and Q."""

    voxel_nm: tuple[float, float, float]
    q_inv_angstrom: tuple[float, float, float]


def ensure_demo_coherent(seed: int = 0, context: Context | None = None) -> tuple[Path, Known]:
    """The demo crystal and its geometry, written first if it is not there."""
    path = cache_folder() / f"gold-crystal-{_EDITION}-seed{seed}.h5"
    beside = path.with_suffix(".json")
    if not (path.exists() and beside.exists()):
        known = write_demo_coherent(path, seed, context)
        with atomic_path(beside) as temporary:
            temporary.write_text(json.dumps(known._asdict()), "utf-8")
    values = json.loads(beside.read_text("utf-8"))
    return path, Known(tuple(values["voxel_nm"]), tuple(values["q_inv_angstrom"]))


def write_demo_coherent(path: Path, seed: int = 0, context: Context | None = None) -> Known:
    """Simulate a strained gold crystal, 64 x 64 x 64 voxels, peak of 1e6 counts, and write its rocking curve.

    ``/entry/data/data`` (Z, Y, X) float32 counts; ``/truth``: object, support, displacement, strain, Q, voxel
    size, and the counts expected without noise. The file appears under its name when complete.
    """
    import h5py  # late: the window starts without it

    from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure

    context = silent_context() if context is None else context
    spec = CoherentSpec(seed=seed)
    context.progress(0, 3, "crystal")
    crystal = grow(spec)
    context.progress(1, 3, "pattern")
    pattern = measure(crystal, spec)
    context.progress(2, 3, "writing")
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(default="entry", creator="braggscope", creator_version=VERSION)
        entry = _group(file, "entry", "NXentry", default="data")
        entry["title"] = "Simulated coherent pattern of a gold crystal, 111 reflection"
        data = _group(entry, "data", "NXdata", signal="data", axes=["frame", "row", "column"])
        _volume(data, "data", pattern.counts, "counts", "rocking curve: frames, rows, columns")
        for axis, name in enumerate(("frame", "row", "column")):
            data[name] = np.arange(spec.shape[axis])
        process = _group(entry, "process", "NXprocess")
        process["program"], process["version"] = "braggscope", VERSION
        process["parameters"] = json.dumps(dataclasses.asdict(spec))
        process["note"] = "simulated data: shape, strain and noise are drawn from the seed"
        truth = _group(file, "truth", "NXcollection")
        _volume(truth, "object", crystal.obj, "", "share of the voxel inside x exp(-i Q . u)")
        _volume(truth, "support", crystal.support.astype(np.uint8), "", "1 = inside the crystal")
        _volume(
            truth,
            "displacement",
            crystal.displacement_angstrom,
            "angstrom",
            "along Q, without its mean gradient",
        )
        _volume(truth, "strain", crystal.strain, "", "along Q, tension positive, around its mean")
        _volume(truth, "expected", pattern.expected, "counts", "without noise")
        truth["q"], truth["voxel_size"] = crystal.q_inv_angstrom, crystal.voxel_nm
        truth["q"].attrs["units"], truth["voxel_size"].attrs["units"] = "1/angstrom", "nm"
    context.progress(3, 3)
    return Known(tuple(crystal.voxel_nm.tolist()), tuple(crystal.q_inv_angstrom.tolist()))


def _group(parent: Any, name: str, nexus: str, **attributes: Any) -> Any:
    group = parent.create_group(name)
    group.attrs.update(NX_class=nexus, **attributes)
    return group


def _volume(parent: Any, name: str, values: NDArray, units: str, meaning: str) -> None:
    data = parent.create_dataset(
        name, data=values, chunks=(1, *values.shape[1:]), compression="gzip", shuffle=True
    )
    data.attrs.update(units=units, long_name=meaning)

"""A simulated 4D-STEM scan of a strained multilayer, and of a wedge, as a NeXus file with its truth."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Context, silent_context
from braggscope.app.files import atomic_path
from braggscope.app.version import VERSION

if TYPE_CHECKING:
    from braggscope.models.disks.simulation.crystals import Crystal
    from braggscope.models.disks.simulation.scenes import Scene

Floats = NDArray[np.float64]
LAYERS_SHAPE, WEDGE_SHAPE = (24, 64), (12, 32)  # scan rows, columns
SIZE, RADIUS = 128, 6.0  # px of a pattern, of a disk
LAYERS_DOSE, WEDGE_DOSE, MODULATION = 1e5, 5e5, 0.5
STEP_NM = 2.0
_STRAIN = ("exx", "eyy", "exy", "theta")


def write_demo_strain(
    path: Path, seed: int = 0, context: Context | None = None, cif: Path | None = None,
    axis: tuple[int, int, int] = (1, 1, 0),
) -> None:  # fmt: skip
    """Simulate a Si/SiGe multilayer, single scattering, and a bent wedge, multiple scattering.

    The wedge is Si [110], or ``axis`` of the crystal in ``cif``.

    ``/entry/data/data`` and ``/wedge/data/data`` (rows, columns, 128, 128) uint16 counts; beside them
    ``probe/data`` (128, 128) float32: probe in vacuum, sum 1, centred on pixel (64, 64). ``/truth`` and
    ``/truth/wedge``: maps exx eyy exy theta (rows, columns) float32 in pattern axes (x = column, y = row,
    tension positive, theta in rad from x towards y), ``lattice`` (rows, columns, 6): x0 y0 ax ay bx by px,
    ``reference`` (6,) of the undeformed crystal, ``probe``; of the wedge also thickness_nm and tilt (rad).
    The multilayer grows along the columns; the first 8 are undeformed silicon. The file appears under its
    name when complete; on errors or cancellation never.
    """
    import h5py  # late: the window starts without it

    from braggscope.app.sources.cells import read_cell
    from braggscope.models.disks.simulation.crystals import crystal_of
    from braggscope.models.disks.simulation.scenes import SILICON

    context = silent_context() if context is None else context
    substance = SILICON if cif is None else crystal_of(read_cell(cif))
    layers, foil, tilt = _simulate(seed, substance, axis, context)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(default="entry", creator="braggscope", creator_version=VERSION)
        title = "Simulated 4D-STEM scan of a strained Si/SiGe multilayer, single scattering"
        _scan(file, "entry", title, layers, LAYERS_SHAPE, seed)
        zone = " ".join(str(index) for index in axis)
        title = f"Simulated 4D-STEM scan of a bent {substance.name} [{zone}] wedge, multiple scattering"
        _scan(file, "wedge", title, foil, WEDGE_SHAPE, seed)
        truth = _truth(file, "truth", layers, LAYERS_SHAPE)
        inner = _truth(truth, "wedge", foil, WEDGE_SHAPE)
        inner["thickness_nm"] = foil.thickness_nm.reshape(WEDGE_SHAPE).astype(np.float32)
        inner["tilt"] = tilt.reshape(*WEDGE_SHAPE, 2).astype(np.float32)
        inner["tilt"].attrs["units"] = "rad"


def _simulate(
    seed: int, substance: "Crystal", axis: tuple[int, int, int], context: Context
) -> tuple["Scene", "Scene", Floats]:
    """(multilayer, wedge, tilts of the wedge)."""
    from braggscope.models.disks.simulation.scenes import multilayer, wedge

    count, others = (rows * columns for rows, columns in (LAYERS_SHAPE, WEDGE_SHAPE))
    total = count + others

    def tick(done: int, _: int) -> None:
        context.progress(done, total, "multilayer")

    def tick_wedge(done: int, _: int) -> None:
        context.progress(count + done, total, "wedge")

    layers = multilayer(layer_strain(seed).reshape(-1, 4), MODULATION, LAYERS_DOSE, seed, SIZE, RADIUS, tick)
    strain, thickness_nm, tilt = (one.reshape(others, *one.shape[2:]) for one in wedge_course())
    foil = wedge(strain, thickness_nm, tilt, WEDGE_DOSE, seed, SIZE, RADIUS, substance, axis, tick=tick_wedge)
    context.progress(total, total, "writing")
    return layers, foil, tilt


def layer_strain(seed: int) -> Floats:
    """(24, 64, 4) exx eyy exy theta: three SiGe layers on silicon, relaxed towards the first row."""
    rng = np.random.default_rng([seed, 3])
    rows, columns = np.meshgrid(np.arange(LAYERS_SHAPE[0]), np.arange(LAYERS_SHAPE[1]), indexing="ij")
    layers = np.zeros(LAYERS_SHAPE)
    slope = np.zeros(LAYERS_SHAPE)
    for start, width in ((14, 10), (32, 10), (48, 12)):
        height, first = rng.uniform(0.008, 0.02), start + rng.uniform(-1.5, 1.5)
        layers += height * 0.5 * (np.tanh(columns - first) - np.tanh(columns - first - width))
        slope += height * 0.5 * (np.cosh(columns - first) ** -2.0 - np.cosh(columns - first - width) ** -2.0)
    surface = np.exp(-rows / rng.uniform(4, 7))
    eyy = 0.35 * layers * surface
    exy = 0.3 * slope * surface
    beyond = np.clip(columns - 10, 0, None) / (LAYERS_SHAPE[1] - 10)
    theta = 0.4 * slope * surface + 0.003 * np.sin(np.pi * beyond)  # the specimen is bent
    return np.stack([layers * (1 - 0.25 * surface), eyy, exy, theta], axis=-1)


def wedge_course() -> tuple[Floats, Floats, Floats]:
    """Strain (12, 32, 4), thickness (12, 32) nm rising along columns, tilt (12, 32, 2) rad along rows."""
    rows, columns = (np.linspace(0, 1, n) for n in WEDGE_SHAPE)
    down, along = np.meshgrid(rows, columns, indexing="ij")
    exx = 0.02 * np.sin(2 * np.pi * along * 1.5)
    eyy = 0.02 * (down - 0.5)
    exy = 0.005 * np.sin(2 * np.pi * (along + down))
    strain = np.stack([exx, eyy, exy, 0.01 * (along - 0.5)], axis=-1)
    tilt = np.stack([6e-3 * (2 * down - 1), 3e-3 * np.sin(np.pi * down)], axis=-1)
    return strain, 4 + 106 * along, tilt * 0.9


def _scan(file: Any, name: str, title: str, scene: "Scene", shape: tuple[int, int], seed: int) -> None:
    from braggscope.models.disks.simulation.scenes import VOLTAGE_KV

    entry = _group(file, name, "NXentry", default="data")
    entry["title"] = title
    axes = ["scan_row", "scan_column", "row", "column"]
    data = _group(entry, "data", "NXdata", signal="data", axes=axes)
    counts = np.minimum(scene.patterns, np.iinfo(np.uint16).max).astype(np.uint16)
    signal = data.create_dataset(
        "data", data=counts.reshape(*shape, SIZE, SIZE), chunks=(1, 4, SIZE, SIZE),
        compression="gzip", compression_opts=1, shuffle=True,
    )  # fmt: skip
    signal.attrs.update(units="counts", long_name="pattern of every scan position")
    data.attrs.update(voltage_kV=VOLTAGE_KV, scan_step_nm=STEP_NM, pixel_inv_angstrom=scene.per_px)
    for axis, length in zip(axes, (*shape, SIZE, SIZE), strict=True):
        data[axis] = np.arange(length)
    probe = _group(entry, "probe", "NXdata", signal="data")
    probe["data"] = scene.probe
    probe["data"].attrs["long_name"] = "probe in vacuum, sum 1"
    process = _group(entry, "process", "NXprocess")
    process["program"], process["version"] = "braggscope", VERSION
    process["parameters"] = json.dumps({"seed": seed, "radius": RADIUS, "size": SIZE})
    process["note"] = "simulated data: intensities and noise are drawn from the seed"


def _truth(parent: Any, name: str, scene: "Scene", shape: tuple[int, int]) -> Any:
    truth = _group(parent, name, "NXcollection")
    for column, strain in enumerate(_STRAIN):
        truth[strain] = scene.strain[:, column].reshape(shape).astype(np.float32)
        truth[strain].attrs["units"] = "rad" if strain == "theta" else ""
    truth["lattice"] = scene.lattice.reshape(*shape, 6)
    truth["reference"] = scene.reference
    truth["lattice"].attrs.update(units="pixel", long_name="x0 y0 ax ay bx by")
    truth["probe"] = scene.probe
    truth["probe"].attrs["radius"] = scene.radius
    return truth


def _group(parent: Any, name: str, nexus: str, **attributes: Any) -> Any:
    group = parent.create_group(name)
    group.attrs.update(NX_class=nexus, **attributes)
    return group

"""Strain maps on disk: NeXus HDF5, CSV of one row per position, TIFF of one file per map; and back."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.engine.strain_key import weights_record
from braggscope.app.engine.strain_result import StrainResult
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import ExportError, check_folder, write_csv
from braggscope.app.files import atomic_path, check_room
from braggscope.models.disks.results import Disks, Lattice, LatticeMap, Probe, StrainMap

SUFFIXES = (".h5", ".csv", ".tif")
MAPS = {
    "exx": "strain along x, tension positive",
    "eyy": "strain along y, tension positive",
    "exy": "shear strain",
    "theta": "angle of rotation from +x towards +y",
}
CONVENTION = (
    "Biot strain U - I of F = R U, F = (G G0^-1)^-T with reciprocal vectors as columns, G0 of the reference;"
    " tension positive; x along the columns, y along the rows of the pattern unless frame (rad) turns them;"
    " theta: angle of R from +x towards +y; NaN outside valid; *_err: 1 sigma"
)
_DISKS = {
    "pattern": "position in the scan, row by row", "x": "px of the pattern", "y": "px of the pattern",
    "x_err": "1 sigma / px", "y_err": "1 sigma / px", "intensity": "counts above the surroundings",
    "score": "height of the correlation, or visibility",
}  # fmt: skip
_LATTICE = ("x0", "y0", "ax", "ay", "bx", "by")


@dataclass(frozen=True, slots=True)
class StoredStrain:
    """What :func:`read_strain` finds in a file. ``images``: virtual images by name, (rows, columns)."""

    strain: StrainMap
    lattices: LatticeMap
    disks: Disks
    probe: Probe
    images: dict[str, NDArray[np.float32]]
    provenance: dict[str, Any]


def output_paths(path: Path) -> tuple[Path, ...]:
    """Every file that :func:`write_strain` writes for ``path``. Raises ExportError for unknown suffixes."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ExportError(
            f"{path.name} has no known suffix for strain maps; use one of {', '.join(SUFFIXES)}."
        )
    check_folder(path)
    if suffix == ".h5":
        return (path,)
    beside = path.with_name(path.name + ".json")
    if suffix == ".csv":
        return path, beside
    names = [name for k in MAPS for name in (k, f"{k}_err")]
    return *(path.with_name(f"{path.stem}_{name}{path.suffix}") for name in names), beside


def write_strain(
    path: Path, result: StrainResult, provenance: Provenance, context: Context = UNWATCHED
) -> tuple[Path, ...]:
    """Write; the suffix decides the format. Returns the files written; none appears before all are whole.

    ``.h5``: everything. ``.csv``: a row per position. ``.tif``: float32 ``OUT_exx.tif`` and so on, with
    errors; the last two with their provenance as ``OUT.json`` beside. Raises ExportError, DiskFullError,
    Cancelled.
    """
    paths = output_paths(path)
    writer: dict[str, Callable[..., None]] = {".h5": _hdf5, ".csv": _csv, ".tif": _tiff}
    check_room(path, 64 * len(result.disks) + 600 * result.strain.valid.size)
    with ExitStack() as stack:
        temporary = [stack.enter_context(atomic_path(final, context.commit)) for final in paths]
        writer[path.suffix.lower()](result, provenance, context, *temporary)
    return paths


def provenance_of(result: StrainResult, device: str = "cpu") -> Provenance:
    """Where a result comes from. Raises WeightsError."""
    info, (name, sha) = result.scan.info, weights_record(result.parameters)
    rows, columns = result.scan.scan_shape
    return Provenance(
        info.location, info.identity, result.parameters, name, sha, device, f"{rows} x {columns}", info.parts
    )


def _hdf5(result: StrainResult, provenance: Provenance, context: Context, path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = _group(file, "entry", "NXentry", default="strain", convention=CONVENTION)
        _process(entry, provenance)
        _maps(entry, result, context)
        _lattices(entry, result, context)
        _images(entry, result, context)
        _probe(entry, result, context)
        disks = _group(entry, "disks", "NXcollection", convention="pixel centres are integers; x = column")
        for name, meaning in _DISKS.items():
            _dataset(context, disks, name, getattr(result.disks, name), long_name=meaning)


def _process(entry: Any, provenance: Provenance) -> None:
    process = _group(entry, "process", "NXprocess")
    values = provenance.as_dict()
    process["program"], process["version"] = "Braggscope", str(values["version"])
    process["date"], process["source"] = str(values["written"]), provenance.source
    process["parameters"] = provenance.parameters.model_dump_json()
    process["weights_sha256"] = provenance.weights_sha256
    process["provenance"] = provenance.json()


def _maps(entry: Any, result: StrainResult, context: Context) -> None:
    strain = result.strain
    group = _scan_group(entry, "strain", "exx", result)
    names = [name for k in MAPS for name in (k, f"{k}_err")]
    group.attrs["auxiliary_signals"] = [*names[1:], "valid"]
    for name in names:
        unit = "rad" if name.startswith("theta") else ""
        meaning = MAPS[name.removesuffix("_err")] + (", 1 sigma" if name.endswith("_err") else "")
        _dataset(
            context, group, name, getattr(strain, name).astype(np.float32), units=unit, long_name=meaning
        )
    _dataset(context, group, "valid", strain.valid.astype(np.float32), units="", long_name="1 = measured")
    reference = strain.reference
    group.attrs.update(
        frame=strain.frame, frame_units="rad", convention=CONVENTION,
        reference_a=reference.a, reference_b=reference.b, reference_units="px",
    )  # fmt: skip


def _lattices(entry: Any, result: StrainResult, context: Context) -> None:
    group = _scan_group(entry, "lattice", "residual", result)
    found, scan = result.lattices, result.strain.valid.shape
    for k, name in enumerate(_LATTICE):
        _dataset(context, group, name, found.values[:, k].reshape(scan), units="px")
    _dataset(
        context, group, "covariance", found.covariance.reshape(*scan, 6, 6), units="px^2", long_name="x0 … by"
    )
    _dataset(
        context, group, "residual", found.residual.reshape(scan), units="px", long_name="rms of the disks"
    )
    _dataset(context, group, "count", found.count.reshape(scan), units="", long_name="disks used")
    _dataset(
        context, group, "valid", found.valid.reshape(scan).astype(np.uint8), units="", long_name="1 = fitted"
    )
    start = result.lattice
    group.attrs.update(indexed_by_origin=start.origin, indexed_by_a=start.a, indexed_by_b=start.b)
    size = result.parameters.strain.pixel_inv_angstrom
    if size is not None:
        group.attrs["pixel_inv_angstrom"] = size


def _images(entry: Any, result: StrainResult, context: Context) -> None:
    first = next(iter(result.images), "")
    if not first:
        return
    group = _scan_group(entry, "virtual_images", first, result)
    group.attrs["auxiliary_signals"] = list(result.images)[1:]
    for name, values in result.images.items():
        _dataset(context, group, name, values.astype(np.float32), units="counts")


def _probe(entry: Any, result: StrainResult, context: Context) -> None:
    probe = result.probe
    group = _group(entry, "probe", "NXdata", signal="image", axes=["y", "x"], source=probe.source)
    _dataset(context, group, "image", probe.image, units="", long_name="probe, sum 1")
    for name, length in zip("yx", probe.image.shape, strict=True):
        group[name] = np.arange(length) - length // 2
        group[name].attrs["units"] = "px"
    group["image"].attrs.update(radius_px=probe.radius, edge_px=probe.edge, centre_px=probe.centre)


def _scan_group(entry: Any, name: str, signal: str, result: StrainResult) -> Any:
    group = _group(entry, name, "NXdata", signal=signal, axes=["scan_y", "scan_x"])
    step = result.scan_step_nm
    for axis, length in zip(("scan_y", "scan_x"), result.strain.valid.shape, strict=True):
        group[axis] = np.arange(length) * (1.0 if step is None else step)
        group[axis].attrs["units"] = "position" if step is None else "nm"
    return group


def _group(parent: Any, name: str, nexus: str, **attributes: Any) -> Any:
    group = parent.create_group(name)
    group.attrs.update(NX_class=nexus, **attributes)
    return group


def _dataset(context: Context, parent: Any, name: str, values: NDArray, **attributes: Any) -> None:
    context.check()
    options = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if values.size else {}
    parent.create_dataset(name, data=values, **options).attrs.update(attributes)


def rows(result: StrainResult) -> dict[str, NDArray]:
    """Columns of the table of one row per position, row by row of the scan."""
    strain = result.strain
    row, column = np.indices(strain.valid.shape).reshape(2, -1)
    table: dict[str, NDArray] = {"row": row, "column": column}
    if result.scan_step_nm is not None:
        table |= {"x_nm": column * result.scan_step_nm, "y_nm": row * result.scan_step_nm}
    for name in (name for k in MAPS for name in (k, f"{k}_err")):
        table[name] = getattr(strain, name).ravel().astype(np.float64)
    table["valid"] = strain.valid.ravel().astype(np.int64)
    table |= {name: result.lattices.values[:, k] for k, name in enumerate(_LATTICE)}
    table |= {"residual": result.lattices.residual, "disks": result.lattices.count}
    return table | {name: image.ravel() for name, image in result.images.items()}


def _csv(result: StrainResult, provenance: Provenance, context: Context, path: Path, beside: Path) -> None:
    write_csv(path, rows(result), context)
    beside.write_text(_described(provenance), "utf-8")


def _tiff(result: StrainResult, provenance: Provenance, context: Context, *paths: Path) -> None:
    import tifffile

    names = [name for k in MAPS for name in (k, f"{k}_err")]
    for name, path in zip(names, paths[:-1], strict=True):
        context.check()
        unit = " / rad" if name.startswith("theta") else ""
        text = f"{name}{unit}: {MAPS[name.removesuffix('_err')]}".encode("ascii", "replace").decode()
        values = getattr(result.strain, name).astype(np.float32)
        tifffile.imwrite(path, values, photometric="minisblack", description=text, metadata=None)
    paths[-1].write_text(_described(provenance), "utf-8")


def _described(provenance: Provenance) -> str:
    return json.dumps(provenance.as_dict() | {"strain": CONVENTION}, indent=1)


def read_strain(path: Path) -> StoredStrain:
    """Read back what :func:`write_strain` wrote as HDF5. Raises ExportError."""
    import h5py

    from braggscope.app.sources.hdf5_checks import refuse_raw_storage

    if not path.is_file():
        raise ExportError(f"There is no file {path}; check its name.")
    try:
        with h5py.File(path, "r") as file:
            refuse_raw_storage(file)
            return _read(file["entry"])
    except (KeyError, OSError, ValueError) as error:
        raise ExportError(
            f"{path.name} is no strain file; choose one that Braggscope wrote (braggscope strain, or Export)."
        ) from error


def _read(entry: Any) -> StoredStrain:
    def pair(group: Any, name: str) -> tuple[float, float]:
        x, y = group.attrs[name]
        return float(x), float(y)

    maps, lattice, image = entry["strain"], entry["lattice"], entry["probe/image"]
    reference = Lattice((0.0, 0.0), pair(maps, "reference_a"), pair(maps, "reference_b"))
    values = {name: maps[name][()] for k in MAPS for name in (k, f"{k}_err")}
    strain = StrainMap(
        **values, valid=maps["valid"][()] > 0, reference=reference, frame=float(maps.attrs["frame"])
    )
    lattices = LatticeMap(
        np.stack([lattice[name][()].ravel() for name in _LATTICE], axis=1),
        lattice["covariance"][()].reshape(-1, 6, 6), lattice["residual"][()].ravel(),
        lattice["count"][()].ravel(), lattice["valid"][()].ravel() > 0,
    )  # fmt: skip
    disks = Disks(*(entry["disks"][name][()] for name in _DISKS))
    probe = Probe(
        image[()], float(image.attrs["radius_px"]), float(image.attrs["edge_px"]),
        pair(image, "centre_px"), str(entry["probe"].attrs["source"]),
    )  # fmt: skip
    virtual = entry.get("virtual_images", {})
    images = {name: virtual[name][()] for name in virtual if name not in ("scan_x", "scan_y")}
    return StoredStrain(strain, lattices, disks, probe, images, json.loads(entry["process/provenance"][()]))

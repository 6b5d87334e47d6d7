"""Reconstructions on disk: NeXus HDF5, and the same with the links that readers of CXI look for."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.cdi import Phased
from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import ExportError, check_folder
from braggscope.app.files import atomic_path, check_room
from braggscope.models.cdi.after import TWIN_RULE
from braggscope.models.cdi.geometry import Frame
from braggscope.models.cdi.metrics import agreement

SUFFIXES = (".h5", ".nxs", ".cxi")
CONVENTION = (
    "axes (z, y, x) = (frame, row, column); |fftshift(fftn(ifftshift(object), norm='ortho'))| is proportional"
    " to the square root of /entry/data/data; a crystal displaced by u has the phase -Q . u"
)


def check_phasing_path(path: Path) -> None:
    """Raise ExportError unless the suffix names a format and the folder is there."""
    if path.suffix.lower() not in SUFFIXES:
        raise ExportError(
            f"{path.name} has no known suffix for a reconstruction; use one of {', '.join(SUFFIXES)}."
        )
    check_folder(path)


def write_phasing(path: Path, result: Phased, provenance: Provenance, context: Context = UNWATCHED) -> None:
    """Write a reconstruction; nothing half-written ever stands under the final name.

    ``/entry/object`` as phased, ``/entry/support``, ``/entry/data`` the prepared intensity and mask,
    ``/entry/refined`` what the refinement with coherence and background made of it, ``/entry/image``
    (default) the same in order: centred, twin chosen, without ramp; ``/entry/displacement`` and
    ``/entry/strain`` where voxel size and Q are known; ``/entry/laboratory`` and ``/entry/crystal`` all of it
    on cubes in these frames where the angles are known.
    Raises ExportError, DiskFullError, Cancelled.
    """
    import h5py

    check_phasing_path(path)
    check_room(path, 64 * result.pattern.amplitude.size)
    with atomic_path(path, context.commit) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["default"] = "entry"
        entry = _group(file, "entry", "NXentry", default="image", convention=CONVENTION)
        _process(entry, provenance)
        _data(entry, result, context)
        _object(entry, result, context)
        _refined(entry, result, context)
        _image(entry, result, context)
        _runs(entry, result, context)
        if result.parameters.geometry is not None:
            for frame in ("laboratory", "crystal"):
                _frame(entry, result, frame, context)
        if path.suffix.lower() == ".cxi":
            _cxi(file)


def _data(entry: Any, result: Phased, context: Context) -> None:
    pattern = result.pattern
    data = _group(entry, "data", "NXdata", signal="data")
    _volume(context, data, "data", pattern.amplitude**2, units="counts", long_name="prepared intensity")
    _volume(context, data, "mask", pattern.mask.astype(np.uint8), long_name="1 = not measured")
    data.attrs["axes"] = [f"{name}_index" for name in "zyx"]
    for axis, name in enumerate("zyx"):
        length = pattern.amplitude.shape[axis]
        data[f"{name}_index"] = np.arange(length) - length // 2
        data[f"{name}_index"].attrs["units"] = "voxel"
    data.attrs["oversampling"] = pattern.oversampling
    data.attrs["notes"] = " ".join(pattern.notes)


def _object(entry: Any, result: Phased, context: Context) -> None:
    best, refined = result.outcome.best, result.outcome.refined
    fit = agreement(best.obj, result.pattern.amplitude, result.pattern.mask)
    stored = _volume(context, entry, "object", best.obj, long_name="object as phased", units="")
    stored.attrs.update(chi=fit.chi, R=fit.R, free_log_likelihood=best.free)
    stored.attrs["support_sigma"], stored.attrs["support_threshold"] = (
        best.settings.sigma,
        best.settings.threshold,
    )
    if refined is not None:
        stored.attrs.update(chi_model=refined.agreement.chi, R_model=refined.agreement.R)
        stored.attrs["model"] = "/entry/refined: this object refined with coherence and background"
    _voxels(stored, result)
    _volume(context, entry, "support", best.support.astype(np.uint8), long_name="1 = inside the object")


def _refined(entry: Any, result: Phased, context: Context) -> None:
    refined = result.outcome.refined
    if refined is None:
        return
    group = _group(entry, "refined", "NXcollection")
    stored = _volume(
        context, group, "object", refined.obj, long_name="object behind partial coherence and background"
    )
    stored.attrs.update(chi=refined.coherent.chi, R=refined.coherent.R)
    stored.attrs.update(chi_model=refined.agreement.chi, R_model=refined.agreement.R)
    _voxels(stored, result)
    _volume(context, group, "support", refined.support.astype(np.uint8), long_name="1 = inside the object")
    group["coherence_width"] = refined.learned.coherence.width
    group["coherence_width"].attrs.update(units="voxel", long_name="standard deviation of the blur (z, y, x)")
    group["coherence_eta"] = refined.learned.coherence.eta
    group["background"] = refined.learned.background
    group["background"].attrs["units"] = "counts"


def _image(entry: Any, result: Phased, context: Context) -> None:
    image, shape = _group(entry, "image", "NXdata", signal="modulus"), result.shape
    _volume(context, image, "modulus", np.abs(shape.obj), long_name="modulus of the object")
    _volume(context, image, "phase", shape.phase, units="rad", long_name="unwrapped, without ramp")
    _volume(context, image, "inside", shape.support.astype(np.uint8), long_name="1 = inside the object")
    image.attrs["axes"] = list("zyx")
    voxel = (1.0, 1.0, 1.0) if result.voxel_nm is None else result.voxel_nm
    for axis, name in enumerate("zyx"):
        length = shape.phase.shape[axis]
        image[name] = (np.arange(length) - length // 2) * voxel[axis]
        image[name].attrs["units"] = "voxel" if result.voxel_nm is None else "nm"
    image.attrs.update(twin_taken=shape.twin, twin_rule=TWIN_RULE, shift=shape.shift)
    image.attrs["source"] = "/entry/object" if result.outcome.refined is None else "/entry/refined/object"
    if result.strain is not None:
        moved, surface = result.strain.displacement_angstrom, result.strain.surface.astype(np.uint8)
        _volume(context, entry, "displacement", moved, units="angstrom", long_name="along Q")
        _volume(
            context, entry, "strain", result.strain.strain, units="", long_name="along Q, tension positive"
        )
        _volume(context, entry, "surface", surface, long_name="1 = one-sided differences only")
        for name in ("displacement", "strain", "surface"):
            image[name] = entry[name]


def _runs(entry: Any, result: Phased, context: Context) -> None:
    runs = result.outcome.runs
    group = _group(entry, "runs", "NXcollection")
    group["start"], group["method"] = [run.start for run in runs], [run.method for run in runs]
    group["chi"], group["R"] = [run.agreement.chi for run in runs], [run.agreement.R for run in runs]
    group["free_log_likelihood"] = [run.free for run in runs]
    if result.spread is None or result.transfer is None:
        return
    spread, over = result.spread, f"standard deviation over {result.spread.members} of {len(runs)} runs"
    _volume(context, group, "mode", spread.mode, long_name="first mode of the runs that agree with the best")
    group["mode"].attrs.update(weight=spread.weight, runs=spread.members)
    _volume(context, group, "modulus_spread", spread.modulus_spread, long_name=over)
    _volume(context, group, "phase_spread", spread.phase_spread, units="rad", long_name=over)
    curve = _group(entry, "prtf", "NXdata", signal="prtf", axes=["frequency"])
    curve["prtf"], curve["frequency"] = result.transfer.prtf, result.transfer.frequency
    curve["frequency"].attrs["units"] = "1/voxel"
    curve.attrs.update(resolution_voxels=result.transfer.resolution, reaches_1_e=result.transfer.reached)


def _frame(entry: Any, result: Phased, frame: Frame, context: Context) -> None:
    """The image, displacement and strain on the orthogonal grid of a frame."""
    from braggscope.app.engine.coherent_views import particle_of

    particle = particle_of(*result.outcome.final, result.parameters, frame, result.shape)
    group = _group(entry, frame, "NXdata", signal="modulus", axes=list("zyx"))
    _volume(context, group, "modulus", particle.modulus, long_name="modulus of the object")
    _volume(context, group, "phase", particle.phase, units="rad", long_name="unwrapped, without ramp")
    _volume(context, group, "inside", particle.support.astype(np.uint8), long_name="1 = inside the object")
    if particle.strain is not None:
        displacement, strain = particle.strain.displacement_angstrom, particle.strain.strain
        _volume(context, group, "displacement", displacement, units="angstrom", long_name="along Q")
        _volume(context, group, "strain", strain, units="", long_name="along Q, tension positive")
    for axis, name in enumerate("zyx"):
        length = particle.modulus.shape[axis]
        group[name] = (np.arange(length) - length // 2) * particle.spacing[axis]
        group[name].attrs["units"] = "nm"
    group.attrs["q"], group.attrs["q_units"] = particle.q_inv_angstrom, "1/angstrom"


def _process(entry: Any, provenance: Provenance) -> None:
    process = _group(entry, "process", "NXprocess")
    values = provenance.as_dict()
    process["program"], process["version"] = "Braggscope", str(values["version"])
    process["date"], process["source"] = str(values["written"]), provenance.source
    process["parameters"] = provenance.parameters.phasing.model_dump_json()
    process["weights_sha256"] = provenance.weights_sha256
    process["provenance"] = provenance.json()


def _cxi(file: Any) -> None:
    import h5py

    file["cxi_version"] = 160
    image = file.create_group("entry_1/image_1")
    image["data"], image["mask"] = h5py.SoftLink("/entry/object"), h5py.SoftLink("/entry/data/mask")
    image["support"], image["data_space"] = h5py.SoftLink("/entry/support"), "real"
    image["data_type"], image["is_fft_shifted"] = "electron density", 0
    file["entry_1/data_1"] = h5py.SoftLink("/entry_1/image_1")


def _group(parent: Any, name: str, nexus: str, **attributes: Any) -> Any:
    group = parent.create_group(name)
    group.attrs.update(NX_class=nexus, **attributes)
    return group


def _volume(context: Context, parent: Any, name: str, values: NDArray, **attributes: Any) -> Any:
    data = parent.create_dataset(
        name, values.shape, values.dtype, chunks=(1, *values.shape[1:]), compression="gzip", shuffle=True
    )
    for k, plane in enumerate(values):
        context.check()
        data[k] = plane
    data.attrs.update(attributes)
    return data


def _voxels(stored: Any, result: Phased) -> None:
    if result.voxel_nm is not None:
        stored.attrs["voxel_size"], stored.attrs["voxel_size_units"] = result.voxel_nm, "nm"
    if result.parameters.q_inv_angstrom is not None:
        stored.attrs["q"], stored.attrs["q_units"] = result.parameters.q_inv_angstrom, "1/angstrom"

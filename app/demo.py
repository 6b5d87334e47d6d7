"""The demo series as a NeXus file with its truth, written on first use."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from braggscope.app.engine.jobs import Context, silent_context
from braggscope.app.files import atomic_path
from braggscope.app.folders import cache_folder
from braggscope.app.version import VERSION
from braggscope.models.peaks.simulate import Series, SeriesSpec

if TYPE_CHECKING:
    import h5py

_EDITION = 1  # raise it when the simulation changes, so that old files in the cache are not taken for new
_CHUNK = 16  # frames made at a time
_UNITS = {
    "x": "pixel", "y": "pixel", "sigma_major": "pixel", "sigma_minor": "pixel", "angle": "rad",
    "amplitude": "counts", "background": "counts", "strain": "",
}  # fmt: skip
_MEANING = {
    "x": "column of the centre, centre of the first pixel = 0",
    "y": "row of the centre, downwards, centre of the first pixel = 0",
    "angle": "long axis, from +x towards +y, in (-pi/2, pi/2]",
    "parent": "grain from which this one splits, -1 if none",
    "strain": "(d - d0) / d0",
    "visible": "centre on good pixels and amplitude at least 5 sqrt(background)",
    "resolved": "visible, and no brighter visible peak within 2.5 sigma",
}


def demo_path(seed: int = 0) -> Path:
    """Where the demo series of a seed is kept, whether it exists or not."""
    return cache_folder() / f"operando-series-{_EDITION}-seed{seed}.h5"


def ensure_demo_series(seed: int = 0, context: Context | None = None) -> Path:
    """Path of the demo series, written first if it is not there."""
    path = demo_path(seed)
    if not path.exists():
        write_demo_series(path, seed, context=context)
    return path


def write_demo_series(
    path: str | Path, seed: int = 0, spec: SeriesSpec | None = None, context: Context | None = None
) -> None:
    """Simulate a series and write it as NeXus HDF5; ``spec`` overrides ``seed``.

    ``/entry/data/data`` (F, H, W) uint16, one bitshuffle-LZ4 chunk a frame; ``/truth`` what is in it.
    Progress counts frames. The file appears under its name when complete; on errors or cancellation never.
    """
    import h5py  # late: the window starts without it
    import hdf5plugin

    spec = SeriesSpec(seed=seed) if spec is None else spec
    context = silent_context() if context is None else context
    series = Series(spec)
    with atomic_path(Path(path)) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(default="entry", creator="braggscope", creator_version=VERSION)
        entry = _group(file, "entry", "NXentry", default="data")
        _text(entry, "title", "Simulated operando series: battery cathode grains during one charge")
        frames = _instrument(entry, series).create_dataset(
            "data", (spec.frames, *spec.shape), np.uint16, chunks=(1, *spec.shape),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )  # fmt: skip
        frames.attrs["units"] = "counts"
        _data(entry, series, frames)
        _process(entry, spec)
        _truth(file, series)
        for start, chunk in series.chunks(_CHUNK):
            context.progress(start, spec.frames)
            frames[start : start + len(chunk)] = chunk
        context.progress(spec.frames, spec.frames)


def _instrument(entry: "h5py.Group", series: Series) -> "h5py.Group":
    spec = series.spec
    instrument = _group(entry, "instrument", "NXinstrument")
    _text(instrument, "name", "simulation")
    beam = _group(instrument, "beam", "NXbeam")
    _number(beam, "incident_energy", spec.energy_keV, "keV")
    _number(beam, "incident_wavelength", spec.wavelength_angstrom, "angstrom")
    detector = _group(instrument, "detector", "NXdetector")
    _text(detector, "description", "simulated counting detector, pixels binned 2 x 2")
    for name, value, unit in (
        ("distance", spec.distance_m, "m"),
        ("x_pixel_size", spec.pixel_size_m, "m"),
        ("y_pixel_size", spec.pixel_size_m, "m"),
        ("beam_center_x", spec.centre_px[0], "pixel"),
        ("beam_center_y", spec.centre_px[1], "pixel"),
        ("count_time", spec.exposure_s, "s"),
        ("frame_time", spec.period_s, "s"),
    ):
        _number(detector, name, value, unit)
    for axis in "xy":
        detector[f"beam_center_{axis}"].attrs["convention"] = "centre of the first pixel = 0"
    detector["pixel_mask"] = series.pixel_mask
    sample = _group(entry, "sample", "NXsample")
    _text(sample, "name", "layered oxide cathode, simulated")
    return detector


def _data(entry: "h5py.Group", series: Series, frames: "h5py.Dataset") -> None:
    data = _group(entry, "data", "NXdata", signal="data", time_s_indices=0, voltage_V_indices=0)
    data.attrs["axes"] = ["time_s", ".", "."]
    data["data"] = frames
    for name, values in (("time_s", series.time_s), ("voltage_V", series.voltage_V)):
        data[name] = values
        data[name].attrs["units"] = name.rpartition("_")[2]


def _process(entry: "h5py.Group", spec: SeriesSpec) -> None:
    process = _group(entry, "process", "NXprocess")
    _text(process, "program", "braggscope")
    _text(process, "version", VERSION)
    _text(process, "parameters", json.dumps(dataclasses.asdict(spec)))
    _text(process, "note", "simulated data: grains, noise and defects are drawn from the seed")


def _truth(file: "h5py.File", series: Series) -> None:
    spec = series.spec
    truth = _group(file, "truth", "NXcollection")
    peaks = _group(truth, "peaks", "NXcollection")
    for name, values in series.truth.table().items():
        column = peaks.create_dataset(name, data=values, compression="gzip", shuffle=True)
        column.attrs.update(units=_UNITS.get(name, ""), meaning=_MEANING.get(name, name.replace("_", " ")))
    splits = truth.create_dataset("splits", data=series.truth.splits())
    splits.attrs["columns"] = ["parent", "child", "frame"]
    splits.attrs["meaning"] = "first frame in which parent and child are both resolved"
    geometry = _group(truth, "geometry", "NXcollection")
    for name in ("energy_keV", "wavelength_angstrom", "distance_m", "pixel_size_m", "d0_angstrom"):
        geometry[name] = getattr(spec, name)
    geometry["centre_px"] = np.array(spec.centre_px)


def _group(parent: "h5py.Group", name: str, nexus: str, **attributes: Any) -> "h5py.Group":
    group = parent.create_group(name)
    group.attrs.update(NX_class=nexus, **attributes)
    return group


def _text(group: "h5py.Group", name: str, text: str) -> None:
    group[name] = text


def _number(group: "h5py.Group", name: str, value: float, unit: str) -> None:
    group[name] = float(value)
    group[name].attrs["units"] = unit

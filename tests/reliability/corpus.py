"""Small whole files of every kind that the program opens: what the batteries of damaged files start from.

Pixels have no byte that is zero, so that zeros in a frame were never measured.
"""

import bz2
import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fabio
import h5py
import hdf5plugin
import numpy as np
import tifffile
from numpy.typing import NDArray

ROWS, COLUMNS, FRAMES = 48, 50, 4
SCAN = (2, 2)


def pixels(dtype: str = "uint16", shape: tuple[int, ...] = (FRAMES, ROWS, COLUMNS)) -> NDArray:
    """Counts, every byte of them from 1 to 127."""
    size = np.dtype(dtype).itemsize
    raw = np.random.default_rng(5).integers(1, 128, (*shape[:-1], shape[-1] * size), np.uint8)
    return raw.view(dtype)


@dataclass(frozen=True)
class Case:
    """One kind of file: which files, which of them is damaged, how it is opened."""

    name: str
    write: Callable[[Path], None]
    target: str
    location: str = ""
    opens: str = "frames"

    def place(self, folder: Path) -> str:
        """What the user would type for the copy in ``folder``."""
        return f"{folder}/{self.location or self.target}"


def _h5(folder: Path, name: str = "a.h5", **options) -> None:
    with h5py.File(folder / name, "w") as file:
        file.create_dataset("/entry/data/data", data=pixels(), **options)


def _filtered(**options) -> Callable[[Path], None]:
    return lambda folder: _h5(folder, chunks=(1, ROWS, COLUMNS), **options)


def _large_chunks(folder: Path) -> None:
    _h5(folder, chunks=(2, 20, 20), compression="gzip", shuffle=True)


def _newest_format(folder: Path) -> None:
    with h5py.File(folder / "a.h5", "w", libver="latest") as file:
        file.create_dataset(
            "d", data=pixels(), chunks=(1, ROWS, COLUMNS), compression="gzip", fletcher32=True
        )


def _nexus(folder: Path) -> None:
    with h5py.File(folder / "a.nxs", "w") as file:
        file.attrs["default"] = "entry"
        file["/entry/data/data"] = pixels()
        file["/entry/data/omega"] = np.linspace(0, 3, FRAMES)
        file["/entry/data"].attrs.update(signal="data", axes=["omega", ".", "."], NX_class="NXdata")
        file["/entry"].attrs.update(NX_class="NXentry", default="data")
        detector = file.create_group("/entry/instrument/detector")
        for name, value in (("beam_center_x", 20.5), ("detector_distance", 0.3), ("x_pixel_size", 75e-6)):
            detector[name] = value
        detector["pixel_mask"] = np.zeros((ROWS, COLUMNS), np.uint32)
        file["/entry/instrument/beam/incident_wavelength"] = 1.03


def _virtual(folder: Path) -> None:
    layout = h5py.VirtualLayout((FRAMES, ROWS, COLUMNS), "u2")
    for k, frame in enumerate(pixels()):
        with h5py.File(folder / f"part_{k}.h5", "w") as file:
            file["data"] = frame[None]
        layout[k : k + 1] = h5py.VirtualSource(f"part_{k}.h5", "data", (1, ROWS, COLUMNS))
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_virtual_dataset("/entry/data", layout)


def _links(folder: Path) -> None:
    with h5py.File(folder / "a_master.h5", "w") as master:
        for k in range(2):
            name = f"a_data_{k + 1:06d}.h5"
            with h5py.File(folder / name, "w") as file:
                file.create_dataset(
                    "/entry/data/data", data=pixels()[2 * k : 2 * k + 2], chunks=(1, ROWS, COLUMNS)
                )
            master[f"/entry/data/data_{k + 1:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
        master["/entry/again"] = h5py.SoftLink("/entry/data")


def _emd(folder: Path) -> None:
    with h5py.File(folder / "a.emd", "w") as file:
        group = file.create_group("datacube_root/datacube")
        group.attrs.update(emd_group_type="array", python_class="DataCube")
        group["data"] = pixels().reshape(*SCAN, ROWS, COLUMNS)
        for k in range(4):
            group[f"dim{k}"] = np.array([0, 1.5])
            group[f"dim{k}"].attrs["units"] = "nm" if k < 2 else "A^-1"
        file["datacube_root/metadatabundle/calibration/voltage"] = 200.0


def _tiff(folder: Path, **options) -> None:
    tifffile.imwrite(folder / "a.tif", pixels(), photometric="minisblack", **options)


def _tiff_pages(folder: Path) -> None:
    with tifffile.TiffWriter(folder / "a.tif", byteorder=">", bigtiff=True) as file:
        for frame in pixels():
            file.write(frame, compression="zlib", contiguous=False)


def _cbf(folder: Path) -> None:
    fabio.cbfimage.CbfImage(data=pixels("int32")[0]).write(str(folder / "a.cbf"))


def _cbf_packed(folder: Path) -> None:
    _cbf(folder)
    (folder / "a.cbf.bz2").write_bytes(bz2.compress((folder / "a.cbf").read_bytes()))


def _edf(folder: Path) -> None:
    image = fabio.edfimage.EdfImage(data=pixels()[0])
    for frame in pixels()[1:]:
        image.append_frame(data=frame)
    image.write(str(folder / "a.edf"))
    (folder / "a.edf.gz").write_bytes(gzip.compress((folder / "a.edf").read_bytes()))


def _dark(folder: Path) -> None:
    fabio.edfimage.EdfImage(data=pixels()[0]).write(str(folder / "dark.edf"))


def _merlin(folder: Path) -> None:
    data = b""
    for number, frame in enumerate(pixels(), 1):
        head = f"MQ1,{number:06d},00384,01,{COLUMNS:04d},{ROWS:04d},U16,   1x1,01,2021-05-07,0.001,0,0,0,"
        data += head.encode().ljust(384, b"\0") + frame.astype(">u2").tobytes()
    (folder / "a.mib").write_bytes(data)
    (folder / "a.hdr").write_text("HDR,\t\nFrames per Trigger (Number):\t2\nEnd\t")


def _blockfile(folder: Path) -> None:
    frames = pixels("uint8", (FRAMES, ROWS, ROWS))
    head = struct.pack(
        "<6sHIIIHHHHHddIHI", b"IMGBLO", 0x102, 512, 1024, 0, ROWS, 0, 2, 2, 0, 2.5, 2.5, 200_000, 6226, 2000
    )
    body = b"".join(struct.pack("<HI", 0x55AA, k) + frame.tobytes() for k, frame in enumerate(frames))
    (folder / "a.blo").write_bytes(head.ljust(1024, b"\0") + body)


def _npy(folder: Path) -> None:
    np.save(folder / "a.npy", pixels("float32"))
    np.save(folder / "fortran.npy", np.asfortranarray(pixels()))


def _npz(folder: Path) -> None:
    np.savez(folder / "a.npz", frames=pixels(), angle=np.arange(3))
    np.savez_compressed(folder / "packed.npz", frames=pixels(), mask=np.zeros((ROWS, COLUMNS), bool))


def _framecache(folder: Path) -> None:
    parts = {}
    for k, frame in enumerate(pixels()):
        rows, columns = np.nonzero(frame)
        parts |= {f"{k}_row": rows, f"{k}_col": columns, f"{k}_data": frame[rows, columns]}
    np.savez_compressed(folder / "a.npz", shape=(ROWS, COLUMNS), nframes=FRAMES, dtype="uint16", **parts)


def _raw(folder: Path) -> None:
    (folder / "a.raw").write_bytes(pixels().tobytes())


def _mask(folder: Path) -> None:
    with h5py.File(folder / "mask.h5", "w") as file:
        file["mask"] = np.zeros((ROWS, COLUMNS), bool)


PONI = """# Nota: C-Order, 1 refers to the Y axis, 2 to the X axis
poni_version: 2
Detector: Detector
Detector_config: {"pixel1": 0.0002, "pixel2": 0.0002, "max_shape": [2048, 2048], "orientation": 3}
Distance: 0.15
Poni1: 0.08
Poni2: 0.09
Rot1: 0.01
Rot2: -0.02
Rot3: 0.0
Wavelength: 1.03e-10
"""
HEXRD = """beam:
  energy: 61.332
  vector: {azimuth: 90.0, polar_angle: 90.0}
detectors:
  GE2:
    detector_type: planar
    pixels: {columns: 2048, rows: 2048, size: [0.2, 0.2]}
    transform:
      tilt: [0.001, -0.002, 0.003]
      translation: [1.5, -2.5, -1050.0]
    distortion: {function_name: GE_41RT, parameters: [1, 2, 3, 2, 2, 2]}
id: instrument
"""
CIF = """data_gold
_cell_length_a 4.0782
_cell_length_b 4.0782
_cell_length_c 4.0782
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Au1 Au 0 0 0
"""


def _text(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text, "utf-8") and None


def _axis(folder: Path) -> None:
    rows = "\n".join(f"{k};{3 + k / 7:.3f}" for k in range(FRAMES))
    (folder / "axis.csv").write_text(f"frame;voltage_V\n{rows}\n", "utf-8")


def _session(folder: Path) -> None:
    from braggscope.app.state.session import Session, save_session

    save_session(Session(location=str(folder / "a.h5")), folder / "a.session.json")


def _safetensors(folder: Path) -> None:
    from safetensors.numpy import save_file

    save_file({f"layer{k}.weight": pixels("float32", (16, 9)) for k in range(3)}, folder / "a.safetensors")


def _torch(folder: Path) -> None:
    import torch

    torch.save({f"layer{k}.weight": torch.ones(16, 9) for k in range(3)}, folder / "a.pth")


CASES = (
    Case("HDF5 plain", _h5, "a.h5"),
    Case("HDF5 gzip", _filtered(compression="gzip"), "a.h5"),
    Case("HDF5 bitshuffle", _filtered(**hdf5plugin.Bitshuffle()), "a.h5"),
    Case("HDF5 blosc", _filtered(**hdf5plugin.Blosc()), "a.h5"),
    Case("HDF5 LZ4", _filtered(**hdf5plugin.LZ4()), "a.h5"),
    Case("HDF5 large chunks", _large_chunks, "a.h5"),
    Case("HDF5 newest format", _newest_format, "a.h5"),
    Case("NeXus", _nexus, "a.nxs"),
    Case("HDF5 virtual", _virtual, "a.h5"),
    Case("HDF5 virtual, its source", _virtual, "part_1.h5", "a.h5"),
    Case("HDF5 links", _links, "a_master.h5"),
    Case("HDF5 links, its data", _links, "a_data_000002.h5", "a_master.h5"),
    Case("HDF5 mask", _mask, "mask.h5", opens="image"),
    Case("EMD", _emd, "a.emd"),
    Case("TIFF", _tiff, "a.tif"),
    Case("TIFF zlib", lambda folder: _tiff(folder, compression="zlib", tile=(32, 32)), "a.tif"),
    Case("BigTIFF pages", _tiff_pages, "a.tif"),
    Case("TIFF folder", _tiff_pages, "a.tif", "*.tif"),
    Case("CBF", _cbf, "a.cbf"),
    Case("CBF bzip2", _cbf_packed, "a.cbf.bz2"),
    Case("EDF", _edf, "a.edf"),
    Case("EDF gzip", _edf, "a.edf.gz"),
    Case("EDF as a dark", _dark, "dark.edf", opens="image"),
    Case("MIB", _merlin, "a.mib"),
    Case("MIB description", _merlin, "a.hdr", "a.mib"),
    Case("BLO", _blockfile, "a.blo"),
    Case("npy", _npy, "a.npy"),
    Case("npy Fortran", _npy, "fortran.npy"),
    Case("npz", _npz, "a.npz"),
    Case("npz packed", _npz, "packed.npz"),
    Case("npz as a mask", _npz, "packed.npz", opens="image"),
    Case("frame cache", _framecache, "a.npz"),
    Case("raw", _raw, "a.raw", f"a.raw?shape={FRAMES},{ROWS},{COLUMNS}&dtype=uint16"),
    Case("PONI", _text("a.poni", PONI), "a.poni", opens="instrument"),
    Case("hexrd YAML", _text("a.yml", HEXRD), "a.yml", opens="instrument"),
    Case("CIF", _text("a.cif", CIF), "a.cif", opens="cell"),
    Case("axis CSV", _axis, "axis.csv", opens="axis"),
    Case("session", _session, "a.session.json", opens="session"),
    Case("safetensors", _safetensors, "a.safetensors", opens="weights"),
    Case("pth", _torch, "a.pth", opens="weights"),
)

"""Reconstructions for other programs: ParaView, NumPy; pictures and turntable movies of the surface."""

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from braggscope.app.engine.coherent_views import Particle, palette
from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.export.movie import movie_sink
from braggscope.app.export.overlay import caption_font
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import ExportError, check_folder
from braggscope.app.export.vtk import write_vti
from braggscope.app.files import atomic_path, check_room
from braggscope.models.cdi.layers import Layer
from braggscope.models.cdi.scene import Scene

TURN_FRAMES, FPS = 120, 24.0
SIDE = 600  # px of a movie
PIECE = 1 << 20  # bytes that are packed at a time
DARK, LIGHT = (21, 24, 28), (255, 255, 255)


def volumes_of(particle: Particle) -> dict[str, NDArray]:
    """What a particle is made of, float32 and uint8 (Z, Y, X); NaN where a quantity is not defined."""
    found: dict[str, NDArray] = {
        "modulus": particle.modulus.astype(np.float32),
        "phase": particle.phase.astype(np.float32),
        "inside": particle.support.astype(np.uint8),
    }
    if particle.strain is not None:
        found["displacement"] = particle.strain.displacement_angstrom.astype(np.float32)
        found["strain"] = particle.strain.strain.astype(np.float32)
    return found


def write_paraview(
    path: Path, particle: Particle, provenance: Provenance, context: Context = UNWATCHED
) -> None:
    """A VTI in nm (voxels where the size is not known). Raises ExportError, DiskFullError, Cancelled."""
    check_suffix(path, (".vti",))
    check_room(path, 8 * 3 * particle.modulus.size)
    notes = {"frame": particle.frame, "unit of length": particle.unit, "provenance": provenance.json()}
    write_vti(path, volumes_of(particle), particle.spacing, notes, context)


def write_npz(path: Path, particle: Particle, provenance: Provenance, context: Context = UNWATCHED) -> None:
    """Arrays by name, ``voxel_nm`` and ``q_inv_angstrom`` (NaN where unknown), ``provenance`` as JSON.

    Raises ExportError, DiskFullError, Cancelled.
    """
    check_suffix(path, (".npz",))
    check_room(path, 24 * particle.modulus.size)
    unknown = (math.nan,) * 3
    extra: dict[str, Any] = {
        "voxel_nm": np.array(particle.voxel_nm or unknown),
        "q_inv_angstrom": np.array(particle.q_inv_angstrom or unknown),
        "frame": np.array(particle.frame),
        "provenance": np.array(provenance.json()),
    }
    with (
        atomic_path(path, context.commit) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, values in (extra | volumes_of(particle)).items():
            _pack(archive, name, values, context)


def _pack(archive: zipfile.ZipFile, name: str, values: NDArray, context: Context) -> None:
    """One array as numpy.savez_compressed stores it, which cannot be stopped on its way."""
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    with content.getbuffer() as whole, archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        for start in range(0, len(whole), PIECE):
            context.check()
            file.write(whole[start : start + PIECE])


def check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    """Raise ExportError unless the file can be called like that and its folder is there."""
    if path.suffix.lower() not in suffixes:
        raise ExportError(f"{path.name} needs one of the suffixes {', '.join(suffixes)}; rename it.")
    check_folder(path)


def surface_picture(
    scene: Scene,
    view: tuple[float, float, float],
    legend: Layer | None,
    unit: str,
    side: int = SIDE,
    ground: tuple[int, int, int] = DARK,
) -> Image.Image:
    """A square picture of the surface with its colour scale and a scale bar.

    ``view``: azimuth, elevation (rad) and reach, half the height in units of the scene.
    """
    from braggscope.models.cdi.raster import View, picture  # late: compiled kernels

    azimuth, elevation, reach = view
    image = Image.fromarray(picture(scene, View(azimuth, elevation, reach, (side, side)), ground))
    draw, font = ImageDraw.Draw(image), caption_font(max(11, side // 45))
    ink = (226, 230, 236) if sum(ground) < 384 else (40, 46, 54)
    _scale_bar(draw, font, ink, reach, unit, side)
    if legend is not None:
        _legend(image, draw, font, ink, legend, side)
    return image


def write_surface_picture(path: Path, image: Image.Image, context: Context = UNWATCHED) -> None:
    """Write a picture as PNG. Raises ExportError, Cancelled."""
    check_suffix(path, (".png",))
    with atomic_path(path, context.commit) as temporary:
        image.save(temporary)


def write_turntable(
    path: Path,
    scene: Scene,
    view: tuple[float, float, float],
    legend: Layer | None,
    unit: str,
    context: Context,
    side: int = SIDE,
) -> int:
    """One whole turn as MP4, GIF or a folder of PNGs. Returns the number of pictures.

    Drawn without a graphics card. Raises ExportError, Cancelled; then nothing remains.
    """
    azimuth, elevation, reach = view
    frames = TURN_FRAMES
    with movie_sink(path, (side, side), FPS, context=context) as sink:
        for k in range(frames):
            context.progress(k, frames, "drawing")
            turned = (azimuth + 2 * math.pi * k / frames, elevation, reach)
            sink.add(surface_picture(scene, turned, legend, unit, side))
        context.progress(frames, frames)
    return frames


def _scale_bar(draw: Any, font: Any, ink: tuple[int, int, int], reach: float, unit: str, side: int) -> None:
    length = _round_length(0.5 * reach)
    width = length * side / (2 * reach)
    left, top = side // 24, side - side // 18
    draw.rectangle((left, top, left + width, top + max(2, side // 240)), fill=ink)
    draw.text((left, top - side // 26), f"{length:g} {unit}", ink, font)


def _legend(
    image: Image.Image, draw: Any, font: Any, ink: tuple[int, int, int], layer: Layer, side: int
) -> None:
    width, height = side // 4, max(6, side // 72)
    left, top = side - width - side // 24, side - side // 18
    strip = np.tile(palette(layer.colormap)[np.linspace(0, 254, width).astype(int)], (height, 1, 1))
    image.paste(Image.fromarray(strip), (left, top))
    if layer.quantity == "phase":
        low, high = "−π", "π"
    else:
        low, high = (f"{value:.2g}".replace("-", "−") for value in (layer.low, layer.high))
    draw.text((left, top + height + 2), low, ink, font)
    draw.text((left + width, top + height + 2), high, ink, font, anchor="ra")
    title = f"{layer.quantity} / {layer.unit}" if layer.unit else layer.quantity
    draw.text((left, top - side // 26), title, ink, font)


def _round_length(length: float) -> float:
    """1, 2 or 5 times a power of ten, at most ``length``."""
    power = 10.0 ** math.floor(math.log10(max(length, 1e-12)))
    return max(step * power for step in (1, 2, 5) if step * power <= max(length, power))

"""A reconstruction as it is looked at: in order, in a frame, with everything that follows from it."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cdi.after import Shape, Strain, bring_into_order, strain_along
from braggscope.models.cdi.geometry import frame_axes, object_steps, resampled, scattering_vector
from braggscope.models.cdi.layers import COLOURS, EMPTY, Layer, Quantity, object_layer
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.scene import Clip, Scene, scene_of
from braggscope.models.cdi.unwrap import unwrap

ViewFrame = Literal["measured", "laboratory", "crystal"]
LEVEL = 0.4  # share of the largest modulus at which the surface is drawn


@dataclass(frozen=True, slots=True)
class Particle:
    """``modulus``, ``phase`` (rad, NaN outside) and ``support`` (Z, Y, X), origin at n // 2; ``strain`` and
    ``q_inv_angstrom`` (in the frame) where the geometry is known; ``voxel_nm`` (z, y, x). In the frame
    ``measured`` the axes are those of the stack and in general not orthogonal. ``layers`` by quantity.
    """

    frame: ViewFrame
    modulus: NDArray[np.float32]
    phase: NDArray[np.float32]
    support: NDArray[np.bool_]
    strain: Strain | None
    voxel_nm: tuple[float, float, float] | None
    q_inv_angstrom: tuple[float, float, float] | None
    twin: bool
    layers: dict[Quantity, Layer]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Of the voxels, in nm where known."""
        return self.voxel_nm or (1.0, 1.0, 1.0)

    @property
    def unit(self) -> str:
        """Of :attr:`spacing`."""
        return "voxels" if self.voxel_nm is None else "nm"


def frames_of(parameters: Phasing) -> tuple[ViewFrame, ...]:
    """The frames in which a reconstruction can be shown, the best first."""
    return ("measured",) if parameters.geometry is None else ("laboratory", "crystal", "measured")


def particle_of(
    obj: NDArray,
    support: NDArray[np.bool_],
    parameters: Phasing,
    frame: ViewFrame = "measured",
    ordered: Shape | None = None,
) -> Particle:
    """Bring an object into order (unless ``ordered``) and into a frame.

    ``parameters``: with the voxel size after cropping, as in ``Phased``. Raises ValueError for a frame that
    needs the geometry where there is none.
    """
    shape = bring_into_order(obj, support) if ordered is None else ordered
    geometry, q, voxel = parameters.geometry, parameters.q_inv_angstrom, parameters.voxel_nm
    if geometry is not None:
        extent = tuple(n * b for n, b in zip(obj.shape, parameters.binning, strict=True))
        steps, vector = object_steps(geometry, extent), scattering_vector(geometry)
        if frame == "measured":
            q, voxel = None, _vector(np.linalg.norm(steps, axis=1))
        else:
            axes = frame_axes(frame, vector)
            cubes = resampled(shape.obj, shape.support, steps, axes)
            phase = unwrap(np.angle(cubes.obj), cubes.support)
            shape = Shape(cubes.obj, cubes.support, phase, shape.twin, shape.shift)
            q, voxel = _vector(axes @ vector), (cubes.voxel_nm,) * 3
    elif frame != "measured":
        raise ValueError(f"The {frame} frame needs the geometry; type energy, distance, pixel and angles.")
    strain = strain_along(shape, q, voxel) if q is not None and voxel is not None else None
    return _particle(shape, strain, frame, voxel, q)


def scene(particle: Particle, quantity: Quantity, level: float = LEVEL, clip: Clip | None = None) -> Scene:
    """The surface of a particle, coloured by a quantity; ``modulus`` leaves it grey.

    Strain is taken from under the outermost voxels, where differences are one-sided and rough.
    """
    field = particle.layers.get(quantity) if quantity != "modulus" else None
    if field is not None and quantity == "strain" and particle.strain is not None:
        inner = np.where(particle.strain.surface, np.uint8(EMPTY), field.index)
        field = field if (inner == EMPTY).all() else replace(field, index=inner)
    modulus = particle.modulus * particle.support
    ink = palette(field.colormap) if field is not None else palette("viridis")
    return scene_of(modulus, level, field, ink, particle.spacing, clip, down=particle.frame == "measured")


@lru_cache(maxsize=16)
def palette(name: str) -> NDArray[np.uint8]:
    """(255, 3) uint8 colours of a map."""
    import cmap

    whole = np.asarray(cmap.Colormap(name).lut(256))[np.linspace(0, 255, COLOURS).round().astype(int), :3]
    lut = np.round(whole * 255).astype(np.uint8)
    lut.setflags(write=False)
    return lut


def _particle(
    shape: Shape,
    strain: Strain | None,
    frame: ViewFrame,
    voxel: tuple[float, float, float] | None,
    q: tuple[float, float, float] | None,
) -> Particle:
    modulus = np.abs(shape.obj).astype(np.float32)
    spacing = voxel or (1.0, 1.0, 1.0)
    layers: dict[Quantity, Layer] = {
        "modulus": object_layer("modulus", modulus, spacing=spacing),
        "phase": object_layer("phase", shape.phase, shape.support, spacing),
    }
    if strain is not None:
        layers["displacement"] = object_layer(
            "displacement", strain.displacement_angstrom, shape.support, spacing
        )
        layers["strain"] = object_layer("strain", strain.strain, spacing=spacing)
    return Particle(frame, modulus, shape.phase, shape.support, strain, voxel, q, shape.twin, layers)


def _vector(values: NDArray) -> tuple[float, float, float]:
    z, y, x = (float(v) for v in values)
    return z, y, x

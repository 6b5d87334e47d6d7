"""From detector, energy and rocking steps to voxels of the object in orthogonal frames.

Laboratory frame: z along the beam, y up, x = y x z (to the left when looking along the beam); every vector
is written in the order (z, y, x). At zero angles the detector stands across the beam, its rows count
downwards and its columns to the right when looking along the beam; ``gamma`` turns the arm about y towards
+x, then ``delta`` raises it. Frame n was taken with the sample turned by n steps about the rocking axis
(right-handed), so in the frame of the crystal q moves against that turn.

The voxels of the object are dual to those of the pattern: a_i . (N_j dq_j) = 2 pi delta_ij. Their axes are
not orthogonal in general, so shape and strain are read off only after resampling.
Source: Maddali et al., J. Appl. Cryst. 53, 393 (2020).
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

HC_KEV_ANGSTROM = 12.398419843
Floats = NDArray[np.float64]
Frame = Literal["laboratory", "crystal"]
Vector = tuple[float, float, float]


class BraggGeometry(BaseModel):
    """How a rocking curve was measured; see the module for the frame. Pixel sizes are (row, column)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    energy_keV: float = Field(gt=0)
    distance_m: float = Field(gt=0)
    pixel_um: tuple[float, float]
    delta_deg: float = Field(0.0, ge=-180, le=180, description="detector arm, upwards")
    gamma_deg: float = Field(0.0, ge=-180, le=180, description="detector arm, towards +x")
    step_deg: float = Field(description="turn of the sample from one frame to the next")
    axis: Literal["y", "x"] = Field("y", description="about which the sample is turned")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if min(self.pixel_um) <= 0:
            raise ValueError("The pixel size must be above 0; give it in micrometres.")
        if self.step_deg == 0:
            raise ValueError("The rocking step is 0; give the angle between two frames with its sign.")
        if np.linalg.norm(scattering_vector(self)) < 1e-6:
            raise ValueError("Both detector angles are 0, that is the direct beam; give delta or gamma.")
        if abs(np.linalg.det(reciprocal_steps(self))) < 1e-15:
            raise ValueError(
                "The rocking axis moves the peak along the detector only; choose the other axis."
            )
        return self


def scattering_vector(geometry: BraggGeometry) -> Floats:
    """Q = k_out - k_in, (3,) 1/angstrom, laboratory frame."""
    k = 2 * np.pi * geometry.energy_keV / HC_KEV_ANGSTROM
    return k * (_arm(geometry) @ np.array([1.0, 0, 0]) - np.array([1.0, 0, 0]))


def reciprocal_steps(geometry: BraggGeometry) -> Floats:
    """(3, 3) 1/angstrom: rows are the steps of q along frame, row and column, in the laboratory frame."""
    k = 2 * np.pi * geometry.energy_keV / HC_KEV_ANGSTROM
    arm = _arm(geometry)
    row, column = (1e-6 * p / geometry.distance_m * k for p in geometry.pixel_um)
    axis = np.array([0.0, 1, 0]) if geometry.axis == "y" else np.array([0.0, 0, 1])
    turn = np.deg2rad(geometry.step_deg)
    return np.stack([
        -turn * _cross(axis, scattering_vector(geometry)),
        row * (arm @ np.array([0.0, -1, 0])),
        column * (arm @ np.array([0.0, 0, -1])),
    ])  # fmt: skip


def object_steps(geometry: BraggGeometry, extent: Vector | tuple[int, ...]) -> Floats:
    """(3, 3) nm: rows are the steps of the object's voxels along the axes of its array.

    ``extent``: measured voxels per axis that the phased pattern spans, its shape times the binning.
    """
    spans = reciprocal_steps(geometry) * np.asarray(extent, np.float64)[:, None]
    return np.asarray(0.2 * np.pi * np.linalg.inv(spans).T)


def frame_axes(frame: Frame, q: Floats) -> Floats:
    """(3, 3): rows are the unit vectors of a frame's axes (z, y, x) in the laboratory.

    ``crystal``: z along Q, y as near to the laboratory's y as possible, x = y x z.
    """
    if frame == "laboratory":
        return np.eye(3)
    z = q / np.linalg.norm(q)
    up = np.array([0.0, 1, 0]) if abs(z[1]) < 0.99 else np.array([1.0, 0, 0])
    y = up - (up @ z) * z
    y /= np.linalg.norm(y)
    return np.stack([z, y, _cross(y, z)])


@dataclass(frozen=True, slots=True)
class Resampled:
    """An object on an orthogonal grid of cubes. ``obj`` complex64, ``support`` bool, origin at n // 2;
    ``voxel_nm``: side of the cubes.
    """

    obj: NDArray[np.complex64]
    support: NDArray[np.bool_]
    voxel_nm: float


def resampled(
    obj: NDArray, support: NDArray[np.bool_], steps_nm: Floats, axes: Floats, margin: int = 3
) -> Resampled:
    """Put an object with voxel steps ``steps_nm`` (rows) onto cubes along ``axes`` (rows, unit vectors).

    The cubes have the volume of the voxels; the new array just holds the support and ``margin`` voxels.
    Linear interpolation of the complex values.
    """
    import scipy.ndimage as ndimage  # here: the parameters of the whole program know this module

    middle = np.array([n // 2 for n in obj.shape])
    side = float(np.cbrt(abs(np.linalg.det(steps_nm))))
    to_new = axes @ steps_nm.T / side  # new index = to_new @ old index
    places = (np.argwhere(support) - middle) @ to_new.T
    reach = np.abs(places).max(axis=0) if len(places) else np.zeros(3)
    shape = tuple(2 * (int(np.ceil(r)) + margin) for r in reach)
    back = np.linalg.inv(to_new)
    offset = middle - back @ np.array([n // 2 for n in shape])

    def moved(values: NDArray) -> NDArray[np.float32]:
        out: NDArray[np.float32] = ndimage.affine_transform(
            np.asarray(values, np.float32), back, offset, output_shape=shape, order=1
        )
        return out

    return Resampled(
        (moved(obj.real) + 1j * moved(obj.imag)).astype(np.complex64), moved(support) > 0.5, side
    )


def _arm(geometry: BraggGeometry) -> Floats:
    """Rotation of the detector arm, acting on vectors (z, y, x)."""
    g, d = np.deg2rad(geometry.gamma_deg), np.deg2rad(geometry.delta_deg)
    about_y = np.array([[np.cos(g), 0, -np.sin(g)], [0, 1, 0], [np.sin(g), 0, np.cos(g)]])
    raised = np.array([[np.cos(d), -np.sin(d), 0], [np.sin(d), np.cos(d), 0], [0, 0, 1]])
    return np.asarray(about_y @ raised)


def _cross(a: Floats, b: Floats) -> Floats:
    """Vector product of vectors written in the order (z, y, x)."""
    return np.asarray(-np.cross(a, b))

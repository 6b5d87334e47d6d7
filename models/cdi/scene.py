"""A reconstructed crystal as it stands in a picture: coloured triangles around the middle, y upwards."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cdi.layers import COLOURS, EMPTY, Layer
from braggscope.models.cdi.surface import Surface, sampled, surface_of

PLAIN = (170, 178, 188)  # of a surface without a quantity


@dataclass(frozen=True, slots=True)
class Clip:
    """What is cut away: the side of ``axis`` (z, y, x: 0 to 2) beyond ``share`` of the crystal's extent, or,
    ``flipped``, what lies before it.
    """

    axis: int = 2
    share: float = 0.5
    flipped: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """``vertices``, ``normals`` (N, 3) float32 in (x, y, z), y up, around 0, in units of the spacing;
    ``faces`` (M, 3) int32 counter-clockwise from outside; ``colours`` (N, 3) uint8; ``radius``: of the ball
    that holds everything.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    colours: NDArray[np.uint8]
    radius: float


def scene_of(
    modulus: NDArray,
    level: float,
    field: Layer | None,
    colours: NDArray[np.uint8],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    clip: Clip | None = None,
    down: bool = False,
) -> Scene:
    """The surface of ``modulus`` (Z, Y, X) at ``level`` x its maximum.

    ``field``: gives the colours, (255, 3) uint8 ``colours``; None = grey. ``down``: the axis y of the volume
    points downwards, as detector rows do; the crystal is then turned about x, never mirrored.
    """
    solid = np.asarray(modulus, np.float32) / np.float32(max(float(modulus.max()), 1e-30))
    whole = solid > level
    if clip is not None:
        solid = _clipped(solid, whole, clip)
    surface = surface_of(solid, level)
    ink = np.full((len(surface.vertices), 3), PLAIN, np.uint8)
    if field is not None and len(ink):
        at = _places(field, surface)
        ink = np.where(np.isfinite(at)[:, None], colours[np.nan_to_num(at).astype(np.intp)], ink)
    step = np.asarray(spacing, np.float32)
    places = (surface.vertices - _middle(whole)) * step
    normals = surface.normals / step
    if down:
        places[:, :2] *= -1
        normals[:, :2] *= -1
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return Scene(
        places[:, ::-1].astype(np.float32), surface.faces[:, ::-1].copy(),
        normals[:, ::-1].astype(np.float32), ink.astype(np.uint8), _radius(whole, step),
    )  # fmt: skip


def _places(field: Layer, surface: Surface) -> NDArray[np.float64]:
    """(N,) place of every vertex along the colours; angles are averaged on the circle."""
    values = np.where(field.index == EMPTY, np.nan, field.values).astype(np.float32)
    if field.quantity == "phase":
        found = np.arctan2(sampled(np.sin(values), surface), sampled(np.cos(values), surface))
    else:
        found = sampled(values, surface)
    share = (found.astype(np.float64) - field.low) / (field.high - field.low)
    return np.clip(share * COLOURS, 0, COLOURS - 1)


def _clipped(solid: NDArray[np.float32], whole: NDArray[np.bool_], clip: Clip) -> NDArray[np.float32]:
    along = np.flatnonzero(whole.any(axis=tuple(a for a in range(3) if a != clip.axis)))
    if not len(along):
        return solid
    border = along[0] + clip.share * (along[-1] - along[0])
    place = np.arange(solid.shape[clip.axis], dtype=np.float32)
    room = place - border if clip.flipped else border - place
    shape = [1, 1, 1]
    shape[clip.axis] = -1
    level = np.float32(solid[whole].min()) if whole.any() else np.float32(0)
    ramp = level + np.clip(room + np.float32(0.5), -1, 1).reshape(shape)  # the cut is flat, not in steps
    return np.minimum(solid, ramp.astype(np.float32))


def _middle(whole: NDArray[np.bool_]) -> NDArray[np.float32]:
    places = np.argwhere(whole)
    if not len(places):
        return (np.array(whole.shape) / 2).astype(np.float32)
    return ((places.min(axis=0) + places.max(axis=0)) / 2).astype(np.float32)


def _radius(whole: NDArray[np.bool_], step: NDArray[np.float32]) -> float:
    places = np.argwhere(whole)
    if not len(places):
        return 1.0
    return float(np.linalg.norm((places - _middle(whole)) * step, axis=1).max()) + float(step.max())

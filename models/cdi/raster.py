"""Pictures of a surface without a graphics card: every triangle into a buffer of depths."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.cdi.scene import Scene

_FINER = 2  # samples per pixel and side
_AMBIENT = 0.35  # share of the light that comes from everywhere
_LIGHT = np.array([-0.35, 0.5, 0.8]) / np.linalg.norm([-0.35, 0.5, 0.8])  # from the left, above, in front


@dataclass(frozen=True, slots=True)
class View:
    """``azimuth``, ``elevation``: rad, where the eye is, seen from the middle; ``reach``: half the height of
    the picture in units of the scene; ``size``: (width, height) px.
    """

    azimuth: float
    elevation: float
    reach: float
    size: tuple[int, int]


def picture(scene: Scene, view: View, ground: tuple[int, int, int]) -> NDArray[np.uint8]:
    """(height, width, 3) uint8: the scene from the eye, parallel projection, on a plain ``ground``."""
    width, height = (side * _FINER for side in view.size)
    turn = towards_eye(view.azimuth, view.elevation)
    seen = scene.vertices @ turn.T
    scale = height / (2 * view.reach)
    screen = np.stack([width / 2 + scale * seen[:, 0], height / 2 - scale * seen[:, 1], seen[:, 2]], axis=1)
    light = _AMBIENT + (1 - _AMBIENT) * np.maximum(scene.normals @ turn.T @ _LIGHT, 0)
    shaded = np.clip(scene.colours * light[:, None], 0, 255).astype(np.float32)
    out = np.empty((height, width, 3), np.float32)
    out[:] = ground
    depth = np.full((height, width), -np.inf, np.float32)
    _draw(screen.astype(np.float32), scene.faces, shaded, out, depth)
    steps = [out[row::_FINER, column::_FINER] for row in range(_FINER) for column in range(_FINER)]
    return np.asarray(sum(steps) / np.float32(len(steps)) + np.float32(0.5), np.uint8)


def towards_eye(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Rows: right, up and towards the eye, in (x, y, z); y is up, the eye is at +z for zero angles."""
    ca, sa, ce, se = np.cos(azimuth), np.sin(azimuth), np.cos(elevation), np.sin(elevation)
    return np.array([[ca, 0, -sa], [-sa * se, ce, -ca * se], [sa * ce, se, ca * ce]])


@njit(cache=True, nogil=True)
def _draw(screen: NDArray, faces: NDArray, colours: NDArray, out: NDArray, depth: NDArray) -> None:
    height, width = depth.shape
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, bx, by = screen[i, 0], screen[i, 1], screen[j, 0], screen[j, 1]
        cx, cy = screen[k, 0], screen[k, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        left, right = max(int(np.floor(min(ax, bx, cx))), 0), min(int(np.ceil(max(ax, bx, cx))), width - 1)
        top, bottom = max(int(np.floor(min(ay, by, cy))), 0), min(int(np.ceil(max(ay, by, cy))), height - 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                v = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                w = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                u = 1 - v - w
                if u < 0 or v < 0 or w < 0:
                    continue
                near = u * screen[i, 2] + v * screen[j, 2] + w * screen[k, 2]
                if near <= depth[y, x]:
                    continue
                depth[y, x] = near
                for c in range(3):
                    out[y, x, c] = u * colours[i, c] + v * colours[j, c] + w * colours[k, c]

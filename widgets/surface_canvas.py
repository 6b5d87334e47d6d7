"""The OpenGL side of the surface view. Import it only where OpenGL is there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph.opengl as gl
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QMouseEvent, QResizeEvent, QWheelEvent
from pyqtgraph.opengl.shaders import FragmentShader, ShaderProgram, VertexShader

from braggscope.models.cdi.scene import Scene

if TYPE_CHECKING:
    from braggscope.widgets.surface_view import SurfaceView

_FIELD = 30.0  # degrees, across the width
_VERTEX = """
uniform mat4 u_mvp;
uniform mat3 u_normal;
attribute vec4 a_position;
attribute vec3 a_normal;
attribute vec4 a_color;
varying vec4 v_color;
varying vec3 v_normal;
void main() {
    v_normal = normalize(u_normal * a_normal);
    v_color = a_color;
    gl_Position = u_mvp * a_position;
}
"""
_FRAGMENT = """
#ifdef GL_ES
precision mediump float;
#endif
varying vec4 v_color;
varying vec3 v_normal;
void main() {
    float light = max(dot(normalize(v_normal), normalize(vec3(-0.35, 0.5, 0.8))), 0.0);
    gl_FragColor = vec4(v_color.rgb * (0.35 + 0.65 * light), 1.0);
}
"""


class _Mesh(gl.MeshData):
    """Triangles with normals of their own: pyqtgraph would compute them vertex by vertex."""

    def __init__(self, scene: Scene) -> None:
        ink = np.concatenate([scene.colours, np.full((len(scene.colours), 1), 255, np.uint8)], axis=1)
        super().__init__(
            # z of pyqtgraph is up: (x, y, z) of the scene becomes (x, -z, y), a rotation
            vertexes=_upright(scene.vertices), faces=scene.faces.astype(np.uint32),
            vertexColors=(ink / np.float32(255)).astype(np.float32),
        )  # fmt: skip
        self._own = _upright(scene.normals)

    def vertexNormals(self, indexed: Any = None) -> np.ndarray:
        """pyqtgraph: (N, 3) normals."""
        return self._own if indexed is None else self._own[self.faces()]


class SurfaceCanvas(gl.GLViewWidget):
    """Draws one scene; gestures go to the view that owns it."""

    def __init__(self, view: SurfaceView) -> None:
        super().__init__(view)
        self._view = view
        self._item: Any = None
        self._last = QPointF()
        self.opts["fov"] = _FIELD

    def show_scene(self, scene: Scene) -> None:
        """Replace what is drawn."""
        mesh = _Mesh(scene)
        if self._item is None:
            shader = ShaderProgram("crystal", [VertexShader(_VERTEX), FragmentShader(_FRAGMENT)])
            self._item = gl.GLMeshItem(meshdata=mesh, smooth=True, shader=shader, glOptions="opaque")
            self.addItem(self._item)
        else:
            self._item.setMeshData(meshdata=mesh)
        self._item.setVisible(len(scene.faces) > 0)
        self.update()

    def look(self, azimuth: float, elevation: float, reach: float) -> None:
        """Place the eye: at +z of the scene, y up, for zero angles; ``reach``: half of what is seen."""
        flat = min(1.0, self.height() / max(self.width(), 1))  # the angle of view is that of the width
        self.setCameraPosition(
            distance=reach / (math.sin(math.radians(_FIELD / 2)) * flat),
            azimuth=math.degrees(azimuth) - 90,
            elevation=math.degrees(elevation),
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Qt: the crystal fills the smaller side."""
        super().resizeEvent(event)
        self._view.place_eye()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Qt: a turn begins."""
        self._last = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Qt: turn."""
        move = event.position() - self._last
        self._last = event.position()
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._view.orbit(move.x(), move.y())

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Qt: zoom."""
        self._view.magnify(0.999 ** event.angleDelta().y())


def _upright(vectors: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(vectors[:, [0, 2, 1]] * np.array([1, -1, 1], np.float32))

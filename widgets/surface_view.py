"""The crystal as a surface that is turned with the mouse; a sentence where the screen cannot do that."""

from __future__ import annotations

import math
from typing import Any

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QGuiApplication, QImage, QOpenGLContext
from PyQt6.QtWidgets import QLabel, QStackedLayout, QWidget

from braggscope.models.cdi.scene import Scene
from braggscope.widgets import theme

MISSING = "There is no surface to turn here: {reason}. Slices, pictures and movies of the surface work."


def why_no_surface() -> str:
    """One sentence that says why the surface cannot be drawn on this screen, empty where it can."""
    platform = QGuiApplication.platformName()
    if platform in ("offscreen", "minimal", "vnc"):
        return MISSING.format(reason=f"the display ({platform}) has no OpenGL")
    try:
        import pyqtgraph.opengl  # noqa: F401  # late: the window starts without it
    except ImportError:
        return MISSING.format(reason="PyOpenGL is not installed (pip install PyOpenGL)")
    if not QOpenGLContext().create():
        return MISSING.format(reason="OpenGL could not be started by the graphics driver")
    return ""


class SurfaceView(QWidget):
    """Drag turns, the wheel zooms. ``turned``: azimuth and elevation in rad, by a gesture."""

    turned = pyqtSignal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.azimuth, self.elevation, self.zoom = math.radians(35), math.radians(25), 1.0
        self._scene: Scene | None = None
        self._gl: Any = None  # made when the first surface comes: OpenGL takes a moment
        self._problem: str | None = None
        self.message = QLabel(self)
        self.message.setWordWrap(True)
        self.message.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.message.setProperty("role", "muted")
        self.message.setContentsMargins(18, 8, 18, 8)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self.message)
        self.set_message("The surface of the crystal appears here while it is being phased.")
        self.setMinimumSize(90, 80)
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: as large as a slice."""
        return QSize(260, 240)

    @property
    def problem(self) -> str:
        """Why there is no surface, empty where there can be one. Asks the graphics driver the first time."""
        if self._problem is None:
            self._problem = why_no_surface()
        return self._problem

    @property
    def scene(self) -> Scene | None:
        """What is shown, or would be."""
        return self._scene

    def set_message(self, text: str) -> None:
        """Say what is to be done instead of showing a surface."""
        self._scene = None
        self.message.setText(text)
        self._stack.setCurrentWidget(self.message)

    def set_scene(self, scene: Scene, *, keep: bool = True) -> None:
        """Show a crystal; the eye stays where it is unless ``keep`` is False."""
        self._scene = scene
        if self.problem:
            self.message.setText(self.problem)
            self._stack.setCurrentWidget(self.message)
            return
        if self._gl is None:
            self._gl = _make_canvas(self)
            self._stack.addWidget(self._gl)
            self._recolour(theme.current())
        if not keep:
            self.zoom = 1.0
        self._gl.show_scene(scene)
        self.place_eye()
        self._stack.setCurrentWidget(self._gl)

    def set_view(self, azimuth: float, elevation: float) -> None:
        """Look from elsewhere, rad."""
        self.azimuth, self.elevation = azimuth, elevation
        self.place_eye()

    def reach(self) -> float:
        """Half the height of the picture in units of the scene, for pictures from the same place."""
        radius = 1.0 if self._scene is None else self._scene.radius
        return 0.95 * radius * self.zoom

    def picture(self) -> QImage | None:
        """What the screen shows, None without a surface."""
        hidden = self._gl is None or self._stack.currentIndex() == 0
        return None if hidden else self._gl.grabFramebuffer()

    def orbit(self, right: float, up: float) -> None:
        """Turn by a gesture: px of the mouse."""
        limit = math.radians(89)
        self.azimuth = math.remainder(self.azimuth - 0.01 * right, 2 * math.pi)
        self.elevation = min(max(self.elevation + 0.01 * up, -limit), limit)
        self.place_eye()
        self.turned.emit(self.azimuth, self.elevation)

    def magnify(self, factor: float) -> None:
        """Go nearer or farther away."""
        self.zoom = min(max(self.zoom * factor, 0.1), 10.0)
        self.place_eye()

    def place_eye(self) -> None:
        """Bring the eye where it belongs, also after a change of size."""
        if self._gl is not None and self._scene is not None:
            self._gl.look(self.azimuth, self.elevation, self.reach())

    def _recolour(self, colours: theme.Theme) -> None:
        if self._gl is not None:
            self._gl.setBackgroundColor(colours.window)


def _make_canvas(view: SurfaceView) -> Any:
    """The OpenGL widget; its module is imported only now."""
    from braggscope.widgets.surface_canvas import SurfaceCanvas

    return SurfaceCanvas(view)

"""What the Strain workspace draws over a pattern: disks, detector, lattice vectors, handles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen, QPolygonF, QTransform

from braggscope.models.disks.results import Lattice
from braggscope.models.regions import Region
from braggscope.widgets.frame_overlay import Curve, region_path
from braggscope.widgets.frame_stamps import HALO, INK
from braggscope.widgets.scan_paint import paint_arrow, text_in_box
from braggscope.widgets.strain_methods import METHODS

Floats = NDArray[np.float64]
DETECTOR = QColor("#7fd6c2")
HANDLE = 5.5  # screen px
DOT, APART = 1.8, 3.0


@dataclass(frozen=True, slots=True)
class DiskMarks:
    """Disks of one pattern by one method: ``x, y`` (N,) px, drawn as circles of ``radius`` px with a dot."""

    method: str
    x: Floats
    y: Floats
    radius: float


@dataclass(frozen=True, slots=True)
class Detector:
    """A virtual detector: an annulus, a disk (``inner`` 0), or any region; px."""

    centre: tuple[float, float] = (0.0, 0.0)
    inner: float = 0.0
    outer: float = 0.0
    region: Region | None = None

    def handles(self) -> dict[str, tuple[float, float]]:
        """Where it can be dragged: its middle and its radii; a region has none."""
        if self.region is not None:
            return {}
        x, y = self.centre
        found = {"centre": (x, y), "outer": (x + self.outer, y)}
        return found | ({"inner": (x + self.inner, y)} if self.inner > 0 else {})


@dataclass(frozen=True, slots=True)
class StrainOverlay:
    """Everything at once. ``proposed``: the lattice is not applied yet; ``curves``: outlines (N, 2) px."""

    disks: tuple[DiskMarks, ...] = ()
    detector: Detector | None = None
    lattice: Lattice | None = None
    proposed: bool = False
    curves: tuple[tuple[str, Curve], ...] = ()
    handles: tuple[tuple[float, float], ...] = ()

    def paint(self, painter: QPainter, transform: QTransform, window: QRectF, font: QFont) -> None:
        """Draw it; the painter works in screen coordinates."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.detector is not None:
            _paint_detector(painter, self.detector, transform)
        for colour, curve in self.curves:
            _paint_curve(painter, curve, colour, transform)
        scale = np.sqrt(abs(transform.determinant()))
        for k, marks in enumerate(self.disks):  # circles of further methods lie around those of the first
            _paint_disks(painter, marks, transform, float(scale), window, APART * k)
        if self.lattice is not None:
            _paint_lattice(painter, self.lattice, self.proposed, transform, font)
        for x, y in self.handles:
            _paint_handle(painter, transform.map(QPointF(x, y)))


def lattice_handles(lattice: Lattice) -> dict[str, tuple[float, float]]:
    """The tips of the vectors and the origin."""
    (x, y), (ax, ay), (bx, by) = lattice.origin, lattice.a, lattice.b
    return {"a": (x + ax, y + ay), "b": (x + bx, y + by), "origin": (x, y)}


def dragged(lattice: Lattice, handle: str, x: float, y: float) -> Lattice:
    """The lattice after its handle ``a``, ``b`` or ``origin`` was moved to (x, y)."""
    if handle == "origin":
        return Lattice((x, y), lattice.a, lattice.b)
    way = (x - lattice.origin[0], y - lattice.origin[1])
    return (
        Lattice(lattice.origin, way, lattice.b) if handle == "a" else Lattice(lattice.origin, lattice.a, way)
    )


def ellipse_curve(
    centre: tuple[float, float], radius: float, ratio: float = 1.0, angle: float = 0.0
) -> Curve:
    """(N, 2) outline; ``radius``: mean of its axes, ``ratio``: long by short, ``angle``: of the long one."""
    turn = np.linspace(0, 2 * np.pi, 181)
    along, across = radius * np.sqrt(ratio) * np.cos(turn), radius / np.sqrt(ratio) * np.sin(turn)
    x = centre[0] + along * np.cos(angle) - across * np.sin(angle)
    y = centre[1] + along * np.sin(angle) + across * np.cos(angle)
    return np.column_stack((x, y))


def _paint_disks(
    painter: QPainter, marks: DiskMarks, transform: QTransform, scale: float, window: QRectF, wider: float
) -> None:
    style = METHODS[marks.method]
    colour, reach = QColor(getattr(INK, style.role)), marks.radius * scale + wider
    room = window.adjusted(-reach, -reach, reach, reach)
    places = [transform.map(QPointF(x, y)) for x, y in zip(marks.x.tolist(), marks.y.tolist(), strict=True)]
    seen = [at for at in places if room.contains(at)]
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(HALO, 3.0), QPen(colour, 1.4, style.line)):
        painter.setPen(pen)
        for at in seen:
            painter.drawEllipse(at, reach, reach)
    painter.setPen(QPen(HALO, 1.0))
    painter.setBrush(colour)
    for at in seen:
        painter.drawEllipse(at, DOT, DOT)


def _paint_detector(painter: QPainter, detector: Detector, transform: QTransform) -> None:
    path = QPainterPath()
    if detector.region is not None:
        path = region_path(detector.region)
    else:
        middle = QPointF(*detector.centre)
        path.addEllipse(middle, detector.outer, detector.outer)
        if detector.inner > 0:
            path.addEllipse(middle, detector.inner, detector.inner)
    path.setFillRule(Qt.FillRule.OddEvenFill)
    shown = transform.map(path)
    ground = QColor(DETECTOR)
    ground.setAlpha(26)
    painter.fillPath(shown, ground)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(HALO, 3.2), QPen(DETECTOR, 1.4)):
        painter.setPen(pen)
        painter.drawPath(shown)


def _paint_curve(painter: QPainter, curve: Curve, colour: str, transform: QTransform) -> None:
    points = QPolygonF([transform.map(QPointF(x, y)) for x, y in curve.tolist()])
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(HALO, 3.2), QPen(QColor(colour), 1.5, Qt.PenStyle.DashLine)):
        painter.setPen(pen)
        painter.drawPolyline(points)


def _paint_lattice(
    painter: QPainter, lattice: Lattice, proposed: bool, transform: QTransform, font: QFont
) -> None:
    tips = lattice_handles(lattice)
    start = transform.map(QPointF(*tips["origin"]))
    colour = QColor(INK.warning if proposed else "#ffffff")
    for name in ("a", "b"):
        end = transform.map(QPointF(*tips[name]))
        paint_arrow(painter, start, end, colour, head=9.0)
        text_in_box(painter, end + QPointF(7, 4), name, colour.name(), font)


def _paint_handle(painter: QPainter, at: QPointF) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(HALO, 4.0), QPen(QColor("#ffffff"), 1.8)):
        painter.setPen(pen)
        painter.drawEllipse(at, HANDLE, HANDLE)

"""Drawing on a frame: small state machines from presses, moves and keys to regions and lines."""

from typing import Literal, Protocol

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QPainterPath

from braggscope.models.regions import Region

Line = tuple[float, float, float, float]
Drawn = Region | Line
ToolName = Literal["rectangle", "ellipse", "polygon", "line"]
TOOLS: tuple[ToolName, ...] = ("rectangle", "ellipse", "polygon", "line")
SMALLEST = 0.5  # px; a shape smaller than this was a click


class Tool(Protocol):
    """Every position is in raw pixels. A method returns what is finished with it, or None."""

    @property
    def busy(self) -> bool:
        """Whether something is half drawn."""
        ...

    def press(self, at: QPointF) -> None:
        """The left button goes down."""
        ...

    def move(self, at: QPointF, square: bool) -> None:
        """The mouse moves, pressed or not; ``square`` asks for equal sides."""
        ...

    def release(self, at: QPointF) -> Drawn | None:
        """The left button goes up."""
        ...

    def finish(self) -> Drawn | None:
        """Double click or Enter."""
        ...

    def abort(self) -> None:
        """Forget what is half drawn."""
        ...

    def outline(self) -> QPainterPath:
        """What is half drawn."""
        ...


class BoxTool:
    """Rectangle, ellipse or line: press, drag, release."""

    def __init__(self, kind: Literal["rectangle", "ellipse", "line"]) -> None:
        self._kind = kind
        self._from: QPointF | None = None
        self._to = QPointF()

    @property
    def busy(self) -> bool:
        """Whether a drag goes on."""
        return self._from is not None

    def press(self, at: QPointF) -> None:
        """Start at a corner."""
        self._from, self._to = at, at

    def move(self, at: QPointF, square: bool) -> None:
        """Move the opposite corner; ``square`` makes equal sides, or a line along an axis."""
        if self._from is None:
            return
        shift = at - self._from
        if square and self._kind == "line":
            shift = QPointF(shift.x(), 0) if abs(shift.x()) >= abs(shift.y()) else QPointF(0, shift.y())
        elif square:
            side = max(abs(shift.x()), abs(shift.y()))
            shift = QPointF(side if shift.x() >= 0 else -side, side if shift.y() >= 0 else -side)
        self._to = self._from + shift

    def release(self, at: QPointF) -> Drawn | None:
        """Region or line, None if it is too small to be meant."""
        start, end = self._from, self._to
        self._from = None
        if start is None:
            return None
        wide, high = abs(end.x() - start.x()), abs(end.y() - start.y())
        if self._kind == "line":
            long_enough = max(wide, high) >= SMALLEST
            return (start.x(), start.y(), end.x(), end.y()) if long_enough else None
        if min(wide, high) < SMALLEST:
            return None
        return Region(kind=self._kind, points=((start.x(), start.y()), (end.x(), end.y())))

    def finish(self) -> Drawn | None:
        """A drag ends with its release only."""
        return None

    def abort(self) -> None:
        """Forget the drag."""
        self._from = None

    def outline(self) -> QPainterPath:
        """The shape under the mouse."""
        path = QPainterPath()
        if self._from is None:
            return path
        if self._kind == "line":
            path.moveTo(self._from)
            path.lineTo(self._to)
        elif self._kind == "rectangle":
            path.addRect(QRectF(self._from, self._to).normalized())
        else:
            path.addEllipse(QRectF(self._from, self._to).normalized())
        return path


class PolygonTool:
    """Click vertices; a double click or Enter closes the polygon."""

    def __init__(self) -> None:
        self._points: list[QPointF] = []
        self._cursor = QPointF()

    @property
    def busy(self) -> bool:
        """Whether there are vertices."""
        return bool(self._points)

    def press(self, at: QPointF) -> None:
        """Add a vertex; the second press of a double click is on the last one and adds none."""
        if not self._points or (at - self._points[-1]).manhattanLength() > 1e-6:
            self._points.append(at)
        self._cursor = at

    def move(self, at: QPointF, square: bool) -> None:
        """Lead the open edge."""
        self._cursor = at

    def release(self, at: QPointF) -> Drawn | None:
        """Nothing ends here."""
        return None

    def finish(self) -> Drawn | None:
        """The polygon; None while it has fewer than three vertices."""
        if len(self._points) < 3:
            return None
        points = tuple((point.x(), point.y()) for point in self._points)
        self._points = []
        return Region(kind="polygon", points=points)

    def abort(self) -> None:
        """Forget all vertices."""
        self._points = []

    def outline(self) -> QPainterPath:
        """Edges so far, and the one that follows the mouse."""
        path = QPainterPath()
        if self._points:
            path.moveTo(self._points[0])
            for point in [*self._points[1:], self._cursor]:
                path.lineTo(point)
        return path


def make_tool(name: ToolName) -> Tool:
    """A fresh tool. ValueError for an unknown name."""
    if name not in TOOLS:
        raise ValueError(f"no drawing tool is called {name!r}")
    return PolygonTool() if name == "polygon" else BoxTool(name)


def is_finish_key(key: int) -> bool:
    """Enter in either place of the keyboard."""
    return key in (Qt.Key.Key_Return, Qt.Key.Key_Enter)

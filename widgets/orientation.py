"""How a frame is turned for display. Stored data and reported positions stay in raw pixel coordinates."""

from dataclasses import dataclass, replace
from typing import Literal, Self, cast

from PyQt6.QtGui import QTransform

Rotation = Literal[0, 90, 180, 270]


@dataclass(frozen=True, slots=True)
class Orientation:
    """Clockwise rotation in degrees as seen on screen, then flips of the turned image."""

    rotation: Rotation = 0
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def __post_init__(self) -> None:
        if self.rotation not in (0, 90, 180, 270):
            raise ValueError(f"rotation is 0, 90, 180 or 270 degrees, got {self.rotation}")

    def turned(self, degrees: int = 90) -> Self:
        """The same view, turned clockwise on screen by a multiple of 90 degrees."""
        flips = self.flip_horizontal != self.flip_vertical
        angle = (self.rotation + (-degrees if flips else degrees)) % 360
        return replace(self, rotation=cast(Rotation, angle))

    def display_shape(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) on screen of a raw (rows, columns)."""
        return shape if self.rotation in (0, 180) else (shape[1], shape[0])

    def matrix(self, shape: tuple[int, int]) -> QTransform:
        """Transform from raw (x, y) to displayed (x, y), both with the first pixel's centre at (0, 0)."""
        rows, columns = self.display_shape(shape)
        result = QTransform()
        result.translate((columns - 1) / 2, (rows - 1) / 2)
        result.scale(-1 if self.flip_horizontal else 1, -1 if self.flip_vertical else 1)
        result.rotate(self.rotation)
        result.translate(-(shape[1] - 1) / 2, -(shape[0] - 1) / 2)
        return result

    def to_display(self, x: float, y: float, shape: tuple[int, int]) -> tuple[float, float]:
        """Displayed position of a raw one."""
        return self.matrix(shape).map(float(x), float(y))

    def to_raw(self, x: float, y: float, shape: tuple[int, int]) -> tuple[float, float]:
        """Raw position of a displayed one."""
        inverse, _ = self.matrix(shape).inverted()
        return inverse.map(float(x), float(y))

"""Regions drawn on a frame: the value type. Rasterising lives in :mod:`braggscope.models.mask`."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

RegionKind = Literal["rectangle", "ellipse", "polygon"]


def rebinned(point: tuple[float, float], old: int, new: int) -> tuple[float, float]:
    """An (x, y) position in px of frames binned by ``old``, in px of the same frames binned by ``new``."""
    x, y = ((value + 0.5) * old / new - 0.5 for value in point)
    return x, y


class Region(BaseModel):
    """One shape in pixel coordinates of the prepared frame (pixel centre = integer, y downwards).

    ``points`` holds (x, y) pairs: two opposite corners of the bounding box for a rectangle or an
    ellipse, at least three vertices for a polygon. A pixel belongs to the region when its centre does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: RegionKind
    points: tuple[tuple[float, float], ...]

    @model_validator(mode="after")
    def _enough_points(self) -> "Region":
        if self.kind == "polygon" and len(self.points) < 3:
            raise ValueError(f"a polygon needs at least 3 points, got {len(self.points)}")
        if self.kind != "polygon" and len(self.points) != 2:
            raise ValueError(f"a {self.kind} needs its 2 corners, got {len(self.points)} points")
        return self

    def rebinned(self, old: int, new: int) -> Self:
        """The same shape after the binning has changed."""
        return self.model_copy(update={"points": tuple(rebinned(p, old, new) for p in self.points)})

"""What the Strain workspace shows: the part of the session that changes no result."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from braggscope.models.disks.parameters import Method, Rectangle
from braggscope.models.regions import Region

ScanImage = Literal["bright", "dark", "detector", "com_x", "com_y", "sum", "max"]
Component = Literal["exx", "eyy", "exy", "theta"]


class StrainView(BaseModel):
    """Radii in px of the prepared pattern; None: from the probe. Regions are rows and columns of the scan."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image: ScanImage = "bright"
    centre: tuple[float, float] | None = None
    bright: float | None = Field(None, gt=0)
    inner: float | None = Field(None, gt=0)
    outer: float | None = Field(None, gt=0)
    detector: Region | None = None
    roi: Rectangle | None = None
    line: tuple[float, float, float, float] | None = Field(None, description="x0, y0, x1, y1 in the scan")
    overlay: tuple[Method, ...] = Field((), description="methods drawn beside the chosen one")
    beside: Method | Literal[""] = ""
    component: Component = "exx"
    shown: Literal["strain", "error", "validity"] = "strain"
    limit: float | None = Field(None, gt=0, description="% at the ends of the scale; None: by the data")
    limit_deg: float | None = Field(None, gt=0)
    pattern: Literal["bragg", "mean", "maximum", "region"] = "bragg"

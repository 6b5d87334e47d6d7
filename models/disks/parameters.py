"""What decides a strain map, as one frozen, validated, serialisable value."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Method = Literal["correlation", "lattice", "network"]
Rectangle = tuple[int, int, int, int]  # r0, r1, c0, c1: half-open rows and columns


class Strain(BaseModel):
    """Parameters of 4D-STEM. Lengths in pixels of the pattern unless the name says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method = Field("network", description="who measures the disks")
    scan_shape: tuple[int, int] | None = Field(None, description="rows, columns; None = as the file says")
    probe_file: str | None = Field(
        None, description="image or stack of the probe in vacuum; None = from the data"
    )
    probe_region: Rectangle | None = Field(None, description="scan positions in vacuum or in thin support")
    probe_radius: float | None = Field(None, gt=0.5, description="px; None = measured")
    kernel: Literal["flat", "sigmoid", "gaussian"] = Field("sigmoid", description="edge of the template")
    intensity: Literal["log", "sqrt", "linear"] = Field("log", description="what is correlated")
    power: float = Field(1.0, ge=0, le=1, description="1 = cross correlation, 0 = phase correlation")
    smoothing: float = Field(0.0, ge=0, le=20, description="sigma of the correlation map")
    threshold: float = Field(
        0.05, ge=0, le=1, description="score, share of the strongest disk's but the direct one"
    )
    absolute: float = Field(0.0, ge=0, description="smallest score; 0 = no limit")
    spacing: float | None = Field(None, gt=0, description="smallest distance of two disks; None = 1.5 radii")
    edge: float = Field(
        0.0, ge=0, description="disks nearer than this to the edge of the pattern are left out"
    )
    most: int = Field(200, ge=1, le=2000, description="disks per pattern")
    subpixel: Literal["none", "parabola", "upsampled"] = "upsampled"
    origin: Literal["constant", "plane", "parabola", "measured"] = Field(
        "measured", description="how the origin goes with the scan position; measured: each for itself"
    )
    ellipse: tuple[float, float] = Field(
        (1.0, 0.0), description="ratio of the axes, angle of the long one / rad"
    )
    rotation: float = Field(0.0, description="rad from the pattern's x to the scan's x, towards y")
    transpose: bool = Field(False, description="the scan's axes are those of the pattern exchanged")
    pixel_inv_angstrom: float | None = Field(None, gt=0, description="size of a pixel of the pattern")
    lattice: tuple[float, float, float, float] | None = Field(
        None, description="first reciprocal vectors a and b: ax, ay, bx, by; None = found in the data"
    )
    tolerance: float = Field(
        0.25, gt=0, le=0.5, description="of an index, within which a disk belongs to the lattice"
    )
    fewest: int = Field(5, ge=3, description="disks that a position needs for a strain")
    weights: Literal["uniform", "variance", "robust"] = "robust"
    reference: Rectangle | None = Field(None, description="scan positions; None = the median of all valid")
    frame: float = Field(
        0.0, description="rad, direction of the strain's x axis, from the pattern's x towards y"
    )
    weights_file: str = Field("disks", description="name or path of the weights of the network")

    def about_disks(self) -> "Strain":
        """The same with all that does not change the disks that are found at its default."""
        later = {
            "origin", "ellipse", "rotation", "transpose", "pixel_inv_angstrom", "tolerance", "fewest",
            "weights", "reference", "frame",
        }  # fmt: skip
        if self.method != "lattice":
            later.add("lattice")
        if self.method != "network":
            later.add("weights_file")
        return self.model_copy(update={name: type(self).model_fields[name].default for name in later})

    @model_validator(mode="after")
    def _regions(self) -> "Strain":
        for name in ("probe_region", "reference"):
            region = getattr(self, name)
            if region is not None and not (0 <= region[0] < region[1] and 0 <= region[2] < region[3]):
                raise ValueError(
                    f"{name} {region} is no region; give first and last row and column as r0, r1, c0, c1"
                )
        return self

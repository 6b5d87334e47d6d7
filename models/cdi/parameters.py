"""What decides a reconstruction, as one frozen, validated, serialisable value."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from braggscope.models.cdi.geometry import BraggGeometry
from braggscope.models.cdi.sequence import parse

Vector = tuple[float, float, float]


class Stroke(BaseModel):
    """Balls masked by hand, middles in voxels (z, y, x) of the stack as measured.

    ``erase``: takes earlier strokes away instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    places: tuple[tuple[int, int, int], ...]
    radius: float = Field(gt=0, le=200)
    erase: bool = False


class Phasing(BaseModel):
    """Parameters of coherent imaging. Vectors are in the order of the array's axes (z, y, x)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    input: Literal["intensity", "amplitude"] = "intensity"
    crop: int | None = Field(None, ge=16, le=1024, description="voxels a side around the peak; None = all")
    binning: tuple[int, int, int] = Field((1, 1, 1), description="voxels summed along each axis")
    saturation: float | None = Field(None, gt=0, description="counts at and above this are not used")
    hot_voxels: bool = Field(True, description="voxels far brighter than all neighbours are masked")
    aliens: bool = Field(False, description="peaks without a counterpart at -q are masked")
    brushed: tuple[Stroke, ...] = Field((), description="voxels masked by hand, in this order")
    centre: bool = Field(True, description="the peak is moved to the middle")
    iterations: str = Field("40*RAAR+20*ER", description="at full resolution")
    coarse_iterations: str = Field("200*RAAR+20*ER", description="at half resolution and below")
    starts: int = Field(2, ge=1, le=100, description="random starts at low resolution")
    runs: int = Field(1, ge=1, le=100, description="best starts that are run at full resolution")
    start: Literal["coarse", "autocorrelation", "random"] = "coarse"
    method: Literal["network", "network-only", "iterative", "all"] = Field(
        "iterative", description="what finds the object: iterations, the network and iterations, or both"
    )
    network: str = Field("cdi", description="name of the weights of the network in use, or their file")
    seed: int = Field(0, ge=0)
    beta: float = Field(0.9, gt=0, le=1, description="feedback of HIO and RAAR at full resolution")
    support_sigma: float = Field(1.0, ge=0, le=10, description="voxels, smoothing of the shrink-wrap")
    support_threshold: float | None = Field(
        None, gt=0, lt=1, description="share of the maximum; None = chosen by the free likelihood"
    )
    support_every: int = Field(10, ge=0, description="iterations between shrink-wraps, 0 = never")
    break_twin: bool = False
    free_share: float = Field(0.02, ge=0, le=0.2, description="of the voxels is withheld to judge the result")
    refinement: int = Field(
        120, ge=0, le=10_000, description="L-BFGS iterations, 0 = none. Where the support is tight and may"
        " move, two thirds of them search place and support, with 150 ER and 10 RAAR for every 3 of them",
    )  # fmt: skip
    coherence: Literal["none", "gaussian", "pseudovoigt"] = "gaussian"
    background: bool = True
    voxel_nm: Vector | None = Field(None, description="size of a voxel of the object")
    q_inv_angstrom: Vector | None = Field(None, description="scattering vector of the peak")
    geometry: BraggGeometry | None = Field(None, description="goes before voxel_nm and q_inv_angstrom")

    @field_validator("voxel_nm")
    @classmethod
    def _positive(cls, size: Vector | None) -> Vector | None:
        if size is not None and min(size) <= 0:
            raise ValueError(f"voxel_nm {size} is no size; give three numbers above 0")
        return size

    @field_validator("iterations", "coarse_iterations")
    @classmethod
    def _readable(cls, text: str) -> str:
        parse(text)
        return text

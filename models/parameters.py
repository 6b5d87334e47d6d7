"""Everything that decides a result, as one frozen, validated, serialisable value."""

import hashlib
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from braggscope.models.cdi.parameters import Phasing
from braggscope.models.disks.parameters import Strain
from braggscope.models.regions import Region

Stage = Literal["prepare", "localize", "all", "disks", "strain"]
Method = Literal["fit", "braggnn", "net"]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Preparation(_Group):
    """How a raw frame becomes the image in which peaks are sought."""

    dtype_limits: bool = Field(True, description="negative and all-ones integers are bad pixels")
    saturation: float | None = Field(None, description="counts at and above this are saturated")
    hot_pixels: float | None = Field(None, gt=0, description="robust z-score above which a lone pixel is bad")
    threshold_low: float | None = Field(None, description="raw values below this are masked")
    threshold_high: float | None = Field(None, description="raw values above this are masked")
    mask_file: str | None = None
    dark_file: str | None = None
    flat_file: str | None = None
    masked: tuple[Region, ...] = Field((), description="shapes masked by hand")
    regions: tuple[Region, ...] = Field((), description="detection is restricted to these, if any")
    binning: Literal[1, 2, 4] = 1
    sum_frames: int = Field(1, ge=1, le=1000)
    background: Literal["none", "radial", "median"] = "none"
    background_window: int = Field(31, ge=5, le=501, description="px, of the median background")
    centre: tuple[float, float] | None = Field(None, description="(x, y) px; None = middle of the frame")


class Detection(_Group):
    """Which maxima are peaks: pixels below ``minval`` count as 0, scores below ``minscore`` are dropped."""

    minval: float = Field(0.0, ge=0)
    minscore: float = Field(0.0, ge=0)
    detector: Literal["fast", "findpeaks"] = "fast"


class Localization(_Group):
    """How the position of every peak is measured."""

    methods: tuple[Method, ...] = ("fit", "braggnn", "net")
    window: Literal["auto", 11, 15, 21] = Field(
        "auto", description="px, side of the square window of a fit; auto: by the size of each peak"
    )
    model: Literal["gaussian", "pseudovoigt"] = "gaussian"
    background: Literal["constant", "plane", "auto"] = Field("auto", description="auto: by BIC, per peak")
    noise: Literal["uniform", "poisson"] = "poisson"
    patch: Literal["raw", "thresholded"] = Field("raw", description="what BraggNN is given")
    braggnn: str = Field("braggnn", description="name of the BraggNN weights in use")
    net: str = Field("net", description="name of the weights of the localiser network in use")


class Parameters(_Group):
    """All parameters of the program. JSON of this is what ``--parameters`` takes."""

    prepare: Preparation = Preparation()
    detect: Detection = Detection()
    localize: Localization = Localization()
    phasing: Phasing = Phasing()
    strain: Strain = Strain()

    def fingerprint(self, stage: Stage = "all") -> str:
        """Short hash of what the results of a stage depend on.

        ``prepare``: the image, its mask and its candidates. ``localize``: fits and network outputs of
        one candidate (independent of thresholds unless patches are thresholded). ``all``: everything about
        peaks. ``disks``: the disks of a 4D-STEM scan. ``strain``: its strain.
        """
        parts = [self.prepare.model_dump_json()]
        if stage == "localize":
            parts.append(self.localize.model_dump_json())
            if self.localize.patch == "thresholded":
                parts.append(f"minval={self.detect.minval!r}")
        elif stage == "disks":
            parts.append(self.strain.about_disks().model_dump_json())
        elif stage == "strain":
            parts.append(self.strain.model_dump_json())
        elif stage == "all":
            parts.append(self.localize.model_dump_json() + self.detect.model_dump_json())
        return hashlib.sha256("\n".join([stage, *parts]).encode()).hexdigest()[:16]

    def with_detect(self, **changes: object) -> Self:
        """Copy with other detection values, validated."""
        return self._with("detect", changes)

    def with_prepare(self, **changes: object) -> Self:
        """Copy with other preparation values, validated."""
        return self._with("prepare", changes)

    def with_localize(self, **changes: object) -> Self:
        """Copy with other localisation values, validated."""
        return self._with("localize", changes)

    def with_phasing(self, **changes: object) -> Self:
        """Copy with other values of coherent imaging, validated."""
        return self._with("phasing", changes)

    def with_strain(self, **changes: object) -> Self:
        """Copy with other values of 4D-STEM, validated."""
        return self._with("strain", changes)

    def _with(self, group: str, changes: dict[str, object]) -> Self:
        old: BaseModel = getattr(self, group)
        new = type(old).model_validate({**dict(old), **changes})
        return self.model_copy(update={group: new})

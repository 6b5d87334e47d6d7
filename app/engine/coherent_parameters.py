"""Which parameters of coherent imaging belong to a stack, and which decide its pattern."""

from pathlib import PurePath

from braggscope.models.cdi.parameters import Phasing
from braggscope.models.parameters import Preparation

HOW = (
    "iterations", "coarse_iterations", "starts", "runs", "start", "method", "seed", "beta", "support_sigma",
    "support_threshold", "support_every", "break_twin", "free_share", "refinement", "coherence", "background",
)  # fmt: skip


def fresh(parameters: Phasing) -> Phasing:
    """For another stack: how it is phased stays, what belongs to the stack starts afresh."""
    return again(Phasing(), parameters)


def again(left: Phasing, now: Phasing) -> Phasing:
    """Back at a stack: how it is phased stays as it is now, what belongs to the stack is as it was left."""
    return left.model_copy(update={name: getattr(now, name) for name in HOW})


def preparation_key(parameters: Phasing) -> str:
    """What of the parameters decides the pattern."""
    return parameters.model_dump_json(
        include={
            "input", "crop", "binning", "saturation", "hot_voxels", "aliens", "brushed", "centre", "geometry",
        }
    )  # fmt: skip


def files_of(preparation: Preparation) -> tuple[str | None, str | None, str | None]:
    """Mask, dark and flat file."""
    return preparation.mask_file, preparation.dark_file, preparation.flat_file


def stack_name(location: str) -> str:
    """What a stack is called in a sentence: its file, and the dataset where one was chosen."""
    file, colons, dataset = location.partition("::")
    return f"{PurePath(file).name or file}{colons}{dataset}"

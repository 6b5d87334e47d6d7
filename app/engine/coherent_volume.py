"""The open stack as it is prepared and looked at."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from braggscope.app.engine.cdi import Stack, read_stack
from braggscope.app.engine.coherent_geometry import step_problem
from braggscope.app.engine.jobs import Context
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.cdi.geometry import object_steps, scattering_vector
from braggscope.models.cdi.layers import Layer, data_layer
from braggscope.models.cdi.parameters import Phasing, Stroke
from braggscope.models.cdi.prepare import Pattern, PreparationError, prepare
from braggscope.models.parameters import Parameters, Preparation

AUTOMATIC_BYTES = 256 << 20  # stacks up to this size are read without being asked for
HOW = (
    "iterations", "coarse_iterations", "starts", "runs", "start", "method", "seed", "beta", "support_sigma",
    "support_threshold", "support_every", "break_twin", "free_share", "refinement", "coherence", "background",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Volume:
    """A stack that was read, and what the preparation made of it. ``problem``: one sentence why it cannot be
    phased as it is; then ``pattern`` is None. ``files``: mask, dark and flat it was read with.
    """

    stack: Stack
    files: tuple[str | None, str | None, str | None]
    parameters: Phasing
    pattern: Pattern | None
    layer: Layer
    problem: str = ""

    @property
    def key(self) -> str:
        """Results of the same key belong to the same pattern and can be compared."""
        return preparation_key(self.parameters) + self.stack.identity + repr(self.files)

    def fits(self, parameters: Parameters) -> bool:
        """Whether the stack was read and prepared as the parameters say."""
        same = preparation_key(self.parameters) == preparation_key(parameters.phasing)
        return same and self.files == files_of(parameters.prepare)

    def strokes(self, places: tuple[tuple[int, int, int], ...], radius: float, erase: bool) -> Stroke:
        """A stroke over voxels of the layer, in voxels of the stack."""
        if self.pattern is None:
            return Stroke(places=places, radius=radius, erase=erase)
        binning, origin = np.array(self.parameters.binning), np.array(self.pattern.origin)
        raw = np.array(places) * binning + binning // 2 + origin
        made = tuple((int(z), int(y), int(x)) for z, y, x in raw)
        return Stroke(places=made, radius=radius * int(binning.max()), erase=erase)


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


def make_volume(
    reader: Reader,
    info: SourceInfo,
    preparation: Preparation,
    parameters: Phasing,
    context: Context,
    known: Volume | None = None,
) -> Volume:
    """Read the open stack, unless ``known`` holds it already, and prepare it.

    Raises SourceError where it cannot be read as a stack.
    """
    files = files_of(preparation)
    same = known is not None and known.stack.identity == info.identity and known.files == files
    stack = known.stack if same and known is not None else read_stack(reader, context, None, *files)
    return prepared(stack, files, info, parameters, context.check)


def prepared(
    stack: Stack,
    files: tuple[str | None, str | None, str | None],
    info: SourceInfo,
    parameters: Phasing,
    check: Callable[[], None] = lambda: None,
) -> Volume:
    """The same for a stack that was read. A stack that cannot be prepared is shown as it is.

    ``check`` may raise to stop.
    """
    try:
        problem = step_problem(info, parameters.geometry)
        if problem:
            raise PreparationError(problem)
        pattern = prepare(stack.values, parameters, stack.mask, stack.dark, stack.flat, check)
    except PreparationError as error:
        values = stack.values.astype(np.float32)
        shown = values * values if parameters.input == "amplitude" else values
        return Volume(stack, files, parameters, None, data_layer(shown, stack.mask), str(error))
    return Volume(stack, files, parameters, pattern, data_layer(pattern.amplitude**2, pattern.mask))


def geometry_note(volume: Volume | None, parameters: Phasing) -> str:
    """What follows from the geometry for voxels and Q."""
    geometry = parameters.geometry
    if geometry is None:
        return ""
    q = float(np.linalg.norm(scattering_vector(geometry)))
    said = f"|Q| = {q:.4f} Å⁻¹, d = {2 * np.pi / q:.4f} Å"
    if volume is None or volume.pattern is None:
        return said + "."
    shape = volume.pattern.amplitude.shape
    extent = tuple(n * b for n, b in zip(shape, parameters.binning, strict=True))
    steps = object_steps(geometry, extent)
    sides = " × ".join(f"{side:.1f}" for side in np.linalg.norm(steps, axis=1))
    return f"{said}; oblique voxels of {sides} nm, cubes of {np.cbrt(abs(np.linalg.det(steps))):.1f} nm."


def fresh(parameters: Phasing) -> Phasing:
    """For another stack: how it is phased stays, what belongs to the stack starts afresh."""
    return Phasing().model_copy(update={name: getattr(parameters, name) for name in HOW})

"""The open stack as it is prepared and looked at."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from braggscope.app.engine.cdi import Stack, read_stack
from braggscope.app.engine.coherent_geometry import step_problem
from braggscope.app.engine.coherent_parameters import files_of, preparation_key
from braggscope.app.engine.jobs import Context
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.cdi.layers import Layer, data_layer
from braggscope.models.cdi.parameters import Phasing, Stroke
from braggscope.models.cdi.prepare import Pattern, PreparationError, prepare
from braggscope.models.parameters import Parameters, Preparation


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

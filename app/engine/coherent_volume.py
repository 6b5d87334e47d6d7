"""The open stack as it is prepared and looked at."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.cdi import Stack, read_stack
from braggscope.app.engine.coherent_geometry import step_problem
from braggscope.app.engine.coherent_pace import Pace
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
    phased as it is; then ``pattern`` is None. ``files``: mask, dark and flat it was read with; ``content``:
    fingerprints of the values, and of mask, dark and flat.
    """

    stack: Stack
    files: tuple[str | None, str | None, str | None]
    parameters: Phasing
    pattern: Pattern | None
    layer: Layer
    content: tuple[str, str]
    problem: str = ""

    @property
    def stack_key(self) -> str:
        """The same for the same values under the same name, whenever they were written."""
        return f"{self.stack.location}\n{self.content[0]}"

    @property
    def key(self) -> str:
        """Results of the same key belong to the same pattern and can be compared."""
        how = preparation_key(self.parameters)
        return "\n".join((self.stack_key, self.content[1], repr(self.files), how))

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
    pace = Pace(context, info.frames * info.shape[0] * info.shape[1], parameters.aliens)
    if known is not None and known.stack.identity == info.identity and known.files == files:
        return prepared(known.stack, files, info, parameters, pace.step, known.content)
    stack = read_stack(reader, pace, None, *files)
    return prepared(stack, files, info, parameters, pace.step, content_of(stack, pace.check))


def content_of(stack: Stack, check: Callable[[], None] = lambda: None) -> tuple[str, str]:
    """Fingerprints of the values, and of mask, dark and flat. ``check`` may raise to stop."""
    images = [image[None] for image in (stack.dark, stack.flat) if image is not None]
    which = (stack.dark is not None, stack.flat is not None)
    return _fingerprint([stack.values], check), _fingerprint([stack.mask, *images], check) + repr(which)


def _fingerprint(stacks: Iterable[NDArray], check: Callable[[], None]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for stack in stacks:
        found.update(f"{stack.shape} {stack.dtype.str}".encode())
        for frame in stack:
            check()
            found.update(np.ascontiguousarray(frame).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def prepared(
    stack: Stack,
    files: tuple[str | None, str | None, str | None],
    info: SourceInfo,
    parameters: Phasing,
    check: Callable[[], None] = lambda: None,
    content: tuple[str, str] | None = None,
) -> Volume:
    """The same for a stack that was read. A stack that cannot be prepared is shown as it is.

    ``check`` is called between the steps and may raise to stop; ``content``: what is known of it already.
    """
    content = content or content_of(stack)
    try:
        problem = step_problem(info, parameters.geometry)
        if problem:
            raise PreparationError(problem)
        pattern = prepare(stack.values, parameters, stack.mask, stack.dark, stack.flat, check)
    except PreparationError as error:
        values = stack.values.astype(np.float32)
        shown = values * values if parameters.input == "amplitude" else values
        return Volume(stack, files, parameters, None, data_layer(shown, stack.mask), content, str(error))
    return Volume(stack, files, parameters, pattern, data_layer(pattern.amplitude**2, pattern.mask), content)

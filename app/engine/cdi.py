"""Coherent imaging: a stack of frames becomes an object, with progress and cancellation."""

from dataclasses import dataclass

import numpy as np
import psutil
from numpy.typing import NDArray

from braggscope.app.engine.cdi_network import improver_of
from braggscope.app.engine.jobs import Context
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.cdi.after import Shape, Strain, bring_into_order, strain_along
from braggscope.models.cdi.average import Ensemble, ensemble
from braggscope.models.cdi.metrics import Transfer, transfer
from braggscope.models.cdi.outcome import Live, Outcome
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.prepare import Pattern, memory_bytes, prepare
from braggscope.models.cdi.reconstruct import Reconstructor
from braggscope.models.mask import native, raw_mask


@dataclass(frozen=True, slots=True)
class Stack:
    """A rocking curve as read: ``values`` (Z, Y, X) as stored, ``mask`` True = bad; where it comes from.

    ``dark``, ``flat``: (Y, X) images that belong to it.
    """

    values: NDArray
    mask: NDArray[np.bool_]
    location: str
    identity: str
    dark: NDArray | None = None
    flat: NDArray | None = None


@dataclass(frozen=True, slots=True)
class Phased:
    """Everything that is known after phasing.

    ``shape`` and ``strain`` are of the refined object where there is one; ``strain`` needs the scattering
    vector and the voxel size; ``spread`` and ``transfer`` need several runs that agree. ``parameters``: with
    the voxel size after cropping.
    """

    pattern: Pattern
    parameters: Phasing
    outcome: Outcome
    shape: Shape
    strain: Strain | None
    spread: Ensemble | None
    transfer: Transfer | None

    @property
    def voxel_nm(self) -> tuple[float, float, float] | None:
        """(z, y, x) size of the object's voxels."""
        return self.parameters.voxel_nm


def read_stack(
    reader: Reader,
    context: Context,
    frames: range | None = None,
    mask_file: str | None = None,
    dark_file: str | None = None,
    flat_file: str | None = None,
) -> Stack:
    """All frames of the open source. Raises SourceError: too few frames, too little memory, a wrong mask."""
    info = reader.info
    if info is None:
        raise SourceError("No source is open; open a file first.")
    chosen = range(info.frames) if frames is None else frames
    _check_curve(info, len(chosen))
    shape = (len(chosen), *info.shape)
    check_memory(shape, info.frame_bytes)
    values, mask = np.empty(shape, info.dtype), np.zeros(shape, np.bool_)
    for place, index in enumerate(chosen):
        context.progress(place, len(chosen), "reading")
        reader.read(index, values[place], context.cancelled)
        mask[place] = raw_mask(native(values[place]), dtype_limits=True)
    own = reader.mask(context.cancelled)
    if own is not None:
        mask |= own
    if mask_file is not None:
        drawn = reader.load_image(mask_file, context.cancelled)
        if drawn.shape != info.shape:
            raise SourceError(
                f"{mask_file} is {drawn.shape}, the frames {info.shape}; choose one of that size."
            )
        mask |= drawn != 0
    dark, flat = (
        None if name is None else reader.load_image(name, context.cancelled)
        for name in (dark_file, flat_file)
    )
    return Stack(values, mask, info.location, info.identity, dark, flat)


def _check_curve(info: SourceInfo, frames: int) -> None:
    """Raises SourceError where this is no rocking curve."""
    if len([n for n in info.stack_shape if n > 1]) > 1:
        sides = " x ".join(map(str, info.stack_shape))
        raise SourceError(
            f"{info.location} is a scan of {sides} patterns, phasing needs the 3-D stack of one rocking"
            " curve; open that."
        )
    if frames < 8:
        raise SourceError(
            f"{info.location} holds {frames} frame{'s' * (frames != 1)}, phasing needs a 3-D stack"
            " of 8 or more; give a rocking curve."
        )


def check_memory(shape: tuple[int, ...], frame_bytes: int = 0, available: int | None = None) -> None:
    """Raise SourceError where the memory that is free will not do. ``available``: bytes; default: of now."""
    free = psutil.virtual_memory().available if available is None else available
    needed = memory_bytes(shape) + shape[0] * frame_bytes
    if needed > 0.9 * free:
        size = " x ".join(map(str, shape))
        raise SourceError(
            f"Phasing {size} voxels takes {needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are"
            " free; crop or bin the stack, or close other programs."
        )


def phase_stack(stack: Stack, parameters: Phasing, context: Context, start: NDArray | None = None) -> Phased:
    """Prepare, reconstruct, refine, bring into order.

    Progress counts iterations; its payload is the running state, to be looked at in the reporting call only.
    Raises PreparationError; WeightsError where the method needs a network that cannot be used; Cancelled
    within one iteration.
    """
    improve = None if start is not None else improver_of(parameters)
    pattern = prepare(stack.values, parameters, stack.mask, stack.dark, stack.flat, context.check)
    context.check()
    work = Reconstructor(pattern.amplitude, pattern.mask, parameters, start, improve, context.check)
    for live in work.iterate():
        context.progress(live.done, live.total, _note(live), live)
    outcome = work.outcome
    shape = bring_into_order(*outcome.final, context.check)
    voxel = _scaled(parameters.voxel_nm, pattern.scale)
    strain = None
    orthogonal = parameters.geometry is None  # else only its frames are
    if orthogonal and parameters.q_inv_angstrom is not None and voxel is not None:
        strain = strain_along(shape, parameters.q_inv_angstrom, voxel)
    context.check()
    together = ensemble([run.obj for run in outcome.runs], context.check) if len(outcome.runs) > 1 else None
    spread = together if together is not None and together.members > 1 else None
    context.check()
    curve = None if spread is None else transfer(spread.average, pattern.amplitude, pattern.mask)
    known = parameters.model_copy(update={"voxel_nm": voxel})
    return Phased(pattern, known, outcome, shape, strain, spread, curve)


def _note(live: Live) -> str:
    return f"{live.note}, chi {live.residual:.4f}"


def _scaled(
    voxel: tuple[float, float, float] | None, scale: tuple[float, float, float]
) -> tuple[float, float, float] | None:
    if voxel is None:
        return None
    z, y, x = (v * s for v, s in zip(voxel, scale, strict=True))
    return z, y, x

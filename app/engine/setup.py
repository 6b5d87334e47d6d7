"""Joining files, weights and parameters into what an analysis needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.state.session import ChosenInstrument
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters, Preparation
from braggscope.models.regions import rebinned

if TYPE_CHECKING:
    from braggscope.app.sources.reader import Reader
    from braggscope.models.prepare import Preparer


def instrument_of(info: SourceInfo, chosen: ChosenInstrument | None = None) -> Instrument | None:
    """The instrument in use: what was chosen for frames of this shape, else what the metadata say."""
    if chosen is not None and chosen.shape == info.shape:
        return chosen.instrument
    return Instrument.from_quantities(info.quantities)


def beam_centre(
    info: SourceInfo, binning: int, instrument: Instrument | None = None
) -> tuple[float, float] | None:
    """(x, y) px of the prepared frame where the beam meets the detector, None where nobody says."""
    beam = None if instrument is None else instrument.beam
    if beam is not None:
        return rebinned(beam.centre_px, 1, binning)
    known = info.quantities
    if "beam_x_px" not in known or "beam_y_px" not in known:
        return None
    return rebinned((known["beam_x_px"], known["beam_y_px"]), 1, binning)


def with_beam(parameters: Parameters, instrument: Instrument | None) -> Parameters:
    """Parameters whose radial background has the instrument's beam for a centre, unless one is set."""
    prepare = parameters.prepare
    beam = None if instrument is None else instrument.beam
    if beam is None or prepare.background != "radial" or prepare.centre is not None:
        return parameters
    return parameters.with_prepare(centre=rebinned(beam.centre_px, 1, prepare.binning))


def make_preparer(preparation: Preparation, info: SourceInfo, reader: Reader) -> Preparer:
    """Preparer for an open source, with the mask, dark and flat files that the preparation names.

    Raises SourceError if one of them cannot be read or does not fit the frames.
    """
    from braggscope.models.prepare import Preparer

    if preparation.centre is None:
        preparation = preparation.model_copy(update={"centre": beam_centre(info, preparation.binning)})
    user_mask = reader.load_image(preparation.mask_file) if preparation.mask_file else None
    dark = reader.load_image(preparation.dark_file) if preparation.dark_file else None
    flat = reader.load_image(preparation.flat_file) if preparation.flat_file else None
    try:
        return Preparer(
            preparation,
            shape=info.shape,
            file_mask=reader.mask(),
            user_mask=None if user_mask is None else user_mask != 0,
            dark=dark,
            flat=flat,
        )
    except ValueError as error:
        raise SourceError(str(error)) from error


def input_files_key(parameters: Parameters) -> str:
    """What the files that the parameters name hold: weights by their hash, images by size and time.

    Empty where they name none. Raises WeightsError; a missing image is left to :func:`make_preparer`.
    """
    from braggscope.app.engine.localizers import weights_hash, weights_in_use

    prepare = parameters.prepare
    parts = [weights_hash(name) for name in weights_in_use(parameters.localize).values()]
    for name in (prepare.mask_file, prepare.dark_file, prepare.flat_file):
        try:
            found = os.stat(name.rpartition("::")[0] or name) if name else None
        except OSError:
            found = None
        if found is not None:
            parts.append(f"{found.st_size}-{found.st_mtime_ns}")
    return " ".join(parts)

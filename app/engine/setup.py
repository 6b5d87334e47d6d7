"""Joining files, weights and parameters into what an analysis needs."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.state.session import ChosenInstrument
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters, Preparation
from braggscope.models.regions import rebinned

if TYPE_CHECKING:
    from braggscope.app.sources.reader import Reader
    from braggscope.models.prepare import Preparer


def file_id(location: str) -> int:
    """Number by which the file system knows the file of a location; 0 if there is none."""
    try:
        return os.stat(location.partition("::")[0]).st_ino
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a source was when it was looked at, for a job that opens it again by itself.

    ``number``: its :func:`file_id` then, 0 where it is not known. ``followed``: it may have grown since,
    which changes its identity.
    """

    info: SourceInfo
    number: int = 0
    followed: bool = False

    def check(self, now: SourceInfo) -> None:
        """Raise SourceError where the source holds something else by now: its frames are not to mix."""
        if now.identity != self.info.identity and not (self.followed and self._has_grown(now)):
            raise SourceError(f"{self.info.location} has changed since it was opened; open it again.")

    def _has_grown(self, now: SourceInfo) -> bool:
        old = self.info
        alike = (now.shape, now.dtype, now.frame_axis) == (old.shape, old.dtype, old.frame_axis)
        same_file = len({self.number, file_id(now.location)} - {0}) < 2
        return alike and same_file and now.frames >= old.frames


def open_again(
    reader: Reader, location: str, frame_axis: int | None, seen: Seen | None, cancelled: threading.Event
) -> SourceInfo:
    """Open a source for a job. Raises SourceError, also where it is not what was ``seen``; Cancelled."""
    info = reader.open(location, frame_axis, cancelled=cancelled)
    if seen is not None:
        seen.check(info)
    return info


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


def make_preparer(
    preparation: Preparation, info: SourceInfo, reader: Reader, cancelled: threading.Event | None = None
) -> Preparer:
    """Preparer for an open source, with the mask, dark and flat files that the preparation names.

    Raises SourceError if one of them cannot be read or does not fit the frames; Cancelled within 0.1 s.
    """
    from braggscope.models.prepare import Preparer

    if preparation.centre is None:
        preparation = preparation.model_copy(update={"centre": beam_centre(info, preparation.binning)})
    user_mask, dark, flat = (
        reader.load_image(name, cancelled) if name else None
        for name in (preparation.mask_file, preparation.dark_file, preparation.flat_file)
    )
    try:
        return Preparer(
            preparation,
            shape=info.shape,
            file_mask=reader.mask(cancelled),
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

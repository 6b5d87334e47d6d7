"""Joining files, weights and parameters into what an analysis needs."""

from typing import TYPE_CHECKING

from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.models.parameters import Preparation
from braggscope.models.prepare import Preparer

if TYPE_CHECKING:
    from braggscope.app.sources.reader import Reader


def make_preparer(preparation: Preparation, info: SourceInfo, reader: "Reader") -> Preparer:
    """Preparer for an open source, with the mask, dark and flat files that the preparation names.

    Raises SourceError if one of them cannot be read or does not fit the frames.
    """
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

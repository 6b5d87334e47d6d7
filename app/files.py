"""Writing files so that nothing half-written ever stands under the final name."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Path of a temporary file beside ``final``; flushed to disk and renamed when the block succeeds.

    The temporary name keeps the suffix, so that writers which look at it work. On any error the
    temporary file is removed and ``final`` stays as it was.
    """
    temporary = final.with_name(f".{uuid.uuid4().hex[:12]}{''.join(final.suffixes[-2:])}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, final)
        _sync_folder(final.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

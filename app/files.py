"""Writing files so that nothing half-written ever stands under the final name."""

import os
import uuid
from collections.abc import Iterable, Iterator
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


class OverwriteError(Exception):
    """An output would replace an input. The message is one sentence."""


def check_not_input(path: Path, inputs: Iterable[str | None]) -> None:
    """Raise OverwriteError if writing ``path`` would replace one of the inputs.

    ``inputs``: locations as users type them: files, ``file.h5::/dataset``, folders and globs of images.
    """
    for name in inputs:
        if not name or not path.exists():
            continue
        place = Path(name.partition("::")[0])
        members = place.parent if any(c in place.name for c in "*?[") else place
        if _same(path, place) or (members.is_dir() and _same(path.parent, members)):
            raise OverwriteError(f"{path} is one of the files that are read here; choose another name.")


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.exists() and os.path.samefile(one, other)

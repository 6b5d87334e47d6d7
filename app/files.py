"""Writing files so that nothing half-written ever stands under the final name."""

import contextlib
import errno
import glob
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

RESERVE = 4 << 20  # bytes that stay free on a disk
HELPERS = (errno.EPIPE, errno.ECHILD, errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # not of the file
LEFT_S = 600.0  # after which a temporary file that did not change belongs to nobody
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}(\..*)?")


class NotWrittenError(OSError):
    """A file could not be written. The message is one sentence."""

    expected = True


class DiskFullError(NotWrittenError):
    """Nothing more fits on a disk. The message is one sentence."""


@contextmanager
def atomic_path(final: Path, commit: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Path of a temporary file beside ``final``; flushed to disk and renamed when the block succeeds.

    The temporary name keeps the suffix, so that writers which look at it work. ``commit`` is called right
    before the renaming; what it raises prevents it (``Context.commit``: a cancelled job replaces nothing).
    On any error the temporary file is removed and ``final`` stays as it was. Raises NotWrittenError.
    """
    temporary = final.with_name(f".{uuid.uuid4().hex[:12]}{''.join(final.suffixes[-2:])[-40:]}")
    try:
        with says_what(final, temporary):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            commit()
            os.replace(temporary, final)
            _sync_folder(final.parent)
    finally:
        with contextlib.suppress(OSError):  # the folder itself may be gone, or read-only
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a process left in ``folder`` when it was killed while it wrote."""
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):  # somebody else's, or gone
                if path.is_file() and time.time() - path.stat().st_mtime > LEFT_S:
                    path.unlink()


@contextmanager
def says_what(final: Path, temporary: Path) -> Iterator[None]:
    """Turn what the system says of ``temporary``, or of no file, into a sentence about ``final``.

    Raises NotWrittenError; errors about other files pass.
    """
    try:
        yield
    except NotWrittenError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk is full: {final} was not written; make room and try again."
            ) from error
        if error.errno is None or (error.filename and not str(error.filename).startswith(str(temporary))):
            raise
        why = os.strerror(error.errno)
        if error.errno in HELPERS:
            text = f"{final} was not written, something that it needed failed ({why}); try again."
        else:
            text = f"{final} could not be written ({why}); choose another place or name."
        raise NotWrittenError(text) from error


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_room(path: Path, size: int) -> None:
    """Raise DiskFullError unless ``size`` bytes more fit on the disk of ``path``.

    For writers that do not survive a full disk: HDF5 may end the process.
    """
    free = shutil.disk_usage(path.absolute().parent).free
    if free < size + RESERVE:
        raise DiskFullError(
            f"The disk of {path.absolute().parent} has {free / 1e6:.1f} MB left; make room and try again."
        )


class OverwriteError(Exception):
    """An output would replace an input. The message is one sentence."""

    expected = True


def check_not_input(path: Path, inputs: Iterable[str | None]) -> None:
    """Raise OverwriteError if writing ``path`` would replace one of the inputs.

    ``inputs``: locations as users type them: files, ``file.h5::/dataset``, folders and globs of images.
    """
    for name in inputs if path.exists() else ():
        if name and any(_reads(part, path) for part in _named(name)):
            raise OverwriteError(f"{path} is one of the files that are read here; choose another name.")


def _named(location: str) -> list[str]:
    """What a location names: itself, or its list file and the sources in that."""
    from braggscope.app.sources.many import several
    from braggscope.app.sources.protocol import SourceError

    names = [location.removeprefix("@")]
    with contextlib.suppress(SourceError):  # whoever opens it says so
        names += several(location) or []
    return names


def _reads(location: str, path: Path) -> bool:
    """Whether ``location`` names the existing file ``path``, or images among which it is."""
    from braggscope.app.sources.files import SUFFIXES, is_pattern, kind
    from braggscope.app.sources.raw import raw_path

    place = Path(raw_path(location) or location.partition("::")[0]).expanduser()
    if is_pattern(str(place)):
        return any(os.path.samefile(path, found) for found in glob.iglob(str(place)))
    if not place.exists():
        return False
    if place.is_dir() and os.path.samefile(path.absolute().parent, place):
        return kind(path.name) in SUFFIXES or kind(path.name) == ".0"
    return os.path.samefile(path, place)

"""Locations that name several sources: given one by one, in a list file, or by a glob of stacks."""

import os
from collections import Counter
from collections.abc import Sequence

from braggscope.app.sources.base import Location, reason
from braggscope.app.sources.files import SUFFIXES, is_pattern, kind, list_files, natural
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.raw import raw_path

SEPARATOR = "\n"  # between locations that are one series
MAX_LIST_BYTES = 64 << 20
STACKS = (b"\x89HDF\r\n\x1a\n", b"PK\x03\x04")  # files that hold many frames each


def join_locations(locations: Sequence[str]) -> str:
    """One location for several, in natural order of their names (1, 2, 11)."""
    return SEPARATOR.join(sorted(locations, key=natural))


def several(location: str) -> list[str] | None:
    """The sources that a location names, in the order of their frames; None where it is one source.

    ``a.h5<newline>b.h5`` as :func:`join_locations` gives it, ``@list.txt`` (a location in each line, relative
    to the list's folder, ``#`` begins a remark), or a glob of HDF5 files, also with ``::/dataset``. Raises
    SourceError where a list cannot be read, names what is not there, or anything is named twice.
    """
    if SEPARATOR in location:
        named = [part for part in location.split(SEPARATOR) if part.strip()]
    elif location.startswith("@") and not os.path.exists(location):
        named = _listed(os.path.expanduser(location[1:]))
    else:
        return _stacks(location)
    found = [part for name in named for part in _stacks(name) or [name]]
    twice = [name for name, times in Counter(found).items() if times > 1]
    if twice:
        raise SourceError(f"{twice[0]} is named twice; name every file once.")
    return found


def are_images(locations: Sequence[str]) -> bool:
    """Whether all are single image files, which one reader takes in turn."""
    return all(
        kind(name) in SUFFIXES | {".0"} and "::" not in name and not os.path.isdir(name) for name in locations
    )


def _listed(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(MAX_LIST_BYTES).splitlines()
    except OSError as error:
        raise SourceError(f"The list {path} cannot be read ({reason(error)}); check its name.") from error
    folder = os.path.dirname(os.path.abspath(path))
    found = []
    for number, line in enumerate(lines, 1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        place = Location.parse(name)
        full = os.path.join(folder, place.path)
        if not os.path.exists(full) and not is_pattern(full):
            raise SourceError(f"Line {number} of {path} names {place.path}, which is not there; correct it.")
        found.append(str(Location(full, place.inner)))
    if not found:
        raise SourceError(f"The list {path} names no file; write one in each line.")
    return found


def _stacks(location: str) -> list[str] | None:
    """Files of a glob that hold many frames each."""
    place = Location.parse(location)
    if not is_pattern(place.path) or raw_path(place.path) is not None:
        return None
    names, _ = list_files(place.path)
    with open(names[0], "rb") as file:
        magic = file.read(8)
    if not place.inner and not magic.startswith(STACKS):
        return None
    return [str(Location(name, place.inner)) for name in names]


def absolute(location: str) -> str:
    """The same for a process with another working folder."""
    if SEPARATOR in location:
        return SEPARATOR.join(absolute(part) for part in location.split(SEPARATOR))
    if location.startswith("@") and not os.path.exists(location):
        return f"@{os.path.abspath(os.path.expanduser(location[1:]))}"
    place = Location.parse(location)
    return str(Location(os.path.abspath(place.path), place.inner))

"""Walking HDF5 files whose links may be broken, circular or lead to other files."""

import os
from collections.abc import Iterator
from typing import Any

import h5py

from braggscope.app.sources.base import Beat, reason, silent
from braggscope.app.sources.protocol import SourceError

MAX_ENTRIES = 20_000
MAX_DEPTH = 32


def find_file(name: str, beside: str) -> str | None:
    """Path of a linked file, looked for where HDF5 looks: beside the linking file, then as given."""
    name = os.fsdecode(name)
    for path in (os.path.join(os.path.dirname(os.path.abspath(beside)), name), name):
        if os.path.isfile(path):
            return path
    # Links written elsewhere keep their absolute path; HDF5 then tries the bare name beside the file.
    bare = os.path.join(os.path.dirname(os.path.abspath(beside)), os.path.basename(name))
    return bare if os.path.isabs(name) and os.path.isfile(bare) else None


def follow(group: Any, path: str) -> Any:
    """Object at ``path`` below ``group``. Raise SourceError naming the link that leads nowhere."""
    node = group
    for part in (p for p in path.split("/") if p):
        where = f"{node.file.filename}::{node.name.rstrip('/') if node.name else ''}/{part}"
        if not isinstance(node, h5py.Group) or node.get(part, getlink=True) is None:
            raise SourceError(f"{where} does not exist; choose a dataset from the file's tree.")
        node = _step(node, part, where)
    return node


def _step(group: Any, name: str, where: str) -> Any:
    link = group.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink) and find_file(link.filename, group.file.filename) is None:
        raise SourceError(
            f"{where} is a link to {os.fsdecode(link.filename)}, which is missing; put that file beside the"
            " linking one."
        )
    try:
        return group[name]
    except (KeyError, OSError, RuntimeError, ValueError) as error:
        raise SourceError(_broken(link, where, error)) from error


def _broken(link: Any, where: str, error: Exception) -> str:
    text = reason(error).strip("'\"")
    if "too many" in text.lower():
        return f"{where} is a link that leads back to itself; choose another dataset."
    if isinstance(link, h5py.ExternalLink):
        target = f"{os.fsdecode(link.filename)}::{link.path}"
        return f"{where} links to {target}, which cannot be opened ({text}); check that file."
    if isinstance(link, h5py.SoftLink):
        return f"{where} links to {link.path}, which cannot be opened ({text}); choose another dataset."
    return f"{where} cannot be opened ({text}); check that the file is complete."


def walk(
    root: Any, beat: Beat = silent, most: int = MAX_ENTRIES, deepest: int = MAX_DEPTH, whole: bool = False
) -> Iterator[tuple[str, Any, str]]:
    """Yield (path, dataset or None, problem) of everything below ``root``, also behind links.

    Every group is entered once, down to ``deepest``, until there are ``most`` entries. ``whole``: raise
    SourceError where there is more.
    """
    seen: set[tuple[str, int]] = set()
    waiting: list[tuple[Any, int]] = [(root, 0)]
    count = 0
    while waiting:
        group, depth = waiting.pop()
        key = _key(group)
        if key in seen:
            continue
        if depth > deepest:
            if whole:
                raise _too_much(root, f"groups nested more than {deepest:,} deep")
            continue
        seen.add(key)
        deeper = []
        for name in group:
            count += 1
            if count > most:
                if whole:
                    raise _too_much(root, f"more than {most:,} entries")
                return
            beat()
            path = f"{(group.name or '').rstrip('/')}/{name}"
            try:
                node = _step(group, name, f"{group.file.filename}::{path}")
            except SourceError as error:
                yield path, None, str(error)
                continue
            if isinstance(node, h5py.Dataset):
                yield path, node, ""
            elif isinstance(node, h5py.Group):
                deeper.append((node, depth + 1))
        waiting += reversed(deeper)


def _too_much(root: Any, what: str) -> SourceError:
    return SourceError(
        f"{root.file.filename} has {what}, which is too much to look through; copy what is needed to another"
        " file."
    )


def _key(group: Any) -> tuple[str, int]:
    """The same for a file that was closed and opened again, whose number in HDF5 is not."""
    return os.path.realpath(group.file.filename), int(h5py.h5o.get_info(group.id).addr)

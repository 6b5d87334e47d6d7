"""Which dataset of an HDF5 file holds the frames."""

import re
from dataclasses import dataclass
from typing import Any

import h5py

from braggscope.app.sources.base import Beat, image_dtype, silent
from braggscope.app.sources.hdf5_checks import check_dataset, where_is
from braggscope.app.sources.hdf5_links import follow, walk
from braggscope.app.sources.protocol import DatasetEntry, SourceError

EIGER = re.compile(r"data_\d+$")


@dataclass(frozen=True, slots=True)
class Choice:
    """Paths of the datasets that together are the frames, and why another might be meant."""

    paths: tuple[str, ...]
    warning: str = ""


def text(value: Any) -> str:
    """Text of an HDF5 attribute or scalar: str, bytes, or an array of one."""
    while hasattr(value, "shape") and getattr(value, "shape", ()) != ():
        if value.size == 0:
            return ""
        value = value.flat[0]
    if hasattr(value, "item"):
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def attribute(node: Any, name: str) -> str:
    """Attribute as text, or an empty string where there is none or it cannot be read."""
    try:
        return text(node.attrs[name]) if name in node.attrs else ""
    except (OSError, RuntimeError, ValueError, TypeError, KeyError):
        return ""


def tree(file: Any, beat: Beat = silent) -> tuple[DatasetEntry, ...]:
    """All datasets of a file with what speaks against showing each."""
    return tuple(_entry(path, dataset, problem) for path, dataset, problem in walk(file, beat))


def _entry(path: str, dataset: Any, problem: str) -> DatasetEntry:
    if dataset is None:
        return DatasetEntry(path, (), "", problem)
    try:
        shape, dtype = dataset.shape, dataset.dtype
        if shape is None:
            return DatasetEntry(
                path, (), str(dtype), f"{where_is(dataset)} is empty; choose another dataset."
            )
        problem = _problem(dataset, tuple(shape), dtype)
    except (TypeError, OSError, RuntimeError, ValueError) as error:
        return DatasetEntry(path, (), "", f"{where_is(dataset)} has a type that cannot be read ({error}).")
    return DatasetEntry(path, tuple(int(n) for n in shape), str(dtype), problem)


def _problem(dataset: Any, shape: tuple[int, ...], dtype: Any) -> str:
    where = where_is(dataset)
    if len(shape) < 2 or 0 in shape:
        return f"{where} has shape {shape} and is not a stack of images; choose another dataset."
    try:
        image_dtype(dtype, where)
        check_dataset(dataset)
    except SourceError as error:
        return str(error)
    return ""


def choose(file: Any, entries: tuple[DatasetEntry, ...], start: str = "/") -> Choice:
    """Frames: NeXus default, Eiger data files, EMD datacube, NeXus signal, detector data, the largest stack.

    Raises SourceError if nothing below ``start`` can be shown.
    """
    below = start.rstrip("/") + "/"
    inside = [e for e in entries if e.path.startswith(below)]
    from braggscope.app.sources.hdf5_stem import datacube  # late: it builds on this module

    usable = {e.path: e for e in inside if not e.problem}
    for choice in (
        _by_default(file, start),
        _eiger(inside),
        datacube(file, usable),
        _by_signal(file, usable),
        _detector(file, usable),
    ):
        if choice is not None:
            return choice
    return _largest(file, inside, usable)


def _by_default(file: Any, start: str) -> Choice | None:
    path = start
    for _ in range(8):
        group = follow(file, path)
        name = attribute(group, "default")
        if not name:
            break
        path = name if name.startswith("/") else f"{path.rstrip('/')}/{name}"
        if isinstance(follow(file, path), h5py.Dataset):
            return Choice((path,))
    return _signal(file, path)


def _signal(file: Any, path: str) -> Choice | None:
    group = follow(file, path)
    name = attribute(group, "signal")
    if name and name in group:
        return Choice((f"{path.rstrip('/')}/{name}",))
    for child in group if attribute(group, "NX_class") == "NXdata" else ():
        if attribute(group.get(child), "signal") == "1":
            return Choice((f"{path.rstrip('/')}/{child}",))
    return None


def _eiger(entries: list[DatasetEntry]) -> Choice | None:
    """Numbered data files of a Dectris master; those not written yet at the end are left out."""
    parts = [e for e in entries if EIGER.search(e.path.rsplit("/", 1)[-1])]
    if not parts:
        return None
    folder = parts[0].path.rsplit("/", 1)[0]
    parts = sorted((e for e in parts if e.path.rsplit("/", 1)[0] == folder), key=_number)
    if any(e.path == f"{folder}/data" and not e.problem for e in entries):
        return None
    good = next((k for k, e in enumerate(parts) if e.problem), len(parts))
    if good == 0 or any(not e.problem for e in parts[good:]):
        raise SourceError(parts[good].problem)
    warning = ""
    if good < len(parts):
        warning = f"{len(parts) - good} of {len(parts)} data files are left out: {parts[good].problem}"
    return Choice(tuple(e.path for e in parts[:good]), warning)


def _number(entry: DatasetEntry) -> int:
    return int(entry.path.rsplit("_", 1)[-1])


def _by_signal(file: Any, usable: dict[str, DatasetEntry]) -> Choice | None:
    groups = dict.fromkeys(path.rsplit("/", 1)[0] or "/" for path in usable)
    found = [choice for group in groups if (choice := _signal(file, group)) and choice.paths[0] in usable]
    return with_warning(found[0].paths[0], [c.paths[0] for c in found]) if found else None


def _detector(file: Any, usable: dict[str, DatasetEntry]) -> Choice | None:
    found = []
    for path in usable:
        group, _, name = path.rpartition("/")
        if name == "data" and attribute(follow(file, group), "NX_class") in ("NXdetector", "NXdata"):
            found.append(path)
    return with_warning(found[0], found) if found else None


def _largest(file: Any, entries: list[DatasetEntry], usable: dict[str, DatasetEntry]) -> Choice:
    broken = [e.problem for e in entries if e.problem and (len(e.shape) > 1 or not e.dtype)]
    if broken:  # a mask does not stand in for the frames that it belongs to
        usable = {p: e for p, e in usable.items() if not p.endswith("/pixel_mask")}
    images = {p: e for p, e in usable.items() if min(e.shape[-2:]) > 3 or len(e.shape) > 2} or usable
    if not images:
        raise SourceError(
            broken[0]
            if broken
            else f"{file.filename} holds no images; open a file with two-dimensional data."
        )
    stacks = {p: e for p, e in images.items() if len(e.shape) > 2} or images
    sizes = {p: _size(e) for p, e in stacks.items()}
    return with_warning(max(sizes, key=lambda p: sizes[p]), list(stacks))


def _size(entry: DatasetEntry) -> int:
    total = 1
    for n in entry.shape:
        total *= n
    return total


def with_warning(path: str, candidates: list[str]) -> Choice:
    """The choice of ``path``, with the other candidates named."""
    if len(candidates) < 2:
        return Choice((path,))
    others = ", ".join(p for p in candidates[:4] if p != path)
    return Choice((path,), f"Shown is {path}; the file has other stacks of images as well: {others}.")

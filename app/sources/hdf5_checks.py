"""What HDF5 would read as zeros, or not at all, without a word: found before the first frame is read."""

import os
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import Beat, Stamp, check_frame_size, reason, silent
from braggscope.app.sources.hdf5_links import find_file, follow, walk
from braggscope.app.sources.protocol import SourceError

MAX_NESTING = 8
MOST_CHECKED = 200_000  # entries of a file of tables, and
DEEPEST_CHECKED = 256  # levels of its groups
FILTER_NAMES = {
    4: "szip", 305: "lzo", 307: "bzip2", 32000: "lzf", 32001: "blosc", 32004: "lz4",
    32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32017: "sz", 32018: "fcidecomp",
    32024: "sz3", 32026: "blosc2", 32028: "sperr",
}  # fmt: skip


def where_is(dataset: Any) -> str:
    """``file::/path`` of a dataset."""
    return f"{dataset.file.filename}::{dataset.name}"


def check_dataset(dataset: Any) -> None:
    """Raise SourceError for missing filters, raw storage outside or missing, or data never written."""
    plist = dataset.id.get_create_plist()
    where = where_is(dataset)
    for k in range(plist.get_nfilters()):
        code, _, _, name = plist.get_filter(k)
        if not h5py.h5z.filter_avail(code):
            known = FILTER_NAMES.get(code, os.fsdecode(name) or "unknown")
            raise SourceError(
                f"{where} is compressed with HDF5 filter {code} ({known}), which is not installed; install"
                " it or save the data with another filter."
            )
    for name, offset, size in dataset.external or ():
        _check_raw_storage(os.fsdecode(name), offset, size, dataset, where)
    if dataset.is_virtual:
        return
    if dataset.chunks is not None:
        check_frame_size(dataset.chunks, dataset.dtype, f"{where}, in its chunks,")
    elif not dataset.external and dataset.id.get_offset() is None and dataset.id.get_storage_size() == 0:
        raise SourceError(f"{where} was never written; its file holds no data for it.")


def plain_values(dataset: Any) -> Any:
    """All values of a small dataset. Raise SourceError where its storage is another file's."""
    if getattr(dataset, "external", None):
        name = os.fsdecode(dataset.external[0][0])
        raise SourceError(
            f"{where_is(dataset)} keeps its data in {name}, which is refused; copy them into the file."
        )
    return dataset[()]


def refuse_broken(dataset: Any) -> None:
    """Raise SourceError if a virtual dataset lacks any of its sources, which HDF5 would show as zeros."""
    if getattr(dataset, "is_virtual", False) and (problems := virtual_map(dataset).problems):
        raise SourceError(problems[0])


def table_values(dataset: Any) -> Any:
    """All values of a column. Raise SourceError where some are in no file, or in a forbidden one."""
    refuse_broken(dataset)
    return plain_values(dataset)


def refuse_raw_storage(file: Any) -> None:
    """Raise SourceError if any dataset of a file, or that it leads to, keeps its values in another one.

    Sources of virtual datasets may, beside their file, as when frames are read. What is broken in another
    way holds no values, and is refused where it is read.
    """
    looked_at: set[tuple[str, str]] = set()
    for _, dataset, _ in walk(file, most=MOST_CHECKED, deepest=DEEPEST_CHECKED, whole=True):
        if dataset is None:
            continue
        if dataset.external:
            plain_values(dataset)
        waiting = _sources_of(dataset)
        while waiting:
            name, path = waiting.pop()
            key = os.path.realpath(name), path
            if key not in looked_at:
                looked_at.add(key)
                waiting += _sources_behind(name, path)


def _sources_of(dataset: Any) -> list[tuple[str, str]]:
    """File and path of what a virtual dataset is assembled from, as far as the files are there."""
    if not dataset.is_virtual:
        return []
    here = dataset.file.filename
    names = {(entry.file_name, entry.dset_name) for entry in dataset.virtual_sources()}
    found = [(here if name == "." else _find_source(name, here), path) for name, path in names]
    return [(name, path.replace("%b", "0")) for name, path in found if name is not None]


def _sources_behind(name: str, path: str) -> list[tuple[str, str]]:
    """The sources of a source, whose own raw storage is checked."""
    try:
        with h5py.File(name, "r") as file:
            source = file[path]
            if not isinstance(source, h5py.Dataset):
                return []
            for part, offset, size in source.external or ():
                _check_raw_storage(os.fsdecode(part), offset, size, source, where_is(source))
            return _sources_of(source)
    except SourceError:
        raise
    except (KeyError, OSError, RuntimeError, ValueError):
        return []


def _check_raw_storage(name: str, offset: int, size: int, dataset: Any, where: str) -> None:
    folder = os.path.realpath(os.path.dirname(os.path.abspath(dataset.file.filename)))
    path = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath([folder, path]) != folder:
        raise SourceError(
            f"{where} keeps its data in {name}, outside the folder of the file, which is refused; copy the"
            " data into the file."
        )
    if not os.path.isfile(path):
        raise SourceError(f"{where} keeps its data in {name}, which is missing; put that file beside it.")
    unlimited = size == h5py.h5s.UNLIMITED
    if os.path.getsize(path) < (offset if unlimited else offset + size):
        raise SourceError(f"{where} keeps its data in {name}, which is cut short; copy that file again.")


@dataclass(frozen=True, slots=True)
class VirtualMap:
    """Which files a virtual dataset's frames come from.

    ``low`` and ``high``: (mappings, dimensions) first and last position of each mapping in the virtual
    dataset. ``source``: for each mapping the position in ``stamps``, or -1 - k for ``problems[k]``.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    source: NDArray[np.int64]
    stamps: tuple[Stamp, ...]
    problems: tuple[str, ...]

    def check(self, start: tuple[int, ...], count: tuple[int, ...], where: str) -> None:
        """Raise SourceError if a block of the virtual dataset has no data, which HDF5 would show as zeros."""
        first = np.asarray(start)
        last = first + np.asarray(count) - 1
        used = np.all((self.low <= last) & (self.high >= first), axis=1)
        if not used.any():
            raise SourceError(
                f"{where} has no data: its virtual dataset maps no file there; use other frames."
            )
        for k in np.unique(self.source[used]):
            if k < 0:
                raise SourceError(self.problems[-1 - k])
            self.stamps[k].check()


def virtual_map(dataset: Any, beat: Beat = silent, depth: int = 0) -> VirtualMap:
    """Look at every source of a virtual dataset; sources may be virtual themselves."""
    where = where_is(dataset)
    if depth > MAX_NESTING:
        raise SourceError(
            f"{where} is built of virtual datasets that lead to themselves; use another dataset."
        )
    low, high, source = [], [], []
    stamps: list[Stamp] = []
    problems: list[str] = []
    known: dict[tuple[str, str, tuple[int, ...]], int] = {}
    for entry in dataset.virtual_sources():
        beat()
        bounds = _bounds(entry.vspace, dataset.shape)
        needed = _needed(entry)
        key = (entry.file_name, entry.dset_name, needed)
        if key not in known:
            try:
                found = _check_source(dataset, entry.file_name, entry.dset_name, needed, beat, depth)
                known[key] = len(stamps)
                stamps.append(found)
            except SourceError as error:
                problems.append(str(error))
                known[key] = -len(problems)
        low.append(bounds[0])
        high.append(bounds[1])
        source.append(known[key])
    if not source:
        raise SourceError(f"{where} is a virtual dataset without any source; there is nothing to show.")
    return VirtualMap(np.array(low), np.array(high), np.array(source), tuple(stamps), tuple(problems))


def _bounds(space: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    full = (0,) * len(shape), tuple(n - 1 for n in shape)
    if space.get_select_type() != h5py.h5s.SEL_HYPERSLABS:
        return full
    try:
        return tuple(space.get_select_bounds()[0]), tuple(space.get_select_bounds()[1])
    except (RuntimeError, ValueError):  # an unlimited selection has no bounds
        return full


def _needed(entry: Any) -> tuple[int, ...]:
    """Extent a source must have; where the whole of it is mapped, one number of elements."""
    space = entry.src_space
    if space.get_simple_extent_ndims() > 0 and space.get_select_type() == h5py.h5s.SEL_HYPERSLABS:
        try:
            return tuple(int(n) + 1 for n in space.get_select_bounds()[1])
        except (RuntimeError, ValueError):  # unlimited
            return ()
    if entry.vspace.get_select_type() != h5py.h5s.SEL_HYPERSLABS:
        return ()
    points = entry.vspace.get_select_npoints()
    return (points,) if 0 < points < h5py.h5s.UNLIMITED else ()


def _fits(shape: tuple[int, ...], needed: tuple[int, ...]) -> bool:
    if len(shape) != len(needed):
        return len(needed) < 2 and int(np.prod(shape)) >= sum(needed)
    return all(a >= b for a, b in zip(shape, needed, strict=True))


def _check_source(
    dataset: Any, file_name: str, path: str, needed: tuple[int, ...], beat: Beat, depth: int
) -> Stamp:
    where = where_is(dataset)
    here = dataset.file.filename
    if file_name == ".":
        _check_inside(dataset.file, path, needed, where, beat, depth)
        return Stamp.of(here)
    path = path.replace("%b", "0")
    found = _find_source(file_name, here)
    if found is None:
        raise SourceError(
            f"{where} is assembled from {file_name}, which is missing; put that file where it was."
        )
    try:
        with h5py.File(found, "r") as file:
            _check_inside(file, path, needed, where, beat, depth)
    except OSError as error:
        raise SourceError(
            f"{where} is assembled from {file_name}, which cannot be opened ({reason(error)}); copy it again."
        ) from error
    return Stamp.of(found)


def _find_source(name: str, beside: str) -> str | None:
    """A source's file; of numbered ones, of an unlimited dataset, the first must be there."""
    return find_file(name.replace("%b", "0"), beside)


def _check_inside(file: Any, path: str, needed: tuple[int, ...], where: str, beat: Beat, depth: int) -> None:
    source = follow(file, path)
    if not isinstance(source, h5py.Dataset):
        raise SourceError(
            f"{where} is assembled from {file.filename}::{path}, which is no dataset; choose another."
        )
    if source.shape is None or not _fits(source.shape, needed):
        raise SourceError(
            f"{where} is assembled from {file.filename}::{path}, which has shape {source.shape} where"
            f" {needed} is mapped; that file is incomplete."
        )
    check_dataset(source)
    if source.is_virtual:
        inner = virtual_map(source, beat, depth + 1)
        if inner.problems:
            raise SourceError(inner.problems[0])

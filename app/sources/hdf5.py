"""HDF5 and NeXus files: one dataset, or the numbered data files of a Dectris master, as frames."""

import os
from dataclasses import dataclass, replace
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the compression filters)
import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources import hdf5_meta, hdf5_stem
from braggscope.app.sources.base import (
    Beat,
    Layout,
    Location,
    Source,
    Stamp,
    check_frame_size,
    describe,
    identity,
    image_dtype,
    reason,
    silent,
)
from braggscope.app.sources.chunks import DirectChunks
from braggscope.app.sources.hdf5_checks import VirtualMap, check_dataset, virtual_map, where_is
from braggscope.app.sources.hdf5_choose import Choice, choose, tree
from braggscope.app.sources.hdf5_links import follow
from braggscope.app.sources.hdf5_stored import StoredChunks
from braggscope.app.sources.protocol import DatasetEntry, SourceError
from braggscope.app.sources.quantities import shown

CHUNK_CACHE_BYTES = 64 << 20


def open_file(path: str) -> Any:
    """File for reading, also while another program writes it (SWMR). Raises SourceError."""
    Stamp.of(path)
    try:
        return h5py.File(path, "r")
    except OSError as error:
        first = reason(error)
    try:
        return h5py.File(path, "r", libver="latest", swmr=True)
    except (OSError, ValueError):
        pass
    if "truncated" in first:
        raise SourceError(f"{path} is cut short; copy it again from where it was measured.")
    if "already open" in first or "consistency flags" in first:
        raise SourceError(
            f"{path} is being written or its writer crashed; wait until it is closed, or run h5clear -s."
        )
    raise SourceError(f"{path} is not a readable HDF5 file ({first}); copy it again or repair it.")


@dataclass(frozen=True, slots=True)
class Part:
    """A dataset whose frames are some of the source's."""

    dataset: Any
    layout: Layout
    first: int
    stamp: Stamp
    virtual: VirtualMap | None
    stored: StoredChunks | None
    direct: DirectChunks | None

    def read(self, index: int, out: NDArray) -> None:
        """Frame ``index`` of this part; no frame without stored data is ever given as zeros."""
        start, count = self.layout.start(index), self.layout.count()
        where = f"Frame {self.first + index} of {where_is(self.dataset)}"
        if self.virtual is not None:
            self.virtual.check(start, count, where)
        elif self.stored is not None and not self.stored.hold(start):
            raise SourceError(f"{where} was never written; choose another frame or refresh later.")
        if self.direct is not None and self.direct.read(index, out, where):
            return
        space = self.dataset.id.get_space()
        space.select_hyperslab(start, count)
        memory = h5py.h5s.create_simple(out.shape)
        self.dataset.id.read(memory, space, out, h5py.h5t.py_create(out.dtype))
        if self.stored is not None and self.stored.miss(start, out):
            raise SourceError(
                f"{where} is not where its file should hold it; check that the file is complete."
            )


def make_part(dataset: Any, frame_axis: int | None, first: int, beat: Beat) -> Part:
    """Check a dataset as thoroughly as it takes never to show false zeros."""
    where = where_is(dataset)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise SourceError(f"{where} is no dataset with values; choose one that holds images.")
    layout = Layout.of(tuple(dataset.shape), frame_axis, where)
    check_frame_size(layout.frame_shape, image_dtype(dataset.dtype, where), where)
    check_dataset(dataset)
    if dataset.external:
        dataset = beside_file(dataset)
    sources = virtual_map(dataset, beat) if dataset.is_virtual else None
    stored = None
    if dataset.chunks is not None:
        dataset = _with_cache(dataset, layout)
        stored = StoredChunks(dataset, layout)
    direct = DirectChunks.of(dataset, layout)
    return Part(dataset, layout, first, Stamp.of(dataset.file.filename), sources, stored, direct)


def _with_cache(dataset: Any, layout: Layout) -> Any:
    """Keep unpacked chunks only where one serves several frames; else that costs a copy of each."""
    chunks = dataset.chunks
    rows, columns = (-(-dataset.shape[k] // chunks[k]) for k in layout.image)
    size = rows * columns * int(np.prod(chunks)) * dataset.dtype.itemsize
    if all(chunks[k] == 1 for k in layout.lead) or size > CHUNK_CACHE_BYTES:
        return dataset
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_chunk_cache(10007, CHUNK_CACHE_BYTES, 1.0)
    return _reopen(dataset, access)


def beside_file(dataset: Any) -> Any:
    """Let HDF5 look for raw storage where it was checked: beside the file, not in the working folder."""
    access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
    access.set_efile_prefix(b"${ORIGIN}")
    return _reopen(dataset, access)


def _reopen(dataset: Any, access: Any) -> Any:
    # Access properties count when a dataset is opened first, so it must not be open already.
    file, name = dataset.file, dataset.name.encode()
    dataset.id.close()
    return h5py.Dataset(h5py.h5d.open(file.id, name, access))


class Hdf5Source(Source):
    """Frames of an HDF5 file. Follows a growing dataset by SWMR, or by opening the file again."""

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        super().__init__(location, frame_axis, beat)
        self._file = open_file(location.path)
        try:
            self._open()
        except Exception as error:
            self._file.close()
            if isinstance(error, SourceError):
                raise
            raise SourceError(
                f"{location} cannot be opened ({reason(error)}); check that the file is complete."
            ) from error

    def _open(self) -> None:
        entries = tree(self._file, self._beat)
        choice = self._choose(entries)
        self._parts: list[Part] = []
        for path in choice.paths:
            dataset = follow(self._file, path)
            part = make_part(dataset, self._frame_axis, self._count(), self._beat)
            self._parts.append(part)
        self._check_parts()
        self._describe(choice, entries)

    def _choose(self, entries: tuple[DatasetEntry, ...]) -> Choice:
        inner = self._location.inner
        if not inner:
            return choose(self._file, entries)
        inner = "/" + inner.strip("/")
        if isinstance(follow(self._file, inner), h5py.Dataset):
            return Choice((inner,))
        return choose(self._file, entries, inner)

    def _count(self) -> int:
        return self._parts[-1].first + self._parts[-1].layout.frames if self._parts else 0

    def _check_parts(self) -> None:
        head = self._parts[0]
        for part in self._parts[1:]:
            same = part.layout.frame_shape == head.layout.frame_shape
            if not same or part.dataset.dtype != head.dataset.dtype:
                raise SourceError(
                    f"{where_is(part.dataset)} has other frames than {where_is(head.dataset)}; open them one"
                    " by one."
                )
        if head.virtual is not None:
            where = f"Frame 0 of {where_is(head.dataset)}"
            head.virtual.check(head.layout.start(0), head.layout.count(), where)

    def _describe(self, choice: Choice, entries: tuple[DatasetEntry, ...]) -> None:
        head, path = self._parts[0], choice.paths[0]
        dataset, layout = head.dataset, head.layout
        frames = self._count()
        quantities, metadata = hdf5_meta.experiment(self._file, path, entries)
        notes: tuple[str, ...] = ()
        if len(dataset.shape) == 4:
            electrons, notes = hdf5_stem.calibration(self._file, path, entries)
            quantities, metadata = quantities | electrons, metadata | shown(electrons)
        self._mask = hdf5_meta.pixel_mask(self._file, path, entries, layout.frame_shape)
        maximum = dataset.maxshape[layout.frame_axis]
        grows = maximum is None or maximum > dataset.shape[layout.frame_axis] or self._file.swmr_mode
        info = describe(
            Location(self._location.path, path if len(choice.paths) == 1 else self._location.inner),
            "Dectris master (HDF5)" if len(choice.paths) > 1 else "HDF5",
            layout,
            image_dtype(dataset.dtype, where_is(dataset)),
            identity=self._identity(choice.paths),
            metadata=metadata | self._storage(),
            quantities=quantities,
            axes=hdf5_meta.axes(self._file, path, entries, frames),
            warnings=self._warnings(choice) + notes,
            datasets=entries,
            can_grow=bool(grows or len(choice.paths) > 1),
            masked_pixels=None if self._mask is None else int(self._mask.sum()),
        )
        self._info = replace(info, frames=frames, stack_shape=(frames,)) if len(self._parts) > 1 else info

    def _identity(self, paths: tuple[str, ...]) -> str:
        stamps = [p.stamp for p in self._parts]
        stamps += [s for p in self._parts if p.virtual is not None for s in p.virtual.stamps]
        own = Stamp.of(self._location.path)
        known = sorted({s.key for s in (own, *stamps)})
        return identity([*known, *paths, self._parts[0].layout.lead])

    def _storage(self) -> dict[str, str]:
        dataset = self._parts[0].dataset
        plist = dataset.id.get_create_plist()
        names = [os.fsdecode(plist.get_filter(k)[3]).split(";")[0] for k in range(plist.get_nfilters())]
        lines = {"stored as": "virtual dataset" if dataset.is_virtual else ", ".join(names) or "uncompressed"}
        if dataset.chunks:
            lines["chunks"] = " × ".join(map(str, dataset.chunks))
        if outside := self._outside():
            lines["data come from"] = ", ".join(outside[:3]) + " …" * (len(outside) > 3)
        return lines

    def _outside(self) -> list[str]:
        """Folders outside that of the file, to which links and virtual datasets lead."""
        home = os.path.realpath(os.path.dirname(os.path.abspath(self._location.path)))
        stamps = [p.stamp for p in self._parts]
        stamps += [s for p in self._parts if p.virtual is not None for s in p.virtual.stamps]
        folders = {os.path.realpath(os.path.dirname(os.path.abspath(s.path))) for s in stamps}
        return sorted(f for f in folders if os.path.commonpath([home, f]) != home)

    def _warnings(self, choice: Choice) -> tuple[str, ...]:
        found = [choice.warning] if choice.warning else []
        for part in self._parts:
            if part.virtual is not None and part.virtual.problems:
                found.append(f"Some frames cannot be shown: {part.virtual.problems[0]}")
            if part.stored is not None and part.stored.sparse:
                found.append(
                    f"{where_is(part.dataset)} was only written in part; frames without data are refused."
                )
        return tuple(found)

    def mask(self) -> NDArray[np.bool_] | None:
        """(H, W) bool, True = bad: the file's own pixel mask, or None."""
        return self._mask

    def _read_into(self, index: int, out: NDArray) -> None:
        part = next(p for p in reversed(self._parts) if p.first <= index)
        part.stamp.check()
        part.read(index - part.first, out)

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._parts = []
        self._file.close()


def load_array(location: Location) -> NDArray:
    """Whole dataset of a real or boolean type, for masks and calibration images. Raises SourceError."""
    with open_file(location.path) as file:
        path = location.inner or choose_image(file)
        dataset = follow(file, path)
        where = where_is(dataset)
        if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
            raise SourceError(f"{where} is no dataset with values; choose one that holds an image.")
        dtype = image_dtype(dataset.dtype, where, allow_bool=True)
        check_frame_size(dataset.shape, dtype, where)
        check_dataset(dataset)
        if dataset.external:
            dataset = beside_file(dataset)
        if dataset.is_virtual and (problems := virtual_map(dataset).problems):
            raise SourceError(problems[0])
        return np.asarray(dataset[()], dtype)


def choose_image(file: Any) -> str:
    """Path of the mask or image in a file that holds one; booleans count."""
    entries = tree(file)
    booleans = [e.path for e in entries if e.dtype == "bool" and len(e.shape) == 2]
    masks = [e.path for e in entries if e.path.endswith("mask") and len(e.shape) == 2]
    for found in (masks, booleans):
        if len(found) == 1:
            return found[0]
    return choose(file, entries).paths[0]

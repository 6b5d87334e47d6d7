"""Several sources as one series: the frames of the second follow those of the first."""

from collections import OrderedDict
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import Beat, Location, Source, identity, silent
from braggscope.app.sources.many import several
from braggscope.app.sources.protocol import SourceError, SourceInfo

MOST_OPEN = 4  # files held open at a time


class JoinedSource(Source):
    """Each file is opened once to learn what it holds, and again when its frames are read.

    All must hold frames of one shape and type. Masks are combined; axes and metadata that all share are
    kept.
    """

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        super().__init__(location, frame_axis, beat)
        self._places = several(location.path) or [location.path]
        self._held: OrderedDict[int, Source] = OrderedDict()
        self._mask: NDArray[np.bool_] | None = None
        infos = []
        try:
            for number in range(len(self._places)):
                beat()
                source = self._opened(number)
                infos.append(source.info)
                self._check_alike(infos[0], source.info)
                self._combine(source.mask())
        except BaseException:
            self.close()
            raise
        self._identities = [info.identity for info in infos]
        self._first = np.concatenate([[0], np.cumsum([info.frames for info in infos])])
        self._info = self._described(infos)

    def mask(self) -> NDArray[np.bool_] | None:
        """(H, W) bool, True = bad in any of the files."""
        return self._mask

    def _combine(self, mask: NDArray[np.bool_] | None) -> None:
        if mask is not None:
            self._mask = mask if self._mask is None else self._mask | mask

    def _check_alike(self, first: SourceInfo, other: SourceInfo) -> None:
        if (other.shape, other.dtype) != (first.shape, first.dtype):
            raise SourceError(
                f"{other.location} holds frames of {other.shape} {other.dtype} where {first.location} holds "
                f"{first.shape} {first.dtype}; analyse it by itself."
            )

    def _described(self, infos: list[SourceInfo]) -> SourceInfo:
        first = infos[0]
        frames = int(self._first[-1])
        parts = tuple(zip((i.location for i in infos), self._first[:-1].tolist(), strict=True))
        common = [i.quantities.items() for i in infos]
        quantities = dict(reduce(lambda a, b: [p for p in a if p in b], common[1:], list(common[0])))
        left = sorted(set(first.quantities) - set(quantities))
        notes = [f"{', '.join(left)} differ between the files and are left out."] if left else []
        shared = [i.metadata.items() for i in infos]
        metadata = dict(reduce(lambda a, b: [p for p in a if p in b], shared[1:], list(shared[0])))
        axes = {
            name: np.concatenate([i.axes[name] for i in infos])
            for name in first.axes
            if all(name in i.axes for i in infos)
        }
        return replace(
            first,
            location=self._location.path,
            format=f"{len(infos)} files of {first.format}",
            frames=frames,
            identity=identity([i.identity for i in infos]),
            metadata={"files": f"{len(infos)} from {first.location} to {infos[-1].location}"} | metadata,
            axes=axes,
            warnings=tuple(dict.fromkeys([*notes, *(text for i in infos for text in i.warnings)])),
            datasets=(),
            frame_axis=0,
            stack_shape=(frames,),
            can_grow=False,
            quantities=quantities,
            masked_pixels=None if self._mask is None else int(self._mask.sum()),
            parts=parts,
        )

    def _opened(self, number: int) -> Source:
        from braggscope.app.sources.registry import open_source

        source = self._held.pop(number, None)
        if source is None:
            while len(self._held) >= MOST_OPEN:
                self._held.popitem(last=False)[1].close()
            source = open_source(self._places[number], self._frame_axis, self._beat)
        self._held[number] = source
        return source

    def _read_into(self, index: int, out: NDArray) -> None:
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        source = self._opened(number)
        if source.info.identity != self._identities[number]:
            raise SourceError(f"{self._places[number]} changed after it was opened; open the series again.")
        source.read_into(index - int(self._first[number]), out)

    def close(self) -> None:
        """Release the files. May be called twice."""
        while self._held:
            self._held.popitem()[1].close()

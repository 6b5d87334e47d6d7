"""Which chunks are in a file: the same as HDF5 says one by one, without asking it so often."""

import h5py
import numpy as np
import pytest

from braggscope.app.sources import hdf5_stored
from braggscope.app.sources.base import Layout
from braggscope.app.sources.hdf5_stored import StoredChunks

SHAPE, CHUNK = (40, 30, 20), (1, 16, 8)
MISSING = (3, 7, 39)


def scan(path, missing=(), **options):
    values = np.random.default_rng(1).integers(1, 9, SHAPE).astype("u2")
    with h5py.File(path, "w", **options) as file:
        data = file.create_dataset("d", SHAPE, "u2", chunks=CHUNK, maxshape=(None, *SHAPE[1:]))
        for k in range(len(values)):
            if k not in missing:
                data[k] = values[k]
        if missing:
            data[missing[0], 17, 9] = 5  # one chunk of a frame is enough
    return path


def held(path):
    with h5py.File(path) as file:
        layout = Layout.of(SHAPE, None, "d")
        stored = StoredChunks(file["d"], layout)
        return stored.sparse, [stored.hold(layout.start(k)) for k in range(SHAPE[0])]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("most", [0, hdf5_stored.MOST_LISTED])
def test_frames_without_data_are_known(tmp_path, monkeypatch, libver, most):
    monkeypatch.setattr(hdf5_stored, "MOST_LISTED", most)
    assert held(scan(tmp_path / "a.h5", libver=libver)) == (False, [True] * SHAPE[0])
    sparse, found = held(scan(tmp_path / "b.h5", MISSING, libver=libver))
    assert sparse
    assert [k for k, there in enumerate(found) if not there] == list(MISSING[1:])


class Counting:
    """A dataset's id that counts how often single chunks are looked up."""

    def __init__(self, inner):
        self.inner, self.looked_up = inner, 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def get_chunk_info_by_coord(self, place):
        self.looked_up += 1
        return self.inner.get_chunk_info_by_coord(place)


def test_what_is_there_is_not_looked_up(tmp_path):
    with h5py.File(scan(tmp_path / "a.h5", MISSING)) as file:
        layout = Layout.of(SHAPE, None, "d")
        stored = StoredChunks(file["d"], layout)
        stored._id = counting = Counting(file["d"].id)
        assert all(stored.hold(layout.start(k)) for k in range(SHAPE[0]) if k not in MISSING[1:])
        assert counting.looked_up == 0
        assert not stored.hold(layout.start(MISSING[1]))
        assert counting.looked_up == 2 * 3


def test_what_is_written_later_is_found(tmp_path):
    with h5py.File(scan(tmp_path / "a.h5", MISSING), "r+") as file:
        layout = Layout.of(SHAPE, None, "d")
        stored = StoredChunks(file["d"], layout)
        assert not stored.hold(layout.start(MISSING[1]))
        file["d"][MISSING[1]] = 1
        assert stored.hold(layout.start(MISSING[1]))

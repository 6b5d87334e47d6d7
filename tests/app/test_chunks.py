"""Chunks read as they are stored: the same pixels as HDF5 gives, and never zeros for broken ones."""

import logging

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba import typeof

from braggscope.app.sources import chunks
from braggscope.app.sources.base import Layout
from braggscope.app.sources.chunks import DirectChunks
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.registry import open_source
from braggscope.models import bitshuffle

SHAPE = (5, 151, 517)  # pixels of a frame are no multiple of eight


def pack(path, data, chunk=None, **options):
    options = options or dict(hdf5plugin.Bitshuffle())
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=data, chunks=chunk or (1, *data.shape[1:]), **options)
    return path


def frames(dtype, shape=SHAPE):
    random = np.random.default_rng(3)
    data = random.poisson(3, shape).astype(dtype)
    data[:, ::40, ::60] += np.array(100).astype(dtype)
    data[1] = 0
    data[2] = (random.random(shape[1:]) * 1e9).astype("u8").astype(dtype)  # LZ4 finds nothing in it
    data[3, :, :] = np.arange(shape[2]).astype(dtype)
    return data


@pytest.fixture(autouse=True)
def _compiled():
    for size in (1, 2, 4, 8):
        chunks.prepare(np.dtype(f"u{size}"))


def direct_frames(path, threads=2, frame_axis=None):
    """All frames by direct chunks, None where they are left to HDF5."""
    with h5py.File(path) as file:
        layout = Layout.of(file["d"].shape, frame_axis, "d")
        direct = DirectChunks.of(file["d"], layout, threads)
        if direct is None:
            return None
        out = [np.full(layout.frame_shape, 77, file["d"].dtype) for _ in range(layout.frames)]
        direct.read(0, out[0], "frame 0")
        return [o if direct.read(k, o, f"frame {k}") else None for k, o in enumerate(out)]


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "f4", "u8", "i8", "f8"])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_type_comes_out_as_hdf5_gives_it(tmp_path, dtype, threads):
    data = frames(dtype)
    path = pack(tmp_path / "a.h5", data)
    with h5py.File(path) as file:
        by_hdf5 = file["d"][()]
    for k, frame in enumerate(direct_frames(path, threads)):
        assert frame.tobytes() == by_hdf5[k].tobytes() == data[k].tobytes()


@pytest.mark.parametrize("block", [8, 16, 1000, 4096, 65536])
def test_any_size_of_blocks(tmp_path, block):
    data = frames("u2")
    path = pack(tmp_path / "a.h5", data, **hdf5plugin.Bitshuffle(nelems=block))
    np.testing.assert_array_equal(direct_frames(path), data)


@given(
    st.sampled_from(["u1", "u2", "u4", "u8"]).flatmap(
        lambda kind: hnp.arrays(
            kind, st.tuples(st.integers(1, 40), st.integers(1, 60)), elements=hnp.from_dtype(np.dtype(kind))
        )
    ),
    st.integers(0, 9),
    st.sampled_from([0, 8, 64]),
)
def test_any_image_comes_out_the_same(image, zeros, block):
    image = np.tile(image, (3, 1)) * (np.arange(3 * len(image))[:, None] % 10 >= zeros)
    image = np.ascontiguousarray(image).astype(image.dtype)
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset("d", data=image, chunks=image.shape, **hdf5plugin.Bitshuffle(nelems=block))
        direct = DirectChunks.of(data, Layout.of(image.shape, None, "d"), 1)
        out = np.full_like(image, 7)
        direct.read(0, out, "")
        assert direct.read(0, out, "")
    np.testing.assert_array_equal(out, image)


def test_whole_sources_read_the_same_from_the_first_frame_on(tmp_path):
    data = frames("u4")
    source = open_source(str(pack(tmp_path / "a.h5", data)))
    for k in (0, 1, 4, 3, 2, 0):
        np.testing.assert_array_equal(source.read(k), data[k])
    source.close()


def layouts(path, data):
    """Kinds of files that are left to HDF5."""
    tiled = (1, 128, data.shape[2])
    return {
        "several chunks a frame": lambda: pack(path, data, tiled, **hdf5plugin.Bitshuffle()),
        "several frames a chunk": lambda: pack(path, data, (2, *data.shape[1:]), **hdf5plugin.Bitshuffle()),
        "zstd": lambda: pack(path, data, **hdf5plugin.Bitshuffle(cname="zstd")),
        "bitshuffle alone": lambda: pack(path, data, **hdf5plugin.Bitshuffle(cname="none")),
        "big endian": lambda: pack(path, data.astype(">u2")),
        "gzip": lambda: pack(path, data, compression="gzip"),
        "checksum as well": lambda: pack(path, data, **hdf5plugin.Bitshuffle(), fletcher32=True),
        "plain": lambda: pack(path, data, shuffle=False, chunk=tiled),
    }


@pytest.mark.parametrize("kind", list(layouts(None, np.empty((1, 1, 1)))))
def test_the_unusual_is_left_to_hdf5_and_reads_the_same(tmp_path, kind):
    data = frames("u2")
    layouts(tmp_path / "a.h5", data)[kind]()
    assert direct_frames(tmp_path / "a.h5") is None
    source = open_source(str(tmp_path / "a.h5"))
    for k in (0, 1, 2, 3, 4):
        np.testing.assert_array_equal(source.read(k), data[k])
    source.close()


def test_virtual_datasets_are_left_to_hdf5(tmp_path):
    data = frames("u2")
    pack(tmp_path / "a.h5", data)
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    layout[:] = h5py.VirtualSource(tmp_path / "a.h5", "d", data.shape)
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file.create_virtual_dataset("d", layout)
    assert direct_frames(tmp_path / "v.h5") is None


def chunk_of(path, k):
    with h5py.File(path) as file:
        return file["d"].id.read_direct_chunk((k, 0, 0))[1]


def put_chunk(path, k, packed, mask=0):
    with h5py.File(path, "r+") as file:
        file["d"].id.write_direct_chunk((k, 0, 0), packed, mask)


def test_a_chunk_that_skipped_the_filter_is_left_to_hdf5(tmp_path):
    data = frames("u2")
    path = pack(tmp_path / "a.h5", data)
    put_chunk(path, 1, data[4].tobytes(), mask=1)
    found = direct_frames(path)
    assert [f is None for f in found] == [False, True, False, False, False]
    source = open_source(str(path))
    source.read(0)
    np.testing.assert_array_equal(source.read(1), data[4])
    source.close()


def test_a_chunk_that_was_never_written_is_left_to_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("d", SHAPE, "u2", chunks=(1, *SHAPE[1:]), fillvalue=9,
                                   **hdf5plugin.Bitshuffle())  # fmt: skip
        data[0] = 3
    assert [f is None for f in direct_frames(tmp_path / "a.h5")] == [False, True, True, True, True]
    source = open_source(str(tmp_path / "a.h5"))
    source.read(0)
    with pytest.raises(SourceError, match="never written"):
        source.read(1)
    source.close()


@pytest.mark.parametrize("byte", [7, 10])
def test_a_chunk_of_another_or_unsaid_size_is_left_to_hdf5(tmp_path, byte):
    path = pack(tmp_path / "a.h5", frames("u2"))
    packed = bytearray(chunk_of(path, 1))
    packed[byte] = 0
    put_chunk(path, 1, bytes(packed))
    assert direct_frames(path)[1] is None


DAMAGED = frames("u2", (5, 40, 520))


@given(st.data())
def test_damaged_chunks_end_in_a_sentence_or_in_whole_blocks(data):
    """No damage kills, writes elsewhere or is passed over: what is decoded as good filled every block."""
    image = DAMAGED[data.draw(st.sampled_from([0, 2, 3]))]
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        stored = file.create_dataset("d", data=image, chunks=image.shape, **hdf5plugin.Bitshuffle(nelems=512))
        packed = bytearray(stored.id.read_direct_chunk((0, 0))[1])
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(12, len(packed) - 1))] = data.draw(st.integers(0, 255))
    packed = packed[: data.draw(st.one_of(st.just(len(packed)), st.integers(0, len(packed))))]
    guard = np.full(image.size + 128, 0xA5A5, "u2")
    out = guard[64:-64]
    chunk = np.frombuffer(bytes(packed), np.uint8)
    block, starts = bitshuffle.block_starts(chunk, image.size, 2)
    if block > 0:
        whole = bitshuffle.decode(chunk, starts, block, 0, len(starts) - 1, out)
        assert not whole or len(starts) - 1 == -(-image.size // 512)
    assert (guard[:64] == 0xA5A5).all()
    assert (guard[-64:] == 0xA5A5).all()


@pytest.mark.parametrize("damage", ["cut", "long block", "zeros", "bad distance"])
def test_a_broken_chunk_is_an_error_never_zeros(tmp_path, damage):
    path = pack(tmp_path / "a.h5", frames("u2"))
    packed = bytearray(chunk_of(path, 3))
    if damage == "cut":
        packed = packed[: len(packed) // 2]
    elif damage == "long block":
        packed[12:16] = b"\x7f\xff\xff\xff"
    elif damage == "zeros":
        packed[16:200] = bytes(184)
    else:
        packed[16:20] = b"\x10\x00\xff\xff"
    put_chunk(path, 3, bytes(packed))
    source = open_source(str(path))
    source.read(0)
    np.testing.assert_array_equal(source.read(2), frames("u2")[2])
    with pytest.raises(SourceError, match=r"Frame 3 .* damaged"):
        source.read(3)
    source.close()


def test_unpacking_is_made_ready_in_the_background(tmp_path, monkeypatch):
    data = frames("u2")
    path = pack(tmp_path / "a.h5", data)
    monkeypatch.setattr(chunks, "_ready", {})
    asked = []
    monkeypatch.setattr(chunks, "prepare", lambda dtype: asked.append(dtype))
    assert direct_frames(path) == [None] * 5
    assert asked
    assert set(asked) == {np.dtype("u2")}


def test_what_cannot_be_compiled_is_tried_once_and_left_to_hdf5(tmp_path, monkeypatch, caplog):
    tried = []

    def fail(dtype):
        tried.append(dtype)
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(chunks, "_ready", {})
    monkeypatch.setattr(chunks, "_compiled", fail)
    monkeypatch.setattr(chunks, "log", logging.Logger("alone"))  # others may be told to keep still
    chunks.log.addHandler(caplog.handler)
    assert chunks.prepare(np.dtype("u2")) is None
    assert direct_frames(pack(tmp_path / "a.h5", frames("u2"))) == [None] * 5
    assert tried == [np.dtype("u2")]
    assert "no compiler here" in caplog.text


def test_what_is_prepared_is_what_reads(tmp_path, monkeypatch):
    kinds = set()
    monkeypatch.setattr(
        DirectChunks, "_unpack", lambda self, _, *arrays: kinds.add(typeof(arrays[0])) or True
    )
    direct_frames(pack(tmp_path / "a.h5", frames("u2")))
    monkeypatch.undo()
    assert len(kinds) == 1
    assert kinds <= {signature[0] for signature in bitshuffle.decode.signatures[:1]}  # of the first fixture

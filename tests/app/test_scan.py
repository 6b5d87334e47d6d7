"""Scans as the engine sees them: their shape, their patterns in blocks, passes over them on threads."""

import threading
import time

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scans import SIDE, small_scan

from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.scan import Patterns, Scan, open_scan, patterns_of
from braggscope.app.engine.scan_pass import blocks_of, over_scan
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return small_scan(tmp_path_factory.mktemp("scan") / "scan.h5")


def info_of(frames, stack_shape, shape=(64, 64)):
    return SourceInfo("a.h5", "HDF5", frames, shape, "uint16", "1", stack_shape=stack_shape)


def shaped(**strain):
    return Parameters().with_strain(**strain)


def test_the_scan_is_what_the_source_says_or_what_is_given():
    assert Scan.of(info_of(24, (4, 6)), Parameters()).scan_shape == (4, 6)
    assert Scan.of(info_of(24, (24,)), shaped(scan_shape=(3, 8))).scan_shape == (3, 8)
    assert Scan.of(info_of(24, (2, 3, 4)), shaped(scan_shape=(6, 4))).scan_shape == (6, 4)
    binned = Scan.of(info_of(24, (4, 6)), Parameters().with_prepare(binning=2))
    assert binned.shape == (32, 32)


@pytest.mark.parametrize(
    ("info", "parameters", "says"),
    [
        (info_of(1, ()), Parameters(), "is one image of 64 x 64 pixels"),
        (info_of(24, (24,)), Parameters(), "--scan-shape R,C"),
        (info_of(24, (4, 6)), shaped(scan_shape=(5, 5)), "holds 24 patterns, which make no scan of 5 x 5"),
        (info_of(24, (4, 6), (64, 4)), Parameters(), "too few for disks"),
    ],
)
def test_what_is_no_scan_is_one_sentence(info, parameters, says):
    with pytest.raises(SourceError) as caught:
        Scan.of(info, parameters)
    assert says in str(caught.value)
    assert str(caught.value).count(". ") == 0


def test_regions_count_row_by_row():
    scan = Scan.of(info_of(24, (4, 6)), Parameters())
    assert scan.at((1, 3, 2, 4)).tolist() == [8, 9, 14, 15]
    assert len(scan.at(None)) == 24
    with pytest.raises(SourceError, match="beyond the scan"):
        scan.at((0, 5, 0, 1))
    assert scan.spread(100).tolist() == list(range(24))
    assert scan.spread(3).tolist() == [0, 12, 23]


@given(st.sets(st.integers(0, 200)), st.integers(1, 40))
def test_blocks_are_cut_at_gaps_and_at_multiples_of_their_size(chosen, size):
    positions = np.array(sorted(chosen), np.int64)
    blocks = blocks_of(positions, size)
    assert np.array_equal(np.concatenate([*blocks, np.empty(0, np.int64)]), positions)
    for block in blocks:
        assert (np.diff(block) == 1).all()
        assert len(np.unique(block // size)) == 1  # so a run that is resumed cuts as the first one did
    known = {int(block[0]) for block in blocks}
    assert all(p in known for p in positions.tolist() if p % size == 0)


def test_blocks_are_read_at_once(scan):
    with Reader() as reader:
        reader.open(str(scan.path))
        assert reader.block >= 24
        whole = scan.patterns.reshape(-1, SIDE, SIDE)
        assert np.array_equal(reader.read_block(3, 20), whole[3:23])
        assert np.array_equal(reader.read(2), whole[2])
        assert np.array_equal(reader.read_block(22, 2), whole[22:])
        with pytest.raises(SourceError, match="no frame 24"):
            reader.read_block(20, 5)
        with pytest.raises(ValueError, match="at once"):
            reader.read_block(0, reader.block + 1)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_position_comes_once(scan, workers):
    got = {}
    with patterns_of(str(scan.path), Parameters(), silent_context()) as patterns:
        for positions, found, problems in over_scan(
            patterns, [0, 1, 2, 9, 10, 23], lambda: lambda block: block.patterns.sum(axis=(1, 2)),
            silent_context(), workers=workers, size=2,
        ):  # fmt: skip
            assert not problems
            got |= dict(zip(positions.tolist(), found.tolist(), strict=True))
    whole = scan.patterns.reshape(-1, SIDE, SIDE).sum(axis=(1, 2))
    assert got == {k: whole[k] for k in (0, 1, 2, 9, 10, 23)}


def test_preparation_bins_and_marks_what_is_bad(tmp_path):
    values = np.random.default_rng(2).poisson(9, (2, 3, 16, 16)).astype(np.uint32)
    values[..., 4, 4] = 2**32 - 1  # a dead pixel everywhere
    values[0, 1, 9, 9] = 2**32 - 1  # and one lost once
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = values
    with patterns_of(str(tmp_path / "a.h5"), Parameters(), silent_context()) as patterns:
        found = patterns.take(np.arange(6), silent_context())
        assert patterns.mask.sum() == 1
        assert patterns.mask[4, 4]
    assert np.isnan(found[1, 9, 9])
    assert np.isnan(found).sum() == 1
    binned = Parameters().with_prepare(binning=2)
    with patterns_of(str(tmp_path / "a.h5"), binned, silent_context()) as patterns:
        assert patterns.take(np.array([0]), silent_context()).shape == (1, 8, 8)
        assert patterns.mask[2, 2]


def test_a_pattern_that_cannot_be_read_spares_the_others(tmp_path):
    scan = small_scan(tmp_path / "a.h5")
    with h5py.File(scan.path, "r+") as file:
        data = file["/entry/data/data"]
        del file["/entry/data/data"]
        kept = file.create_dataset(
            "/entry/data/data", data=scan.patterns, chunks=(1, 1, SIDE, SIDE), compression="gzip"
        )
        kept.id.write_direct_chunk((1, 1, 0, 0), b"\x07" * 40)
        del data
    got, said = [], {}
    with patterns_of(str(scan.path), Parameters(), silent_context()) as patterns:
        for positions, _, problems in over_scan(
            patterns, range(24), lambda: lambda block: len(block.patterns), silent_context()
        ):
            got += positions.tolist()
            said |= problems
    assert sorted(got) == [k for k in range(24) if k != 7]
    assert list(said) == [7]
    assert "cannot be read" in said[7]


def test_a_pattern_that_cannot_be_worked_on_spares_the_others(scan):
    def make():
        def work(block):
            if 5 in block.positions:
                raise ValueError("there is no disk in this pattern")
            return len(block.patterns)

        return work

    got, said = [], {}
    with patterns_of(str(scan.path), Parameters(), silent_context()) as patterns:
        for positions, _, problems in over_scan(patterns, range(24), make, silent_context()):
            got += positions.tolist()
            said |= problems
    assert sorted(got) == [k for k in range(24) if k != 5]
    assert said == {5: "Pattern 5: there is no disk in this pattern."}


def test_what_no_thread_can_start_with_ends_the_pass(scan):
    def make():
        raise ValueError("the probe is larger than the pattern")

    with (
        patterns_of(str(scan.path), Parameters(), silent_context()) as patterns,
        pytest.raises(ValueError, match="larger than the pattern"),
    ):
        list(over_scan(patterns, range(24), make, silent_context()))


def test_a_pass_is_cancelled_within_a_fifth_of_a_second(scan):
    context = Context(Ticket(1), lambda _: None)
    with patterns_of(str(scan.path), Parameters(), silent_context()) as patterns:
        slow = lambda block: time.sleep(0.4)  # noqa: E731
        threading.Timer(0.2, context.cancelled.set).start()
        with pytest.raises(Cancelled):
            list(over_scan(patterns, range(24), lambda: slow, context, size=1))
        late = time.monotonic()
        assert context.cancelled.is_set()
    assert time.monotonic() - late < 1.0


def test_the_scan_is_opened_with_its_axis(scan):
    with Reader() as reader:
        turned = open_scan(reader, str(scan.path), Parameters(), frame_axis=1)
        assert turned.scan_shape == (6, 4)
        patterns = Patterns(reader, turned, Parameters(), silent_context())
        found = patterns.take(np.array([1]), silent_context())
    assert np.array_equal(found[0], scan.patterns[1, 0])

"""The engine of 4D-STEM: disks on threads, live maps, journal."""

import contextlib

import numpy as np
import psutil
import pytest
from scans import SIDE, correlation, disk, small_scan, written

from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.journal import Journal, JournalError
from braggscope.app.engine.scan import patterns_of
from braggscope.app.engine.scan_images import run_virtual
from braggscope.app.engine.strain import run_strain
from braggscope.app.engine.strain_key import strain_key
from braggscope.app.engine.strain_records import Found
from braggscope.app.engine.strain_result import StrainError
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.raw import raw_location
from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.results import Disks, LatticeMap
from braggscope.models.parameters import Parameters

KEY = {"source": "a", "parameters": "b"}


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return small_scan(tmp_path_factory.mktemp("strain") / "scan.h5")


@pytest.fixture(scope="module")
def result(scan):
    return run_strain(str(scan.path), correlation(), None, silent_context())


# -- the way from patterns to maps ----------------------------------------------------------------------


def test_strain_is_what_was_put_in(scan, result):
    strain = result.strain
    assert strain.valid.all()
    for name, truth in (("exx", scan.exx), ("theta", scan.theta), ("eyy", 0), ("exy", 0)):
        error = getattr(strain, name) - truth
        assert np.sqrt(np.mean(error**2)) < 2e-3, name
        assert np.median(np.abs(error) / getattr(strain, f"{name}_err")) < 2, name
    assert result.complete
    assert result.scan_step_nm == 2.0
    assert result.timing.patterns == 24
    assert result.images["bright_field"].shape == (4, 6)
    assert result.disks.pattern.tolist() == sorted(result.disks.pattern.tolist())
    assert len(np.unique(result.disks.pattern)) == 24


def test_maps_fill_in_live(scan, monkeypatch):
    from braggscope.app.engine import disk_tools
    from braggscope.app.engine import strain as engine

    monkeypatch.setattr(engine, "REPORT_S", 0.0)
    monkeypatch.setattr(engine, "PATIENCE", 0.0)
    monkeypatch.setitem(disk_tools.SIZES, "correlation", 4)
    seen, reports = [], []
    context = Context(Ticket(1), reports.append)
    run_strain(str(scan.path), correlation(), None, context, seen.append, workers=1)
    counts = [int(partial.strain.valid.sum()) for partial in seen]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == 24
    assert not seen[0].complete
    assert np.isnan(seen[0].strain.exx[~seen[0].strain.valid]).all()
    assert reports[-1].payload is seen[-1]
    assert [r.done for r in reports] == sorted(r.done for r in reports)
    final = run_strain(str(scan.path), correlation(), None, silent_context())
    np.testing.assert_allclose(seen[-1].strain.exx, final.strain.exx, atol=2e-4)


def test_a_region_of_the_scan_is_enough(scan):
    parameters = Parameters().with_strain(method="correlation")
    found = run_strain(str(scan.path), parameters, None, silent_context(), region=(1, 3, 0, 6))
    assert found.strain.valid.sum() == 12
    assert not found.strain.valid[0].any()


def test_a_series_is_reshaped(scan, tmp_path):
    path = written(tmp_path / "series.h5", scan.patterns.reshape(24, SIDE, SIDE))
    found = run_strain(path, correlation(scan_shape=(4, 6)), None, silent_context())
    assert found.strain.exx.shape == (4, 6)
    assert np.abs(found.strain.exx - scan.exx).max() < 5e-3


def test_an_ellipse_is_undone(scan):
    stretched = correlation(ellipse=(1.03, 0.4))
    plain = run_strain(str(scan.path), correlation(), None, silent_context())
    found = run_strain(str(scan.path), stretched, None, silent_context())
    vectors = found.lattices.values[:, 2:4] - plain.lattices.values[:, 2:4]
    assert np.abs(vectors).max() > 0.1
    assert np.sqrt(np.mean((found.strain.exx - scan.exx) ** 2)) < 3e-3


def test_binned_patterns_measure_the_same(tmp_path):
    scan = small_scan(tmp_path / "a.h5")
    fine = np.kron(scan.patterns, np.ones((2, 2), np.uint16))
    path = written(tmp_path / "fine.h5", fine)
    found = run_strain(path, correlation().with_prepare(binning=2), None, silent_context())
    assert found.scan.shape == (SIDE, SIDE)
    assert np.sqrt(np.mean((found.strain.exx - scan.exx) ** 2)) < 3e-3


def test_bad_patterns_spare_the_others(scan, tmp_path):
    patterns = scan.patterns.copy()
    patterns[2, 3] = 0  # nothing there
    patterns[1, 1] = np.random.default_rng(0).poisson(5, (SIDE, SIDE))  # only noise
    found = run_strain(written(tmp_path / "a.h5", patterns), correlation(), None, silent_context())
    assert not found.strain.valid[2, 3]
    assert not found.strain.valid[1, 1]
    assert found.strain.valid.sum() == 22
    assert np.isnan(found.strain.exx[2, 3])


def test_the_lattice_fit_measures_the_same(scan, tmp_path):
    parameters = Parameters().with_strain(method="lattice", reference=(0, 4, 0, 2))
    with contextlib.closing(Journal.start(tmp_path / "j", KEY)) as journal:
        found = run_strain(str(scan.path), parameters, journal, silent_context())
        again = run_strain(str(scan.path), parameters, journal, silent_context())
    assert np.sqrt(np.mean((found.strain.exx - scan.exx) ** 2)) < 3e-3
    assert found.fitted is not None
    assert len(np.unique(found.disks.pattern)) == 24
    assert again.timing.patterns == 0
    assert np.array_equal(again.strain.exx, found.strain.exx)
    bent = run_strain(str(scan.path), parameters.with_strain(ellipse=(1.03, 0.4)), None, silent_context())
    assert np.sqrt(np.mean((bent.strain.exx - scan.exx) ** 2)) < 3e-3
    assert np.abs(bent.lattices.values[:, 2] - found.lattices.values[:, 2]).max() > 0.1


class Network:
    """Finds what correlation finds, as the real one is asked."""

    device = "cpu"

    def find(self, patterns, mask, probe, threshold, most, spacing, edge):
        settings = correlation().strain.model_copy(
            update={"threshold": threshold, "most": most, "spacing": spacing, "edge": edge}
        )
        return Correlator(probe, patterns.shape[1:], settings, mask).find(patterns)


def test_the_network_is_asked_as_it_wants_to_be(scan, result, monkeypatch):
    from braggscope.app.engine import disk_tools

    asked = []
    monkeypatch.setattr(disk_tools, "open_disk_network", lambda *words: asked.append(words) or Network())
    parameters = correlation().with_strain(method="network", weights_file="mine.safetensors")
    found = run_strain(str(scan.path), parameters, None, silent_context(), device="cpu")
    assert asked == [("mine.safetensors", "cpu")]
    assert np.array_equal(found.strain.exx, result.strain.exx)


def test_a_cube_larger_than_memory_streams(tmp_path):
    """A hundred thousand million bytes of nothing, of which a few hundred patterns are looked at."""
    shape = (900, 900, 256, 256)
    with (tmp_path / "huge.raw").open("wb") as file:
        file.truncate(int(np.prod(shape, dtype=object)) * 2)
    assert (tmp_path / "huge.raw").stat().st_size > psutil.virtual_memory().total
    before = psutil.Process().memory_info().rss
    place = raw_location(str(tmp_path / "huge.raw"), shape, "uint16")
    found = run_virtual(place, Parameters(), {}, silent_context(), region=(450, 451, 0, 300))
    assert found.count == 300
    assert np.nansum(found.images["sum"]) == 0
    assert psutil.Process().memory_info().rss - before < 600 << 20


# -- what cannot be measured ----------------------------------------------------------------------------


def test_no_lattice_one_disk_no_disk_are_one_sentence(tmp_path):
    random = np.random.default_rng(3)
    alone = random.poisson(300 * disk(30, 31) + 0.3, (3, 4, SIDE, SIDE)).astype(np.uint16)
    empty = np.zeros((3, 4, SIDE, SIDE), np.uint16)
    for name, patterns in (("one", alone), ("empty", empty)):
        path = written(tmp_path / f"{name}.h5", patterns)
        with pytest.raises(StrainError) as caught:
            run_strain(path, Parameters().with_strain(method="correlation"), None, silent_context())
        text = str(caught.value)
        assert "lattice" in text if name == "one" else "disk" in text
        assert text.endswith(".")
        assert "\n" not in text


def test_what_was_found_is_kept_where_no_lattice_is(tmp_path):
    alone = np.random.default_rng(3).poisson(300 * disk(30, 31) + 0.3, (3, 4, SIDE, SIDE)).astype(np.uint16)
    path = written(tmp_path / "one.h5", alone)
    with contextlib.closing(Journal.start(tmp_path / "j", KEY)) as journal:
        with pytest.raises(StrainError):
            run_strain(path, Parameters().with_strain(method="correlation"), journal, silent_context())
        assert len(journal.done()) == 12


# -- journal --------------------------------------------------------------------------------------------


def test_a_cancelled_run_goes_on_with_the_same_result(scan, result, tmp_path, monkeypatch):
    from braggscope.app.engine import disk_tools
    from braggscope.app.engine import strain as engine

    monkeypatch.setitem(disk_tools.SIZES, "correlation", 4)
    ticket = Ticket(1)

    def stop(progress):
        if progress.done > 4:
            ticket.cancel()

    monkeypatch.setattr(engine, "REPORT_S", 0.0)
    with contextlib.closing(Journal.start(tmp_path / "j", KEY)) as journal:
        with pytest.raises(Cancelled):
            run_strain(str(scan.path), correlation(), journal, Context(ticket, stop), workers=1)
        found = journal.done()
        assert 0 < len(found) < 24
    with contextlib.closing(Journal.resume(tmp_path / "j", KEY)) as journal:
        again = run_strain(str(scan.path), correlation(), journal, silent_context())
        assert journal.done() == set(range(24))
    assert again.timing.patterns == 24 - len(found)
    for name in Disks.__dataclass_fields__:
        assert np.array_equal(getattr(again.disks, name), getattr(result.disks, name), equal_nan=True), name
    assert np.array_equal(again.strain.exx, result.strain.exx)
    assert np.array_equal(again.images["dark_field"], result.images["dark_field"])


def test_records_come_back_as_they_were():
    random = np.random.default_rng(1)
    pattern = np.array([3, 3, 3, 7, 9, 9])
    disks = Disks(pattern, *random.normal(size=(6, 6)))
    lattices = LatticeMap(
        random.normal(size=(4, 6)), random.normal(size=(4, 6, 6)), random.normal(size=4),
        np.array([3, 0, 1, 2]), np.array([True, False, False, True]),
    )  # fmt: skip
    for some in (None, lattices):
        found = Found(np.array([3, 5, 7, 9]), disks, random.normal(size=(4, 2)), some)
        back = Found.unpacked(found.packed()[::-1])
        assert np.array_equal(back.positions, found.positions)
        assert np.array_equal(back.images, found.images)
        for name in Disks.__dataclass_fields__:
            assert np.array_equal(getattr(back.disks, name), getattr(disks, name))
        if some is None:
            assert back.lattices is None
            continue
        assert back.lattices is not None
        for name in ("values", "covariance", "residual"):
            assert np.array_equal(getattr(back.lattices, name), getattr(lattices, name))
        assert back.lattices.count[[0, 3]].tolist() == [3, 2]
        assert back.lattices.valid.tolist() == lattices.valid.tolist()


def test_a_damaged_record_is_one_sentence(scan, tmp_path):
    with contextlib.closing(Journal.start(tmp_path / "j", KEY)) as journal:
        journal.add([(3, b"\x01\x00\x00\x00\x05\x00\x00\x00rubbish", "")])
        with pytest.raises(JournalError, match="delete that folder"):
            run_strain(str(scan.path), correlation(), journal, silent_context())


def test_the_key_knows_what_changes_the_disks(scan):
    with patterns_of(str(scan.path), correlation(), silent_context()) as patterns:
        info = patterns.scan.info

    def key(stage, **more):
        return strain_key(info, correlation(**more), stage=stage)["parameters"]

    assert key("disks") == key("disks", tolerance=0.3, weights="uniform", frame=0.2)
    assert key("strain") != key("strain", tolerance=0.3)
    for change in ({"threshold": 0.2}, {"power": 0.5}, {"kernel": "flat"}, {"probe_radius": 3.0}):
        assert key("disks") != key("disks", **change)


def test_a_source_that_changed_is_refused_before_its_journal_grows(scan, tmp_path):
    with contextlib.closing(Journal.start(tmp_path / "journal", KEY)) as journal:
        with pytest.raises(SourceError, match="has changed; open it again"):
            run_strain(str(scan.path), correlation(), journal, silent_context(), identity="as it was")
        assert not journal.done()


def test_patterns_that_cannot_be_read_do_not_shift_the_others(scan, monkeypatch):
    with patterns_of(str(scan.path), correlation(), silent_context()) as patterns:
        read = patterns._reader.read

        def broken(k, **rest):
            if k == 1:
                raise SourceError("broken")
            return read(k, **rest)

        monkeypatch.setattr(patterns._reader, "read", broken)
        there, images = patterns.readable(np.array([0, 1, 2]), silent_context())
    assert there.tolist() == [0, 2]
    assert len(images) == 2

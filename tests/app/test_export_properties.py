"""What is written comes back, whatever the numbers: tables, masks, instruments, strain maps."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reliability.amounts import costly
from scans import correlation, small_scan

from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.strain import run_strain
from braggscope.app.export.masks import write_mask
from braggscope.app.export.poni import poni_text
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.strain import read_strain, write_strain
from braggscope.app.export.tables import read_peaks, write_peaks
from braggscope.app.sources.base import Location
from braggscope.app.sources.images import load_image
from braggscope.app.sources.poni import parse_poni
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.results import COLUMNS, WORDS, PeakTable, Status

PROVENANCE = Provenance("/data/a.h5", "id", Parameters())


@pytest.fixture(scope="module", autouse=True)
def _unflushed():
    """What is read at once need not reach the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@st.composite
def tables(draw, last=2**31):
    """Tables of one frame each, by rising frame, with the given numbers here and there."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    odd = np.array(draw(st.lists(st.floats(width=64), min_size=1, max_size=12)))
    parts = []
    for frame in sorted(draw(st.sets(st.integers(0, last), max_size=3))):
        n = draw(st.integers(0, 6))
        given = {}
        for column in COLUMNS:
            plain = random.normal(size=n) * 10.0 ** random.integers(-9, 9, n)
            given[column.name] = (
                np.where(random.random(n) < 0.5, random.choice(odd, n), plain)
                if column.dtype == "float64"
                else random.integers(-(2**62), 2**62, n)
            )
        given |= {name: random.integers(0, len(kind), n) for name, kind in WORDS.items()}
        parts.append(PeakTable.blank(n, **given | {"frame": np.full(n, frame), "peak": np.arange(n)}))
    return parts


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5"])
@costly(25)
@given(parts=tables())
def test_peak_tables_come_back(folder, suffix, parts):
    path, whole = folder / f"a{suffix}", PeakTable.concatenate(parts)
    assert write_peaks(path, iter(parts), PROVENANCE) == len(whole)
    found = read_peaks(path)
    for column in COLUMNS:
        assert found[column.name].dtype == column.dtype
        np.testing.assert_array_equal(found[column.name], whole[column.name], column.name)


def positions(parts):
    """Frame, x, y of the rows that peak lists hold."""
    whole = PeakTable.concatenate(parts)
    use = (whole["status"] != Status.REJECTED) & np.isfinite(whole["x"])
    return whole.take(use)


def with_places(parts, seed):
    """The same tables with positions and profiles as they are on detectors, a few of them unknown."""
    random = np.random.default_rng(seed)
    out = []
    for part in parts:
        x, y, *profile = random.uniform(-1, 5000, (6, len(part)))
        birth = np.abs(x)  # every peak has one
        x[random.random(len(part)) < 0.2] = np.nan
        fits = np.where(random.random(len(part)) < 0.2, np.nan, np.abs(profile))
        names = ("amplitude", "background", "fwhm_major", "fwhm_minor")
        places = {
            "x": x,
            "y": np.where(np.isnan(x), np.nan, y),
            "birth": birth,
            "score": np.abs(y),
            "angle": x / 5000,
        }
        out.append(part.with_columns(**places, **dict(zip(names, fits, strict=True))))
    return out


@given(parts=tables(), seed=st.integers(0, 99))
def test_lists_of_cxi_hold_every_position(folder, parts, seed):
    parts = with_places(parts, seed)
    expected = positions(parts)
    assert write_peaks(folder / "a.cxi", iter(parts), PROVENANCE) == len(expected)
    with h5py.File(folder / "a.cxi") as file:
        found = file["entry_1/result_1"]
        count, frame = found["nPeaks"][()], found["frame"][()]
        some = np.arange(found["peakXPosRaw"].shape[1]) < count[:, None]
        assert np.repeat(frame, count).tolist() == expected["frame"].tolist()
        assert found["peakXPosRaw"][()][some].tolist() == expected["x"].tolist()
        assert found["peakYPosRaw"][()][some].tolist() == expected["y"].tolist()


@given(parts=tables(99), seed=st.integers(0, 99))
def test_lists_of_imaged11_hold_every_position(folder, parts, seed):
    parts = with_places(parts, seed)
    expected, omega = positions(parts), np.linspace(-90, 90, 100)
    written = write_peaks(folder / "a.flt", iter(parts), PROVENANCE, axes={"omega_deg": omega})
    lines = [line.split() for line in (folder / "a.flt").read_text().splitlines() if line[0] != "#"]
    found = np.array(lines, np.float64).reshape(-1, 14)
    assert len(found) == written == len(expected)
    np.testing.assert_allclose(found[:, 0], expected["y"], atol=6e-7)
    np.testing.assert_allclose(found[:, 1], expected["x"], atol=6e-7)
    np.testing.assert_allclose(found[:, 2], omega[expected["frame"]], atol=6e-7)
    assert found[:, 12].tolist() == list(range(written))
    assert found[:, 13].tolist() == expected["frame"].tolist()
    assert not np.isnan(found).any()


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".edf", ".h5"])
@given(mask=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=20)))
def test_masks_come_back(folder, suffix, mask):
    path = folder / f"mask{suffix}"
    write_mask(path, mask)
    np.testing.assert_array_equal(load_image(Location(str(path))) != 0, mask)


@given(
    st.builds(
        lambda wavelength, distance, sizes, poni, rot: Instrument(
            wavelength_angstrom=wavelength, distance_m=distance, pixel_size_m=sizes, poni_m=poni, rot_rad=rot
        ),
        st.floats(0.01, 10), st.floats(0.001, 10), st.tuples(*[st.floats(1e-6, 1e-3)] * 2),
        st.tuples(*[st.floats(-1, 1)] * 2), st.tuples(*[st.floats(-1.5, 1.5)] * 3),
    ),
    st.none() | st.tuples(*[st.integers(1, 5000)] * 2),
)  # fmt: skip
def test_instruments_come_back_from_poni(instrument, shape):
    found = parse_poni(poni_text(instrument, shape))
    assert found.shape == shape
    for name in ("distance_m", "pixel_size_m", "poni_m", "rot_rad"):
        assert getattr(found.instrument, name) == getattr(instrument, name)
    assert found.instrument.wavelength_angstrom == pytest.approx(instrument.wavelength_angstrom, rel=1e-15)


@pytest.fixture(scope="module")
def strained(folder):
    scan = small_scan(folder / "scan.h5", 2, 3)
    return run_strain(str(scan.path), correlation(), None, silent_context(), workers=1)


@costly(25)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_strain_maps_come_back(folder, strained, data, seed):
    random = np.random.default_rng(seed)
    shape = strained.strain.exx.shape
    odd = data.draw(st.floats(width=32, allow_infinity=False))
    values = {
        name: np.where(random.random(shape) < 0.3, odd, random.normal(0, 0.02, shape)).astype(np.float32)
        for base in ("exx", "eyy", "exy", "theta")
        for name in (base, f"{base}_err")
    }
    valid = random.random(shape) < 0.7
    frame = data.draw(st.floats(-3, 3))
    made = replace(strained, strain=replace(strained.strain, **values, valid=valid, frame=frame))
    write_strain(folder / "strain.h5", made, replace(PROVENANCE, parameters=made.parameters))
    found = read_strain(folder / "strain.h5").strain
    for name, expected in values.items():
        np.testing.assert_array_equal(getattr(found, name), expected, name)
    np.testing.assert_array_equal(found.valid, valid)
    assert found.frame == frame
    assert found.reference.a == strained.strain.reference.a

"""Instruments in files: what others wrote is read as they mean it, bad files end in one sentence."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from braggscope.app.export.poni import write_poni
from braggscope.app.sources.instruments import read_instrument, read_instrument_file
from braggscope.app.sources.protocol import SourceError
from braggscope.models.calibrants import CALIBRANTS
from braggscope.models.geometry import Instrument, two_theta_of

DATA = os.environ.get("BRAGGSCOPE_TEST_DATA")
INSTRUMENT = Instrument(
    wavelength_angstrom=0.7,
    distance_m=0.2,
    pixel_size_m=(2e-4, 1e-4),
    poni_m=(0.03, 0.05),
    rot_rad=(0.1, -0.2, 0.3),
)
SHAPE = (1000, 900)
V1 = """# Calibration done by hand
PixelSize1: 0.0001
PixelSize2: 0.0002
Distance: 0.5
Distance: 0.2
Poni1: 0.05
Poni2: 0.03
Rot1: 0.1
Rot2: -0.2
Rot3: 0.3
SplineFile: None
Wavelength: 7e-11
"""
HEXRD = """
beam:
  energy: 65.35
  vector: {azimuth: 90.0, polar_angle: 90.0}
detectors:
  left:
    pixels: {rows: 800, columns: 600, size: [0.1, 0.2]}
    transform: {tilt: [0.01, -0.02, 0.03], translation: [3.0, -4.0, -500.0]}
  right:
    pixels: {rows: 400, columns: 600, size: [0.1, 0.1]}
    transform: {tilt: [0, 0, 0], translation: [0, 0, -400]}
"""


def write(folder: Path, text: str, name: str = "a.poni") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def same(a: Instrument, b: Instrument) -> None:
    x, y = np.array([3.0, 500.0, 899.0]), np.array([0.0, 300.0, 999.0])
    assert a.position_m(x, y) == pytest.approx(b.position_m(x, y), rel=1e-9, abs=1e-12)
    assert a.wavelength_angstrom == pytest.approx(b.wavelength_angstrom, rel=1e-12)


def test_written_and_read_again(tmp_path):
    path = tmp_path / "a.poni"
    write_poni(path, INSTRUMENT, SHAPE)
    same(read_instrument(path, SHAPE), INSTRUMENT)
    assert read_instrument_file(path).shape == SHAPE
    write_poni(path, INSTRUMENT)
    assert read_instrument_file(path, (1, 1)).shape is None


def test_pyfai_reads_what_is_written(tmp_path):
    pytest.importorskip("pyFAI", reason="pyFAI is not installed")
    from pyFAI import load

    path = tmp_path / "a.poni"
    write_poni(path, INSTRUMENT, SHAPE)
    theirs = load(str(path))
    x, y = np.array([3.0, 500.0]), np.array([10.0, 900.0])
    assert theirs.tth(y, x) == pytest.approx(INSTRUMENT.two_theta(x, y), rel=1e-9)
    assert theirs.wavelength == pytest.approx(0.7e-10)
    assert theirs.detector.shape == SHAPE


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_what_pyfai_writes_is_read(tmp_path, orientation):
    pytest.importorskip("pyFAI", reason="pyFAI is not installed")
    from pyFAI.detectors import Detector
    from pyFAI.geometry import Geometry

    detector = Detector(1e-4, 2e-4, max_shape=SHAPE, orientation=orientation)
    theirs = Geometry(0.2, 0.05, 0.03, 0.1, -0.2, 0.3, detector=detector, wavelength=0.7e-10)
    path = tmp_path / "a.poni"
    theirs.save(str(path))
    ours = read_instrument(path, SHAPE)
    x, y = np.array([3.0, 500.0, 899.0]), np.array([0.0, 300.0, 999.0])
    assert ours.two_theta(x, y) == pytest.approx(theirs.tth(y, x), rel=1e-6)
    if orientation == 3:
        same(ours, INSTRUMENT)


@pytest.mark.parametrize(
    "text",
    [
        V1,
        V1.replace("PixelSize", "pixelsize").replace("SplineFile: None\n", ""),
        "poni_version: 2\nDetector: Detector\n"
        'Detector_config: {"pixel1": 0.0001, "pixel2": 0.0002, "max_shape": [1000, 900]}\n'
        + V1[V1.index("Dist") :],
    ],
    ids=["v1", "v1 lower case", "v2"],
)
def test_older_versions(tmp_path, text):
    same(read_instrument(write(tmp_path, text), SHAPE), INSTRUMENT)


def test_a_detector_known_by_its_name(tmp_path):
    text = 'poni_version: 2.1\nDetector: Pilatus6M\nDetector_config: {"orientation": 3}\n'
    path = write(tmp_path, text + V1[V1.index("Dist") :])
    found = read_instrument_file(path, (2527, 2463))
    assert found.shape == (2527, 2463)
    assert found.instrument.pixel_size_m == (172e-6, 172e-6)
    other = write(tmp_path, path.read_text().replace("Pilatus6M", "Eiger2 CdTe 1M"), "b.poni")
    with pytest.raises(SourceError, match=r"1062 x 1028 pixels.* 2527 x 2463 "):
        read_instrument(other, (2527, 2463))


def test_the_detector_of_another_shape_names_both(tmp_path):
    path = tmp_path / "a.poni"
    write_poni(path, INSTRUMENT, SHAPE)
    with pytest.raises(SourceError, match=r"1000 x 900 pixels.* 512 x 256 .*choose") as error:
        read_instrument(path, (512, 256))
    assert str(error.value).count(".") <= str(path).count(".") + 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no lines 'Distance:'"),
        (V1.replace("Wavelength: 7e-11\n", ""), "no wavelength"),
        (V1.replace("Distance: 0.2", "Distance: -0.2"), "distance_m input should be greater than 0"),
        (V1.replace("Poni1: 0.05", "Poni1: nan"), "poni_m"),
        (V1.replace("Poni1: 0.05", "Poni1: much"), "could not convert"),
        ("poni_version: 9\n" + V1, "version 9"),
        (V1.replace("PixelSize1: 0.0001\nPixelSize2: 0.0002\n", ""), "pixels of the detector"),
        ("Detector_config: [1]\n" + V1, "no JSON object"),
        ("Detector_config: {oh\n" + V1, "describes no instrument"),
        ('Detector_config: {"pixel1": 1e-4, "pixel2": 1e-4, "orientation": 7}\n' + V1, "orientation 7"),
        ('Detector_config: {"pixel1": 1e-4, "pixel2": 1e-4, "orientation": 1}\n' + V1, "add max_shape"),
    ],
)
def test_bad_poni_files_end_in_one_sentence(tmp_path, text, word):
    path = write(tmp_path, text)
    with pytest.raises(SourceError, match=word) as error:
        read_instrument(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_wavelength_from_elsewhere_serves(tmp_path):
    path = write(tmp_path, V1.replace("Wavelength: 7e-11\n", ""))
    same(read_instrument(path, wavelength_angstrom=0.7), INSTRUMENT)


def test_what_is_not_used_is_said(tmp_path):
    assert read_instrument_file(write(tmp_path, V1)).notes == ()
    bent = read_instrument_file(write(tmp_path, V1.replace("SplineFile: None", "SplineFile: my.spline")))
    assert bent.notes == ("The distortion in my.spline is not used.",)


def test_hexrd_yaml_by_its_own_rules(tmp_path):
    """Angles by the published convention, step by step: y upwards, beam along -z, tilt as rotation vector."""
    from scipy.spatial.transform import Rotation

    path = write(tmp_path, HEXRD, "a.yml")
    found = read_instrument(path, (800, 600))
    row, col = np.array([0.0, 300.0, 799.0]), np.array([0.0, 450.0, 599.0])
    across = (col - (600 - 1) / 2) * 0.2
    up = ((800 - 1) / 2 - row) * 0.1
    turn = Rotation.from_rotvec([0.01, -0.02, 0.03]).as_matrix()
    place = turn @ np.stack([across, up, 0 * up]) + np.array([[3.0], [-4.0], [-500.0]])
    expected = np.arctan2(np.hypot(place[0], place[1]), -place[2])
    assert found.two_theta(col, row) == pytest.approx(expected, rel=1e-9)
    assert found.azimuth(col, row) == pytest.approx(-np.arctan2(place[1], place[0]))
    assert found.energy_keV == pytest.approx(65.35)
    assert read_instrument(f"{path}::right").distance_m == pytest.approx(0.4)
    assert read_instrument(path, (400, 600)).distance_m == pytest.approx(0.4)


def test_a_beam_that_is_not_along_z(tmp_path):
    path = write(tmp_path, HEXRD.replace("polar_angle: 90.0", "polar_angle: 88.0"), "a.yml")
    found = read_instrument(f"{path}::right")
    assert found.two_theta(299.5, 199.5) == pytest.approx(np.radians(2), rel=1e-9)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: [", "no YAML"),
        ("- 1", "no YAML with names"),
        ("!!python/object/apply:os.system ['false']", "no YAML"),
        (HEXRD, r"2 of its detectors fit \(left, right\); name one, FILE::left"),
        (HEXRD.replace("beam:", "bean:"), "beam"),
        (HEXRD.replace("65.35", "much"), "describes no instrument"),
        (HEXRD[: HEXRD.index("  right")].replace("65.35", "-3"), "energy"),
        ("instrument: other.yml", "other.yml, which is not beside them"),
        (HEXRD[: HEXRD.index("  right")].replace("pixels", "pixies"), "'pixels' is missing"),
        (HEXRD[: HEXRD.index("  right")].replace("-500.0", ".nan"), "3 numbers"),
        (HEXRD[: HEXRD.index("  right")].replace("-500.0", "500.0"), "distance_m"),
    ],
)
def test_bad_hexrd_files_end_in_one_sentence(tmp_path, text, word):
    path = write(tmp_path, text, "a.yml")
    with pytest.raises(SourceError, match=word) as error:
        read_instrument(path)
    assert "\n" not in str(error.value)
    with pytest.raises(SourceError, match="only left, right"):
        read_instrument(f"{write(tmp_path, HEXRD, 'b.yml')}::middle")


def test_settings_lead_to_the_instrument_beside_them(tmp_path):
    write(tmp_path, HEXRD, "here.yml")
    settings = {"instrument": "here.yml", "image_series": {"data": [{"file": "x", "panel": "right"}]}}
    path = write(tmp_path, json.dumps(settings), "settings.yml")
    assert read_instrument(path, (400, 600)).distance_m == pytest.approx(0.4)


@pytest.mark.parametrize("content", [b"PK\3\4" + b"\0" * 40, b"\x80\x04\x95", b"\0" * 9_000_000, b"\xff\xfe"])
def test_files_of_another_kind(tmp_path, content):
    path = tmp_path / "a.hexrd"
    path.write_bytes(content)
    with pytest.raises(SourceError) as error:
        read_instrument(path)
    assert str(path) in str(error.value)
    with pytest.raises(SourceError, match="check its name"):
        read_instrument(tmp_path / "nowhere.poni")


@pytest.mark.skipif(not DATA, reason="BRAGGSCOPE_TEST_DATA is not set")
@pytest.mark.parametrize("name", ["alpha_zr_state_0000_config.yml", "GE2_APS_1-ID-C_20110713.hexrd"])
def test_rings_of_zirconium_lie_on_its_spots(name):
    folder = Path(str(DATA)) / "dac_zr"
    found = read_instrument_file(folder / name, (2048, 2048))
    assert found.notes
    assert "distortion" in found.notes[0]
    with (folder / "reference_spots_px.csv").open() as file:
        rows = [line for line in csv.reader(file) if line and line[0].isdigit()]
    spots = np.array(rows, float)
    hkl, row, col = spots[:, 2:5], spots[:, 7], spots[:, 8]
    ring = two_theta_of(CALIBRANTS["alpha-Zr"].d_angstrom(hkl), found.instrument.wavelength_angstrom)
    steepness = np.linalg.norm(found.instrument.jacobians(col, row)[0], axis=-1)
    off = (found.instrument.two_theta(col, row) - ring) / steepness
    assert np.abs(np.median(off)) < 0.3
    assert np.median(np.abs(off)) < 0.3

"""Scans of SPEC: what is read of a file, what it means for a rocking curve, and what is wrong with one."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.app.engine.coherent_spec import geometry_of_scan, parse_names
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.spec import SpecScan, list_scans, read_scan

HEADER = """#F sample_1
#E 1700000000
#D Tue Nov 14 2023
#O0 Eta  Delta  Nu  Sample X
#O1 Energy  Slit gap
#o0 eta del nu samx
#o1 nrj slit
"""
SCAN = """
#S {number} {command}
#D Tue Nov 14 2023
#T 1  (Seconds)
#G0 0 0 1
#Q 1 1 1
#P0 {eta} 31.5 -12.25 0.5
#P1 {energy} 2
#N 3
#L Eta  Seconds  Sample Counts
{rows}
"""


def scan(number=1, start=10.0, step=0.01, points=5, command="ascan eta 10 10.04 4 1", energy=9.0):
    rows = "\n".join(f"{start + step * k:.6f} 1 {100 + k}" for k in range(points))
    return SCAN.format(number=number, command=command, eta=start, energy=energy, rows=rows)


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "sample.spec"
        path.write_text(text)
        return path

    return written


def test_scans_are_listed_and_read(write):
    path = write(HEADER + scan(1) + scan(2, step=-0.02) + scan(2, step=0.03))
    entries = list_scans(path)
    assert [entry.key for entry in entries] == ["1", "2.1", "2.2"]
    assert entries[0].command == "ascan eta 10 10.04 4 1"
    found = read_scan(path, "1")
    assert found.motors["Sample X"] == found.motors["samx"] == 0.5
    assert list(found.columns) == ["Eta", "Seconds", "Sample Counts"]
    np.testing.assert_allclose(found.columns["Eta"], 10 + 0.01 * np.arange(5))
    np.testing.assert_array_equal(found.columns["Sample Counts"], 100 + np.arange(5))
    assert read_scan(path, "2").key == "2.2"  # the last of that number
    np.testing.assert_allclose(np.diff(read_scan(path, "2.1").columns["Eta"]), -0.02)
    np.testing.assert_allclose(np.diff(read_scan(path, "2").columns["Eta"]), 0.03)


def test_a_second_header_brings_its_own_motors(write):
    other = "\n#F sample_1\n#E 1700000001\n#O0 mono\n#S 7 ascan\n#P0 4\n#L mu  I\n1 1\n2 1\n"
    assert read_scan(write(HEADER + scan(1) + other), "7").motors == {"mono": 4.0}


def test_spectra_and_a_row_in_the_making_are_passed_over(write):
    text = HEADER + scan(1, points=3).rstrip() + "\n@A 1 2 3 4\\\n 5 6 7 8\\\n 9 9\n10.03 1 9\n10.04 1"
    assert len(read_scan(write(text), "1").columns["Eta"]) == 4


def test_geometry_by_the_usual_names(write):
    found = geometry_of_scan(read_scan(write(HEADER + scan(1)), "1"))
    assert found.known == pytest.approx(
        {"energy_keV": 9.0, "delta_deg": 31.5, "gamma_deg": -12.25, "step_deg": -0.01}
    )
    assert found.axis == "x"  # eta turns left-handed about the horizontal
    assert found.points == 5
    assert found.names["step"] == "-Eta"
    assert "step = -Eta about x" in found.said("x")
    assert found.doubts(5) == ()


def test_energy_may_be_in_ev_or_a_wavelength(write):
    path = write(HEADER + scan(1, energy=9000.0))
    assert geometry_of_scan(read_scan(path, "1")).known["energy_keV"] == pytest.approx(9)
    path = write(HEADER.replace("Energy", "Lambda").replace("nrj", "lam") + scan(1, energy=1.5498024804))
    assert geometry_of_scan(read_scan(path, "1")).known["energy_keV"] == pytest.approx(8)


def test_names_of_the_user_go_first(write):
    names = parse_names("delta=-Nu, gamma=Delta,step=Eta, axis=y")
    found = geometry_of_scan(read_scan(write(HEADER + scan(1)), "1"), names)
    assert found.known["delta_deg"] == 12.25
    assert found.known["gamma_deg"] == 31.5
    assert found.known["step_deg"] == pytest.approx(0.01)
    assert found.axis == "y"


@pytest.mark.parametrize("text", ["energy", "mono=energy", "axis=z", "delta="])
def test_names_that_name_nothing(text):
    with pytest.raises(SourceError, match="names no motor"):
        parse_names(text)


def made(columns, motors=None):
    table = {name: np.asarray(values, float) for name, values in columns.items()}
    return SpecScan("3", "ascan", motors or {}, table)


@pytest.mark.parametrize(
    ("columns", "motors", "names", "said"),
    [
        ({"Energy": [9.0, 9.1], "I": [1, 2]}, {}, {}, "moves Energy"),
        ({"Time": [1, 2], "I": [1, 2]}, {}, {}, "turns no angle"),
        ({"eta": [1, 2, 3], "phi": [3, 2, 1]}, {}, {}, "turns eta, phi"),
        ({"eta": [1, 1, 3, 3]}, {}, {}, "no steady step"),
        ({"eta": [1, np.nan, 3]}, {}, {"step": "eta"}, "no steady step"),
        ({"eta": [1, 2], "del": [30, 32]}, {}, {}, "moves del"),
        ({"eta": [1, 2]}, {"gam": 1.0, "nu": 2.0}, {}, "several motors for gamma"),
        ({"eta": [1, 2]}, {}, {"energy": "mono"}, "no position of 'mono'"),
        ({"eta": [1, 2]}, {}, {"step": "th"}, "no column 'th'"),
        ({"eta": [1, 2]}, {"Energy": -3.0}, {}, "no energy in keV"),
        ({"eta": [1, 2]}, {"lambda": 0.0}, {}, "no wavelength"),
    ],
)
def test_what_is_no_rocking_curve_is_said(columns, motors, names, said):
    with pytest.raises(SourceError, match=said) as caught:
        geometry_of_scan(made(columns, motors), names)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("nothing at all\n", "1", "no line '#S'"),
        (HEADER + scan(1), "5", "no scan 5"),
        (HEADER + scan(1), "one", "no number of a scan"),
        (HEADER + scan(1).replace("10.020000 1 102", "10.02 1"), "1", "3 numbers that '#L' announces"),
        (HEADER + scan(1).replace("10.020000", "__import__('os')"), "1", "3 numbers that '#L' announces"),
        (HEADER + scan(1).replace("#L Eta", "#C Eta"), "1", "before the line '#L'"),
        (HEADER + "#S 1 ascan\n#P0 1 2 3 4\n", "1", "no line '#L'"),
        (HEADER + scan(1).replace("#P1 9.0 2", "#P1 9.0"), "1", "1 positions for 2 motors"),
        (HEADER + scan(1).replace("#P1 9.0", "#P1 nine"), "1", "no number"),
        (HEADER + scan(1) + "x" * (1 << 20) + "\n", "1", "no text file of SPEC"),
        ("#S 1 a\0b\n", "1", "no text file of SPEC"),
    ],
)
def test_malformed_files_say_what_is_wrong(write, text, key, said):
    with pytest.raises(SourceError, match=said) as caught:
        read_scan(write(text), key)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    for place in (tmp_path / "none.spec", tmp_path):
        with pytest.raises(SourceError, match="cannot be read"):
            list_scans(place)


def test_a_long_file_can_be_left(write):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list_scans(write(HEADER + scan(1, points=5000)), stop)


@given(st.text(alphabet="#SLOPo01 2.5-e@\\\n\tabn", max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "any.spec"
    path.write_text("#S 1 x\n#L eta  I\n" + text)
    with contextlib.suppress(SourceError):  # any other error fails
        assert np.isfinite(geometry_of_scan(read_scan(path, "1")).known["step_deg"])

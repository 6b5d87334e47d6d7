"""Names with blanks, umlauts, characters of other scripts and 255 bytes; numbers where a comma is decimal."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from corpus import CASES, pixels

from braggscope.app.__main__ import main
from braggscope.app.engine.axis import read_axis
from braggscope.app.export.figures import Line, error_figure
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import read_peaks, write_peaks
from braggscope.app.files import NotWrittenError
from braggscope.app.sources.reader import Reader
from braggscope.app.state.session import Session, load_session, save_session
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable

NAMES = (
    "with blanks and 'quotes'", "Öl auf Größe µ", "回折データ", "снимок", "emoji 🔬", "a%20b&c=d;e", "-o",
    "a[1]*b?",
)  # fmt: skip
FRAME_CASES = [c for c in CASES if c.opens == "frames" and c.location == ""]
FLAGS = ["--minval", "1e9", "--minscore", "1e9", "--localize", "fit", "--device", "cpu"]


def longest(suffix: str) -> str:
    """A name of 255 bytes, of two-byte characters."""
    room = 255 - len(suffix)
    return "ü" * (room // 2) + "x" * (room % 2) + suffix


@pytest.mark.parametrize("name", NAMES[:-1])
def test_every_reader_opens_files_of_any_name(name, tmp_path):
    with Reader() as reader:
        for number, case in enumerate(FRAME_CASES):
            folder = tmp_path / f"{name} {number}"
            folder.mkdir()
            case.write(folder)
            place = folder / f"{name}{''.join(Path(case.target).suffixes)}"
            shutil.copy(folder / case.target, place)
            if case.target.endswith(".hdr"):
                continue
            info = reader.open(str(place))
            assert (reader.read(info.frames - 1) > 0).all(), case.name
            longer = folder / longest("".join(Path(case.target).suffixes))
            shutil.copy(folder / case.target, longer)
            assert reader.open(str(longer)).frames == info.frames
            assert (reader.read(0) > 0).all(), case.name


@pytest.mark.parametrize("name", NAMES)
def test_the_command_line_reads_and_writes_any_name(name, tmp_path, monkeypatch, capsys):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["entry/data"] = pixels()
    source = f"./{name}.h5"
    assert main(["info", source, "--json"]) == 0, capsys.readouterr().err
    for out in (f"./{name} peaks.csv", f"./{name} peaks.h5"):
        assert main(["peaks", source, "-o", out, *FLAGS]) == 0, capsys.readouterr().err
        assert Path(out).is_file()
    for out in (f"./{name}.mp4", f"./{name} pictures"):
        assert main(["movie", source, "-o", out, "--frames", "0:2", *FLAGS]) == 0, capsys.readouterr().err
        assert Path(out).exists()


@pytest.mark.parametrize("name", NAMES)
def test_exports_and_sessions_of_any_name_come_back(name, tmp_path):
    table = PeakTable.blank(3, frame=np.arange(3), x=np.arange(3) + 0.25)
    for suffix in (".csv", ".parquet", ".h5"):
        path = tmp_path / f"{name}{suffix}"
        write_peaks(path, [table], Provenance(str(path), "id", Parameters()))
        np.testing.assert_array_equal(read_peaks(path)["x"], table["x"])
    save_session(Session(location=str(tmp_path / f"{name}.h5")), tmp_path / f"{name}.json")
    assert load_session(tmp_path / f"{name}.json").location == str(tmp_path / f"{name}.h5")
    error_figure(tmp_path / f"{name}.svg", [Line(name, "#000000", np.arange(3.0), np.arange(3.0))], "median")


def test_a_name_of_255_bytes_is_written_or_refused_with_what_belongs_beside_it(tmp_path):
    table = PeakTable.blank(3, frame=np.arange(3))
    provenance = Provenance("a.h5", "id", Parameters())
    write_peaks(tmp_path / longest(".h5"), [table], provenance)
    assert len(read_peaks(tmp_path / longest(".h5"))) == 3
    save_session(Session(), tmp_path / longest(".json"))
    before = set(tmp_path.iterdir())
    with pytest.raises(NotWrittenError, match=r"could not be written .*too long.*choose another"):
        write_peaks(tmp_path / longest(".csv"), [table], provenance)
    with pytest.raises(NotWrittenError, match="too long"):
        save_session(Session(), tmp_path / f"x{longest('.json')}")
    assert set(tmp_path.iterdir()) == before


COMMA = """
import locale, sys
locale.setlocale(locale.LC_ALL, sys.argv[1])
assert locale.localeconv()["decimal_point"] == ","
from braggscope.app.__main__ import main
for out in sys.argv[3:5]:
    assert main(["peaks", sys.argv[2], "-o", out, *sys.argv[5:]]) == 0
"""


def comma_locale(folder: Path) -> tuple[str, dict[str, str]]:
    """Name of a locale with a decimal comma, and the environment in which it is found."""
    known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    for name in ("de_DE.utf8", "de_DE.UTF-8", "fr_FR.utf8", "de_AT.utf8"):
        if name in known:
            return name, {}
    if shutil.which("localedef") and Path("/usr/share/i18n/locales/de_DE").exists():
        subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")], check=False)
        return "de_DE.UTF-8", {"LOCPATH": str(folder)}
    pytest.skip("no locale with a decimal comma is installed, and none can be made (package locales)")


def test_a_decimal_comma_of_the_system_changes_no_number(tmp_path):
    name, more = comma_locale(tmp_path)
    frames = np.random.default_rng(0).poisson(2, (2, 48, 50)).astype(np.float32)
    rows, columns = np.mgrid[:48, :50]
    frames += 80 * np.exp(-((rows - 20.3) ** 2 + (columns - 24.7) ** 2) / 4).astype(np.float32)
    np.save(tmp_path / "a.npy", frames)
    out = tmp_path / "comma.csv"
    flags = ["--minval", "0.5", "--minscore", "0.25", "--localize", "fit", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", COMMA, name, str(tmp_path / "a.npy"), out, out.with_suffix(".h5"), *flags],
        env=os.environ | more | {"LC_ALL": name}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plain = tmp_path / "plain.csv"
    assert main(["peaks", str(tmp_path / "a.npy"), "-o", str(plain), *flags]) == 0
    assert out.read_bytes() == plain.read_bytes()
    assert "," in out.read_text().splitlines()[1]
    np.testing.assert_array_equal(read_peaks(out.with_suffix(".h5"))["x_fit"], read_peaks(plain)["x_fit"])


def test_files_with_decimal_commas_are_understood(tmp_path):
    (tmp_path / "axis.csv").write_text("frame;Spannung_V\n0;3,9\n1;4,05\n", "utf-8")
    np.testing.assert_allclose(read_axis(tmp_path / "axis.csv", 2).values, [3.9, 4.05])

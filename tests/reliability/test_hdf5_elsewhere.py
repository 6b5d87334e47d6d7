"""No HDF5 file makes the program run code or read files that lie elsewhere."""

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from corpus import pixels

from braggscope.app.engine.measured import read_measured
from braggscope.app.export.peaklists import read_positions
from braggscope.app.export.tables import read_peaks
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.app.sources.registry import open_source

PLUGIN = r"""
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>
__attribute__((constructor)) static void mark(void) {
    FILE *f = fopen(getenv("BRAGGSCOPE_TEST_MARK"), "w"); if (f) fclose(f); }
static size_t run(unsigned f, size_t n, const unsigned v[], size_t b, size_t *s, void **p) { return b; }
static const struct { int version; int id; unsigned e, d; const char *name; void *c, *l; void *run; }
    filter = {1, 32767, 1, 1, "evil", NULL, NULL, run};
int H5PLget_plugin_type(void) { return 0; }
const void *H5PLget_plugin_info(void) { return &filter; }
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A file whose filter lies in a folder that the environment names, and the mark of its execution."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make a filter with")
    (tmp_path / "filters").mkdir()
    (tmp_path / "evil.c").write_text(PLUGIN)
    out = tmp_path / "filters" / "libevil.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", out, tmp_path / "evil.c"], check=True)
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, 48, 50))
    plist.set_filter(2, h5py.h5z.FLAG_OPTIONAL)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        kind = h5py.h5t.py_create(np.dtype("u2"))
        h5py.Dataset(h5py.h5d.create(file.id, b"d", kind, h5py.h5s.create_simple((4, 48, 50)), plist))[
            ...
        ] = pixels()
    content = (tmp_path / "a.h5").read_bytes()
    place = content.index(b"shuffle") - 8
    (tmp_path / "a.h5").write_bytes(content[:place] + (32767).to_bytes(2, "little") + content[place + 2 :])
    monkeypatch.setenv("HDF5_PLUGIN_PATH", str(tmp_path / "filters"))
    monkeypatch.delenv("HDF5_PLUGIN_PRELOAD", raising=False)  # set for good by a command run in this process
    monkeypatch.setenv("BRAGGSCOPE_TEST_MARK", str(tmp_path / "mark"))
    return tmp_path / "a.h5", tmp_path / "mark"


def test_filters_in_other_folders_are_not_loaded(plugin):
    path, mark = plugin
    with Reader() as reader, pytest.raises(SourceError, match=r"32767 .* not installed"):
        reader.open(str(path))
    command = [sys.executable, "-m", "braggscope.app"]
    done = subprocess.run([*command, "info", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    done = subprocess.run(
        [*command, "tracks", str(path), "-o", str(path.parent / "t.csv")], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert not mark.exists()
    plain = f"import h5py; h5py.File({str(path)!r})['d'][0]"
    subprocess.run([sys.executable, "-c", plain], capture_output=True, check=False)
    assert mark.exists(), "the filter would have been run"


def outside(folder: Path, name: str, shape: tuple[int, ...], dtype: str, secret: Path) -> None:
    with h5py.File(folder / "a.h5", "a") as file:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        file.create_dataset(name, shape, dtype, external=[(str(secret), 0, size)])


def test_raw_storage_beside_the_frames_is_refused_too(tmp_path):
    secret, folder = tmp_path / "secret.bin", tmp_path / "data"
    secret.write_bytes(b"\x01" * 10_000)
    folder.mkdir()
    with h5py.File(folder / "a.h5", "w") as file:
        file["/entry/data/data"] = pixels()
    outside(folder, "/entry/data/angle", (4,), "f8", secret)
    outside(folder, "/entry/instrument/detector/detector_distance", (1,), "f8", secret)
    source = open_source(str(folder / "a.h5"))
    assert source.info.axes == {}
    assert "distance_m" not in source.info.quantities
    source.close()
    outside(folder, "/entry/instrument/detector/pixel_mask", (48, 50), "u4", secret)
    with pytest.raises(SourceError, match=r"pixel_mask keeps its data in .*secret\.bin, which is refused"):
        open_source(str(folder / "a.h5"))


@pytest.mark.parametrize("read", [read_peaks, read_positions, lambda path: read_measured(path, 11)])
def test_raw_storage_of_tables_is_refused(tmp_path, read):
    (tmp_path / "secret.bin").write_bytes(b"\x01" * 1000)
    outside(tmp_path, "/entry/peaks/x", (10,), "f8", tmp_path / "secret.bin")
    with pytest.raises(SourceError, match=r"secret\.bin, which is refused"):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize("way", ["link", "link of a group", "virtual"])
@pytest.mark.parametrize("read", [read_peaks, read_positions, lambda path: read_measured(path, 11)])
def test_raw_storage_behind_links_is_refused(tmp_path, read, way):
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\x01" * 1000)
    outside(elsewhere, "/entry/peaks/x", (10,), "f8", tmp_path / "secret.bin")
    with h5py.File(folder / "a.h5", "w") as file:
        peaks = file.create_group("entry/peaks")
        if way == "link":
            peaks["x"] = h5py.ExternalLink("../elsewhere/a.h5", "/entry/peaks/x")
        elif way == "link of a group":
            del file["entry"]
            file["entry"] = h5py.ExternalLink("../elsewhere/a.h5", "/entry")
        else:
            layout = h5py.VirtualLayout((10,), "f8")
            layout[:] = h5py.VirtualSource("../elsewhere/a.h5", "/entry/peaks/x", (10,))
            peaks.create_virtual_dataset("x", layout)
    with pytest.raises(SourceError, match=r"secret\.bin,.* refused"):
        read(folder / "a.h5")


def test_raw_storage_of_an_instrument_is_refused(tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"\x01" * 1000)
    outside(tmp_path, "/instrument/beam/energy", (1,), "f8", tmp_path / "secret.bin")
    with Reader() as reader, pytest.raises(SourceError, match=r"secret\.bin, which is refused"):
        reader.load_instrument(str(tmp_path / "a.h5"), (48, 50))


def test_links_that_lead_out_of_the_folder_are_named(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").mkdir()
    with h5py.File(tmp_path / "elsewhere" / "b.h5", "w") as file:
        file["d"] = pixels()
    with h5py.File(tmp_path / "data" / "a.h5", "w") as file:
        file["d"] = h5py.ExternalLink("../elsewhere/b.h5", "d")
    source = open_source(str(tmp_path / "data" / "a.h5"))
    assert source.info.metadata["data come from"] == str(tmp_path / "elsewhere")
    source.close()
    source = open_source(str(tmp_path / "elsewhere" / "b.h5"))
    assert "data come from" not in source.info.metadata
    source.close()

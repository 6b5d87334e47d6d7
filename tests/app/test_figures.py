"""Figures: readable files of the right kind, also of nothing, and the text they carry."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from braggscope.app.export.figures import Line, error_figure, offset_figure, picture_figure
from braggscope.app.export.tables import ExportError

LINES = [
    Line("A", "#56b4e9", np.arange(50.0), np.abs(np.sin(np.arange(50.0)))),
    Line("B", "#ffb000", np.arange(50.0), np.where(np.arange(50) % 7 == 0, np.nan, 0.5)),
]


@pytest.mark.parametrize("lines", [LINES, [], [Line("C", "#000000", np.arange(3.0), np.full(3, np.nan))]])
def test_error_figure(tmp_path, lines):
    error_figure(tmp_path / "a.png", lines, "median")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (1800, 960)
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 2
    error_figure(tmp_path / "a.svg", lines, "count", "voltage / V")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert root.tag.endswith("svg")


def test_curves_have_their_colours(tmp_path):
    error_figure(tmp_path / "a.png", LINES, "median")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    for line in LINES:
        colour = [int(line.colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels - colour).max(axis=-1) < 8).sum() > 200


@pytest.mark.parametrize("n", [0, 1, 300])
def test_offset_figure(tmp_path, n):
    random = np.random.default_rng(0)
    offset_figure(tmp_path / "a.png", random.normal(0, 0.1, n), random.normal(0, 0.1, n), "#56b4e9")
    offset_figure(tmp_path / "a.svg", np.zeros(n), np.zeros(n), "#56b4e9")
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 900


def test_picture_figure(tmp_path):
    picture = Image.new("RGB", (120, 80), (200, 30, 30))
    picture_figure(tmp_path / "a.png", picture, "frame 3")
    with Image.open(tmp_path / "a.png") as written:
        assert written.size == (120, 80)
    picture_figure(tmp_path / "a.svg", picture, "frame 3")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


def test_another_suffix_is_refused(tmp_path):
    for write in (
        lambda path: error_figure(path, LINES, "median"),
        lambda path: picture_figure(path, Image.new("RGB", (9, 9)), ""),
    ):
        with pytest.raises(ExportError, match="is no figure"):
            write(tmp_path / "a.bmp")
    assert list(tmp_path.iterdir()) == []

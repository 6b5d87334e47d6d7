"""Figures: readable files of the right kind, also of nothing, and the text they carry."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image
from stopping import looks

from braggscope.app.export.figures import (
    TITLES,
    Line,
    curve_plot,
    error_figure,
    histogram_plot,
    offset_figure,
    offset_plot,
    picture_figure,
)
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


def test_no_reader_needs_our_fonts(tmp_path):
    """A PDF carries its fonts as TrueType; an SVG draws its letters as outlines."""
    error_figure(tmp_path / "a.pdf", LINES, "median")
    data = (tmp_path / "a.pdf").read_bytes()
    assert data.count(b"/FontFile2") >= 1
    assert b"/Type3" not in data
    assert b"/Type /Font " in data or b"/Type /Font\n" in data
    error_figure(tmp_path / "a.svg", LINES, "median")
    text = (tmp_path / "a.svg").read_text("utf-8")
    assert "<text" not in text
    assert "font-family" not in text
    assert "DejaVuSans" in text  # the outlines of its letters


def test_axes_say_what_and_in_which_unit():
    some = np.linspace(-0.2, 0.2, 9)
    figures = [curve_plot(LINES, quantity) for quantity in TITLES]
    figures += [offset_plot(some, some, "#56b4e9"), histogram_plot(some, some, ("#56b4e9", "#ffb000"))]
    for figure in figures:
        (axes,) = figure.axes
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert label.endswith("px") or "frame" in label or "peaks" in label, label


@pytest.mark.parametrize("n", [0, 1, 300])
def test_histograms_hold_what_they_are_given(n):
    values = np.linspace(-0.1, 0.1, n)
    figure = histogram_plot(values, values, ("#56b4e9", "#ffb000"))
    (axes,) = figure.axes
    heights = [patch.get_xy()[:, 1].max() for patch in axes.patches]
    assert len(heights) == 2
    assert (max(heights) > 0) == (n > 0)


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


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_cancelled_figure_replaces_nothing(tmp_path, suffix):
    path, picture = tmp_path / f"a{suffix}", Image.new("RGB", (40, 30))
    for write in (
        lambda context: error_figure(path, LINES, "median", context=context),
        lambda context: offset_figure(path, np.zeros(3), np.zeros(3), "#56b4e9", context),
        lambda context: picture_figure(path, picture, "frame 3", context),
    ):
        looks(write, path)

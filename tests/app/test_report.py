"""The report of a series: one page that says everything and needs nothing from outside."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from command_line import COMMAND, FLAGS, same
from PIL import Image
from stopping import looks

from braggscope.app.engine.findings import gather
from braggscope.app.export.report import write_report
from braggscope.app.export.tables import ExportError, read_peaks
from braggscope.models.results import PeakTable, Status

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Text, images and preformatted blocks of a page; its elements must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.blocks, self.words, self.addresses = [], [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.addresses += [known[name] for name in ("src", "href") if name in known]
        if tag == "img":
            self.images.append(known["src"])
        if tag not in VOID:
            self.open.append(tag)
        if tag == "pre":
            self.blocks.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "pre" in self.open:
            self.blocks[-1] += data
        elif "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def report(series, tmp_path_factory):
    """Report of the small series with both methods, and its folder."""
    folder = tmp_path_factory.mktemp("report")
    words = [
        "peaks",
        str(series.path),
        "-o",
        "a.h5",
        "--minval",
        "60",
        "--minscore",
        "150",
        "--device",
        "cpu",
    ]
    done = subprocess.run(
        [*COMMAND, *words, "--report", "a.html"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "a.html" in done.stderr
    return folder


def test_it_says_what_was_done(report, series):
    page = Page((report / "a.html").read_text("utf-8"))
    for words in (
        str(series.path), "12 analysed, 0 failed", "median 3, from 3 to 3", "pixel centres are integers",
        "BraggNN weights", "ok: measured 36 (100.0 %)", "detect.minval 60", "localize.methods fit, braggnn",
        "36 peaks with both answers",
    ):  # fmt: skip
        assert words in page.text, words
    assert len(page.images) == 5


def test_it_is_one_file_without_network(report):
    page = Page((report / "a.html").read_text("utf-8"))
    assert all(address.startswith("data:image/") for address in page.addresses)
    for image in page.images:
        kind, data = re.fullmatch(r"data:image/([a-z+]+);base64,(.*)", image).groups()
        content = base64.b64decode(data)
        assert content.startswith(b"\x89PNG") if kind == "png" else b"<svg" in content
        assert b"<text" not in content  # letters are outlines: no font is asked for
    assert "<script" not in (report / "a.html").read_text("utf-8")


def test_both_ways_to_do_it_again_give_the_table(report, tmp_path):
    command, script, *_ = Page((report / "a.html").read_text("utf-8")).blocks
    shell = tmp_path / "braggscope"
    shell.write_text(f'#!/bin/sh\nexec {sys.executable} -m braggscope.app "$@" --device cpu\n')
    shell.chmod(0o755)
    subprocess.run(f"./{command.strip()}", shell=True, check=True, capture_output=True, cwd=tmp_path)
    same(tmp_path / "peaks.h5", report / "a.h5")
    (tmp_path / "s.py").write_text(script + "    print(repr(table['x'].tolist()))\n")
    done = subprocess.run([sys.executable, tmp_path / "s.py"], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == repr(read_peaks(report / "a.h5")["x"].tolist())


def test_failed_frames_and_one_method(run, broken_series, tmp_path):
    out = tmp_path / "a.csv"
    assert run("peaks", broken_series, "-o", out, *FLAGS, "--report", tmp_path / "a.html")[0] == 0
    page = Page((tmp_path / "a.html").read_text("utf-8"))
    assert "11 analysed, 1 failed" in page.text
    assert "frame 5" in page.text
    assert "Only one of the two was used" in page.text
    assert len(page.images) == 2


def test_nothing_found_is_a_report_too(tmp_path, fit_only):
    from braggscope.app.export.provenance import Provenance

    found = gather([(0, PeakTable.blank(0))], 1, {}, 0)
    write_report(tmp_path / "a.html", found, Provenance("<b>&.h5", "id", fit_only), None)
    page = Page((tmp_path / "a.html").read_text("utf-8"))
    assert "No peak was found" in page.text
    assert "<b>&.h5" in page.text
    with pytest.raises(ExportError, match=r"use \.html"):
        write_report(tmp_path / "a.pdf", found, Provenance("a", "id", fit_only), Image.new("RGB", (4, 4)))


def test_findings_count_and_keep_the_example():
    tables = [
        (k, PeakTable.blank(k, frame=k, peak=np.arange(k), status=np.arange(k) % 2 * int(Status.EDGE)))
        for k in range(5)
    ]
    found = gather(tables, 7, {6: "cut"}, 3)
    assert (found.frames, found.peaks, len(found.example)) == (5, 10, 3)
    assert found.statuses == {"ok": 6, "edge": 4}
    assert found.curves.values["count"][:5].tolist() == [0, 1, 2, 3, 4]


def test_bad_names(fails, series, tmp_path):
    words = ["peaks", series.path, "-o", tmp_path / "a.csv", *FLAGS, "--report"]
    assert "use .html" in fails(*words, tmp_path / "a.pdf")
    assert "does not exist" in fails(*words, tmp_path / "no" / "a.html")
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_report_replaces_nothing(series, fit_only, tmp_path):
    from braggscope.app.engine.batch import SeriesJob
    from braggscope.app.engine.reporting import make_report
    from braggscope.app.export.provenance import Provenance

    job = SeriesJob(str(series.path), range(2), fit_only)
    tables = [(0, PeakTable.blank(0)), (1, PeakTable.blank(0))]
    page, source = tmp_path / "a.html", Provenance(str(series.path), "id", fit_only)
    least = len(tables) + 1
    assert looks(lambda context: make_report(page, job, tables, [0, 1], {}, source, context), page) >= least

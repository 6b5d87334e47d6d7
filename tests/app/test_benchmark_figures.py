"""What the benchmark page and its gate compute from measured times."""

import numpy as np
import pytest

from benchmarks import aims, bench_device, bench_scale, peers
from benchmarks.bench_growth import bend, exponent
from benchmarks.gate import Moved, compare, report
from benchmarks.run import ratios, table


def test_exponent_of_a_power():
    sizes = np.array([10.0, 100.0, 1000.0, 4000.0])
    assert exponent(sizes, 3e-6 * sizes**1.5) == pytest.approx(1.5)
    assert bend(sizes, 3e-6 * sizes**1.5) is None


def test_bend_where_a_fixed_cost_ends():
    sizes = 10.0 ** np.arange(1, 7)
    place, before, after = bend(sizes, np.where(sizes < 1000, 1e-3, 1e-6 * sizes))
    assert place == pytest.approx(1000)
    assert before == pytest.approx(0, abs=0.05)
    assert after == pytest.approx(1, abs=0.05)


def test_too_few_points_have_no_bend():
    assert bend([1.0, 2.0], [1.0, 9.0]) is None


@pytest.mark.parametrize(
    ("now", "out"), [(1.0, False), (1.25, False), (0.75, False), (1.26, True), (0.74, True)]
)
def test_gate_keeps_a_band_to_both_sides(now, out):
    assert bool(compare({"a": 1.0}, {"a": now})) == out
    assert bool(compare({"a": 40.0}, {"a": 40 * now})) == out


def test_gate_names_the_furthest_first_and_what_is_missing():
    moved = compare({"a": 2.0, "b": 10.0, "c": 1.0, "d": 3.0}, {"a": 4.0, "b": 5.0, "c": 1.1, "new": 9.0})
    assert moved == [Moved("a", 2.0, 4.0), Moved("b", 10.0, 5.0), Moved("d", 3.0, None)]
    text = report(moved)
    assert "| a | 2 | 4 | +100 % |" in text
    assert "| b | 10 | 5 | -50 % |" in text
    assert "| d | 3 | not measured | – |" in text


def test_ratios_are_known_by_section_case_and_peer():
    rows = [
        {"case": "1024² (99 maxima)", "peer": "gudhi", "ratio": 2.0},
        {"case": "slider", "peer": "", "ratio": None},
    ]
    assert ratios("detection", rows) == {"detection | 1024² | gudhi": 2.0}
    assert table(rows).splitlines()[2:] == ["| 1024² (99 maxima) | gudhi | 2 |", "| slider |  | – |"]


def test_aims_are_told_reached_or_not():
    rows = {
        "series": [{"case": "480 frames of 1024 x 1024, 9 peaks", "seconds": 4.5}],
        "reading": [{"case": "2048² uint16 bitshuffle-LZ4, 2 threads", "ratio": 4.0}],
    }
    title, table_, _ = aims.section(rows)
    assert title == "## Aims"
    assert [line.split(" | ")[1:] for line in table_.splitlines()[2:]] == [
        ["at most 4", "4.5", "**no** |"],
        ["at least 25", "not measured", "– |"],
        ["at least 4", "4", "yes |"],
        ["at least 4", "not measured", "– |"],
    ]
    assert aims.section({"window": []}) == []


def test_no_device_gives_no_rows(monkeypatch):
    monkeypatch.setattr(bench_device.torch.cuda, "is_available", lambda: False)
    assert bench_device.run() == []


def test_other_programs_that_cannot_be_built_are_left_out_with_a_note(monkeypatch, tmp_path):
    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(peers.platformdirs, "user_cache_dir", lambda _: str(tmp_path))
    monkeypatch.setattr(peers.subprocess, "run", fail)
    monkeypatch.setattr(peers, "problems", [])
    peers.interpreter.cache_clear()
    try:
        assert peers.ask("lmfit", patches=np.zeros((1, 11, 11))) is None
    finally:
        peers.interpreter.cache_clear()
    assert peers.problems == ["The environment of the other programs could not be built (no network)."]


def test_rows_that_were_measured_replace_older_ones():
    head = "Words.\n\n<!-- measured -->\n\n| | | |\n|---|---|---|\n"
    page = f"{head}| frames | 10 | here |\n| memory | 5 MB | here |\n"
    new = bench_scale.renewed(page, ["| memory | 6 MB | there |", "| kills | 20 | there |"])
    assert new == f"{head}| frames | 10 | here |\n| memory | 6 MB | there |\n| kills | 20 | there |\n"
    assert bench_scale.renewed(new, []) == new
    assert (
        bench_scale.renewed("Words.\n\n<!-- measured -->\n", ["| a | 1 | here |"])
        == f"{head}| a | 1 | here |\n"
    )

from dataclasses import replace

import numpy as np
import pytest
from scans import correlation, small_scan, written

from braggscope.app.engine.disk_tools import find_probe, make_tools
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.scan import patterns_of
from braggscope.app.engine.strain import run_strain
from braggscope.app.engine.strain_doubts import (
    lattice_doubts,
    probe_doubts,
    residual_doubts,
    share_on,
)
from braggscope.app.engine.strain_records import Found
from braggscope.app.engine.strain_result import StrainError
from braggscope.app.engine.strain_runs import renewed
from braggscope.models.disks.results import Disks, LatticeMap


@pytest.fixture
def good():
    """Four positions with ten disks each, all of them on the lattice; a probe of 3 px."""
    number = np.repeat(np.arange(4), 10)
    value = np.ones(40)
    disks = Disks(number, value, value, value, value, value, value)
    lattices = LatticeMap(
        np.ones((4, 6)), np.ones((4, 6, 6)), np.full(4, 0.1), np.full(4, 10), np.ones(4, np.bool_)
    )
    return disks, lattices, 3.0


def test_a_lattice_that_holds_its_disks_raises_no_doubt(good):
    assert residual_doubts(*good) == ()


@pytest.mark.parametrize(
    ("change", "said", "not_said"),
    [
        ({"residual": np.full(4, 0.8)}, "miss the lattice by 0.8 px (median) at a probe radius of 3 px", "%"),
        ({"count": np.full(4, 5)}, "only 50 % of the disks (median) lie on the lattice", "miss"),
    ],
)
def test_disks_off_the_lattice_raise_doubt(good, change, said, not_said):
    disks, lattices, radius = good
    (sentence,) = residual_doubts(disks, replace(lattices, **change), radius)
    assert "Do not trust this strain yet" in sentence
    assert said in sentence
    assert not_said not in sentence


def test_without_a_valid_position_there_is_nothing_to_doubt(good):
    disks, lattices, radius = good
    assert residual_doubts(disks, replace(lattices, valid=np.zeros(4, np.bool_)), radius) == ()


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return small_scan(tmp_path_factory.mktemp("doubts") / "scan.h5")


@pytest.mark.parametrize(("radius", "doubted"), [(None, False), (3.4, False), (6.8, True), (1.7, True)])
def test_a_probe_of_another_size_than_the_disks_is_doubted(scan, radius, doubted):
    parameters, context = correlation(probe_radius=radius), silent_context()
    with patterns_of(str(scan.path), parameters, context) as patterns:
        probe = find_probe(patterns, parameters, context)
        said = probe_doubts(patterns, probe, parameters.strain, context)
    assert bool(said) == doubted
    if doubted:
        assert f"{radius:.3g} px does not fit" in said[0]
        assert "3.4" in said[0]


def test_disks_count_as_on_the_lattice_of_their_own_pattern():
    h, k = (values.ravel() for values in np.mgrid[-2:3, -2:3])
    lattices = [(40.0, 42.0, 11.0, 1.0, -2.0, 12.0), (40.0, 42.0, 10.0, 0.0, 0.0, 10.0)]
    x0, y0, ax, ay, bx, by = lattices[0]
    x, y, number = x0 + h * ax + k * bx, y0 + h * ay + k * by, np.zeros(25, np.int64)
    disks = Disks(number, x + 0.3, y, *(np.ones(25) for _ in range(4)))
    several = LatticeMap(
        np.array(lattices), np.ones((2, 6, 6)), np.zeros(2), np.full(2, 25), np.ones(2, np.bool_)
    )
    assert share_on(disks, several, 0.8) == 1.0
    assert share_on(disks, several, 0.2) == 0.0
    assert share_on(replace(disks, pattern=number + 1), several, 0.8) < 0.5


@pytest.mark.parametrize(("turned", "doubted"), [(0.0, False), (0.35, True)])
def test_a_fit_whose_lattice_misses_the_disks_is_doubted(scan, turned, doubted):
    parameters, context = correlation().with_strain(method="lattice"), silent_context()
    with patterns_of(str(scan.path), parameters, context) as patterns:
        probe = find_probe(patterns, parameters, context)
        tools = make_tools(patterns, probe, parameters, context)
        positions = np.array([1, 4, 7, 10])
        disks, lattices = tools.find(patterns.take(positions, context))
        turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
        values = lattices.values.copy()
        values[:, 2:4], values[:, 4:] = values[:, 2:4] @ turn.T, values[:, 4:] @ turn.T
        placed = replace(disks, pattern=positions[disks.pattern])
        found = Found(positions, placed, np.zeros((4, 2)), replace(lattices, values=values))
        said = lattice_doubts(patterns, tools, found, context)
        assert lattice_doubts(patterns, tools, replace(found, lattices=None), context) == ()
    assert bool(said) == doubted
    assert all("in 4 of the patterns" in sentence for sentence in said)


def test_a_run_keeps_its_doubts(scan):
    parameters = correlation(probe_radius=6.8)
    result = run_strain(str(scan.path), parameters, None, silent_context(), workers=1)
    assert any("does not fit this scan" in doubt for doubt in result.doubts)
    assert not any("does not fit this scan" in note for note in result.notes)


@pytest.mark.parametrize("method", ["correlation", "lattice"])
def test_where_nothing_is_found_a_doubtful_probe_is_said_with_it(scan, method):
    parameters = correlation(probe_radius=28.0).with_strain(method=method)
    with pytest.raises(StrainError, match=r"; .*\. The probe's radius of 28 px does not fit this scan"):
        run_strain(str(scan.path), parameters, None, silent_context(), workers=1)


def test_a_doubtful_probe_does_not_hide_what_is_wrong_with_the_reference(scan, tmp_path):
    patterns = scan.patterns.copy()
    patterns[:, :2] = 0
    path = written(tmp_path / "vacuum.h5", patterns)
    with pytest.raises(StrainError, match=r"no position in the reference region has a lattice.*\. The probe"):
        run_strain(path, correlation(probe_radius=4.6), None, silent_context(), workers=1)


def test_other_lattices_of_the_same_disks_have_their_own_doubts(scan):
    good = correlation()
    first = run_strain(str(scan.path), good, None, silent_context(), workers=1)
    assert first.doubts == ()
    first = replace(first, doubts=("The probe is odd.",))
    doubtful = renewed(first, good.with_strain(lattice=(26.0, 2.0, -2.0, 25.0)))
    assert doubtful.doubts[0] == "The probe is odd."
    assert "lie on the lattice" in doubtful.doubts[1]
    assert renewed(doubtful, good).doubts == ("The probe is odd.",)

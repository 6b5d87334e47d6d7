from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scans import correlation, small_scan

from braggscope.app.engine.disk_tools import find_probe, make_tools
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.scan import patterns_of
from braggscope.app.engine.strain_doubts import doubts, lattice_doubts, probe_doubts, share_on
from braggscope.models.disks.probe import synthetic_probe
from braggscope.models.disks.results import Disks, LatticeMap


@pytest.fixture
def good():
    """Four positions with ten disks each, all of them on the lattice."""
    number = np.repeat(np.arange(4), 10)
    value = np.ones(40)
    disks = Disks(number, value, value, value, value, value, value)
    lattices = LatticeMap(
        np.ones((4, 6)), np.ones((4, 6, 6)), np.full(4, 0.1), np.full(4, 10), np.ones(4, np.bool_)
    )
    return SimpleNamespace(disks=disks, lattices=lattices, probe=synthetic_probe(3.0, 1.0, 32))


def test_a_lattice_that_holds_its_disks_raises_no_doubt(good):
    assert doubts(good) == ()


@pytest.mark.parametrize("change", [{"residual": np.full(4, 0.8)}, {"count": np.full(4, 5)}])
def test_disks_off_the_lattice_raise_doubt(good, change):
    good.lattices = replace(good.lattices, **change)
    (sentence,) = doubts(good)
    assert "Do not trust this strain yet" in sentence
    assert "3 px" in sentence


def test_without_a_valid_position_there_is_nothing_to_doubt(good):
    good.lattices = replace(good.lattices, valid=np.zeros(4, np.bool_))
    assert doubts(good) == ()


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
def test_a_fit_whose_lattice_misses_the_disks_is_doubted(scan, turned, doubted, monkeypatch):
    parameters, context = correlation().with_strain(method="lattice"), silent_context()
    with patterns_of(str(scan.path), parameters, context) as patterns:
        probe = find_probe(patterns, parameters, context)
        tools = make_tools(patterns, probe, parameters, context)
        measured = tools.find

        def find(some):
            disks, lattices = measured(some)
            turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
            values = lattices.values.copy()
            values[:, 2:4], values[:, 4:] = values[:, 2:4] @ turn.T, values[:, 4:] @ turn.T
            return disks, replace(lattices, values=values)

        monkeypatch.setattr(tools, "find", find)
        said = lattice_doubts(patterns, tools, context)
    assert bool(said) == doubted
    assert all("Do not trust this strain yet" in sentence for sentence in said)

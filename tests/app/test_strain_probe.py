"""Probes, saturation and the overlay of one pattern; patterns that were measured."""

import os
from pathlib import Path

import numpy as np
import pytest
from scans import CENTRE, RADIUS, SIDE, correlation, disk, small_scan, written

from braggscope.app.engine.disk_tools import (
    find_probe,
    make_tools,
    measure_pattern,
    saturation_notes,
)
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.scan import patterns_of
from braggscope.app.engine.strain import run_strain
from braggscope.app.engine.strain_result import StrainError
from braggscope.app.sources.protocol import SourceError
from braggscope.models.parameters import Parameters


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return small_scan(tmp_path_factory.mktemp("strain") / "scan.h5")


# -- probe ----------------------------------------------------------------------------------------------


def probe_of(path, parameters):
    with patterns_of(str(path), parameters, silent_context()) as patterns:
        return find_probe(patterns, parameters, silent_context())


def test_the_probe_comes_from_data_file_region_or_hand(scan, tmp_path):
    vacuum = np.random.default_rng(4).poisson(900 * disk(20.3, 24.8) + 0.2, (3, SIDE, SIDE)).astype("uint16")
    np.save(tmp_path / "vacuum.npy", vacuum)
    from_file = probe_of(scan.path, correlation(probe_file=str(tmp_path / "vacuum.npy")))
    assert from_file.centre == pytest.approx((20.3, 24.8), abs=0.1)
    for probe in (from_file, probe_of(scan.path, correlation())):
        assert probe.radius == pytest.approx(RADIUS, abs=0.15)
    region = probe_of(scan.path, correlation(probe_region=(0, 2, 0, 2)))
    assert region.centre == pytest.approx(CENTRE, abs=0.15)
    by_hand = probe_of(scan.path, correlation(probe_radius=4.5))
    assert by_hand.radius == 4.5
    assert by_hand.centre == pytest.approx(CENTRE, abs=0.15)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"probe_radius": 40.0}, "too large for patterns of 64 x 64"),
        ({"probe_region": (0, 9, 0, 1)}, "beyond the scan of 4 x 6"),
        ({"probe_file": "/nowhere/probe.h5"}, "nowhere"),
    ],
)
def test_probes_that_cannot_be_are_one_sentence(scan, change, says):
    with pytest.raises((StrainError, SourceError)) as caught:
        probe_of(scan.path, correlation(**change))
    assert says in str(caught.value)
    assert str(caught.value).endswith(".")


def test_the_overlay_of_one_pattern(scan):
    with patterns_of(str(scan.path), correlation(), silent_context()) as patterns:
        probe = find_probe(patterns, correlation(), silent_context())
        tools = make_tools(patterns, probe, correlation(), silent_context())
        (pattern,) = patterns.take(np.array([3]), silent_context())
    disks = measure_pattern(pattern, tools)
    near = np.hypot(disks.x - CENTRE[0], disks.y - CENTRE[1]).min()
    assert len(disks) > 10
    assert near < 0.2
    assert len(measure_pattern(np.zeros_like(pattern), tools.twin())) == 0


# -- measured patterns ----------------------------------------------------------------------------------


@pytest.mark.skipif("BRAGGSCOPE_TEST_DATA" not in os.environ, reason="BRAGGSCOPE_TEST_DATA names no folder")
def test_disks_of_precession_patterns_are_those_that_are_there():
    """Centres of mass, above their surroundings, of the strong reflections of a measured pattern: x, y px."""
    there = np.array(
        [(73.1, 72.1), (105.2, 78.1), (58.7, 38.6), (100.8, 98.0), (42.3, 66.3), (37.0, 86.1), (96.3, 118.2)]
    )
    path = Path(os.environ["BRAGGSCOPE_TEST_DATA"]) / "stem4d" / "test1.blo"
    parameters = correlation(probe_radius=3.0)  # the direct disk is saturated and tells none
    with patterns_of(str(path), parameters, silent_context()) as patterns:
        probe = find_probe(patterns, parameters, silent_context())
        assert "saturated at 255" in saturation_notes(patterns, probe, silent_context())[0]
        tools = make_tools(patterns, probe, parameters, silent_context())
        (first,) = patterns.take(np.array([0]), silent_context())
    disks = measure_pattern(first, tools)
    away = np.hypot(disks.x[:, None] - there[:, 0], disks.y[:, None] - there[:, 1])
    assert (away.min(axis=0) < 0.6).all()
    assert len(disks) < 25


@pytest.mark.skipif("BRAGGSCOPE_TEST_DATA" not in os.environ, reason="BRAGGSCOPE_TEST_DATA names no folder")
def test_a_measured_scan_without_a_lattice_says_so():
    path = Path(os.environ["BRAGGSCOPE_TEST_DATA"]) / "stem4d" / "001_4x2_6bit.mib"
    parameters = Parameters().with_strain(method="correlation", scan_shape=(2, 4))
    with pytest.raises(StrainError, match=r"no lattice was found|No disk was found"):
        run_strain(str(path), parameters, None, silent_context())


def test_a_saturated_direct_disk_is_said(tmp_path):
    scan = small_scan(tmp_path / "a.h5")
    path = written(tmp_path / "capped.h5", np.minimum(scan.patterns, 255).astype(np.uint8))
    found = run_strain(path, correlation(), None, silent_context())
    assert "saturated at 255 counts" in found.notes[0]
    assert np.sqrt(np.mean((found.strain.exx - scan.exx) ** 2)) < 2e-3

"""Nothing of a crystal is lost by looking at another file, and no crystal is shown with another stack."""

import os
import threading
import time

import numpy as np
import pytest
from coherent_scan import QUICK, coherent, panels, phase, prepared
from stage import settle, until

from braggscope.app.engine import cdi
from braggscope.models.cdi.geometry import BraggGeometry

JOB = "Reconstruction scan7.npy"


@pytest.fixture
def other(counts, tmp_path):
    """Another stack."""
    path = tmp_path / "other.npy"
    np.save(path, counts[:, :, ::-1])
    return path


@pytest.fixture
def held(monkeypatch):
    """Reconstructions wait until this is set."""
    go_on, original = threading.Event(), cdi.phase_stack

    def waiting(stack, parameters, context, start=None):
        while not go_on.wait(0.01):
            context.check()
        return original(stack, parameters, context, start)

    monkeypatch.setattr(cdi, "phase_stack", waiting)
    yield go_on
    go_on.set()


def begin(stage):
    stage.window.show_panel("phasing")
    stage.press(panels(stage).phasing.start)
    until(lambda: coherent(stage).run.running, "the start")


def change_to(stage, path):
    """Open another stack while jobs go on."""
    stage.drop([path])
    until(lambda: stage.state.location == str(path), "the other stack")
    prepared(stage)


def nothing_is_shown(stage):
    page = panels(stage).page
    assert panels(stage).starts.texts() == []
    assert coherent(stage).run.results == []
    assert coherent(stage).show.looked is None
    assert page.shown.value() == "data"
    assert page.object.layer is None


def test_a_reconstruction_goes_on_behind_another_stack_and_is_kept(crystal, stack, other, held):
    begin(crystal)
    change_to(crystal, other)
    nothing_is_shown(crystal)
    assert panels(crystal).phasing.start.text() == "Reconstruct"
    assert crystal.rows()[JOB] == "running"
    held.set()
    until(lambda: crystal.rows()[JOB] == "done", "the crystal", 60)
    said = crystal.notice
    assert said.level == "info"
    assert "scan7.npy" in said.text
    settle(0.05)
    nothing_is_shown(crystal)
    coherent(crystal).exports.write("npz", other.parent / "wrong.npz")
    assert "no crystal to export" in crystal.notice.text
    change_to(crystal, stack)
    until(lambda: coherent(crystal).show.looked is not None, "the kept crystal")
    assert len(panels(crystal).starts.texts()) == 1
    assert coherent(crystal).show.looked.candidate is coherent(crystal).run.results[0]


def test_a_reconstruction_is_watched_again_with_its_own_stack(crystal, stack, other):
    slow = {"iterations": "9000*RAAR", "coarse_iterations": "9000*RAAR"}
    coherent(crystal).set_phasing(coherent(crystal).phasing.model_copy(update=slow))
    begin(crystal)
    until(lambda: panels(crystal).curves.stages, "the first iterations")
    change_to(crystal, other)
    settle(0.3)
    nothing_is_shown(crystal)
    assert not panels(crystal).curves.stages
    change_to(crystal, stack)
    until(lambda: coherent(crystal).run.running, "the running reconstruction")
    assert panels(crystal).phasing.start.text() == "Cancel"
    assert panels(crystal).curves.stages
    until(lambda: panels(crystal).page.object.layer is not None, "the running object")
    crystal.press(panels(crystal).phasing.start)
    until(lambda: crystal.rows()[JOB] == "cancelled", "the end", 5)


def test_it_can_be_cancelled_in_the_list_and_another_waits_behind_it(crystal, other, held):
    begin(crystal)
    change_to(crystal, other)
    begin(crystal)
    assert crystal.rows()[JOB] == "running"
    assert crystal.rows()["Reconstruction other.npy"] == "waiting"
    assert "waiting" in panels(crystal).phasing.note.text()
    crystal.window.show_panel("jobs")
    (row,) = [row for row in crystal.window.jobs_panel.rows.values() if row.job.title == JOB]
    crystal.press(row.cancel)
    until(lambda: crystal.rows()[JOB] == "cancelled", "the cancel", 2)
    assert coherent(crystal).run.running
    held.set()
    until(lambda: coherent(crystal).run.results, "the crystal of the other stack", 60)
    (found,) = coherent(crystal).run.results
    np.testing.assert_array_equal(found.phased.pattern.amplitude, coherent(crystal).volume.pattern.amplitude)


def test_results_and_geometry_come_back_with_their_stack(crystal, stack, other):
    phase(crystal)
    angles = BraggGeometry(
        energy_keV=9, distance_m=1, pixel_um=(55, 55), delta_deg=20, gamma_deg=15, step_deg=0.01
    )
    room = coherent(crystal)
    room.set_phasing(room.phasing.model_copy(update={"geometry": angles}))  # typed after phasing
    until(lambda: room.show.looked.typed.geometry == angles, "the crystal with its angles")
    shown = room.show.looked.candidate
    crystal.open(other)
    prepared(crystal)
    assert room.phasing.geometry is None
    nothing_is_shown(crystal)
    crystal.open(stack)
    prepared(crystal)
    until(lambda: room.show.looked is not None, "the kept crystal")
    assert room.show.looked.candidate is shown
    assert room.show.looked.typed.geometry == angles
    crystal.program.trigger("close_source")
    until(lambda: crystal.desk.engine is None, "the empty window")
    nothing_is_shown(crystal)


@pytest.mark.parametrize("same", [True, False])
def test_a_file_that_was_touched_keeps_its_crystal_and_one_that_was_written_anew_does_not(
    launch, counts, tmp_path, same
):
    path = tmp_path / "scan7.npy"
    np.save(path, counts)
    stage = launch()
    stage.open(path)
    stage.program.trigger("coherent_workspace")
    prepared(stage)
    coherent(stage).set_phasing(coherent(stage).phasing.model_copy(update=QUICK))
    phase(stage)
    (first,) = coherent(stage).run.results
    if not same:
        np.save(path, counts[:, ::-1])
    os.utime(path, (time.time() + 10, time.time() + 10))
    before = stage.desk.info.identity
    stage.program.trigger("refresh")
    until(lambda: stage.desk.info.identity != before, "the file as it is now")
    prepared(stage)
    if same:
        until(lambda: coherent(stage).show.looked is not None, "the kept crystal")
        assert coherent(stage).run.results == [first]
    else:
        settle(0.1)
        nothing_is_shown(stage)


def test_what_has_to_go_for_want_of_memory_is_said(crystal, other):
    phase(crystal)
    coherent(crystal).run.kept.most = 1
    crystal.open(other)
    prepared(crystal)
    phase(crystal)
    assert "The reconstructions of scan7.npy had to go" in crystal.notice.text
    assert len(coherent(crystal).run.results) == 1

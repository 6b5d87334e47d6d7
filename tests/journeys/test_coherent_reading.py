"""Reading and preparing a stack is a job: seen, timed, cancelled; what takes a moment only is not listed."""

import threading
import time

import pytest
from coherent_scan import coherent, panels, prepared
from stage import settle, until

from braggscope.app.sources.reader import Reader

JOB = "Preparing scan7.npy"


@pytest.fixture
def slow_disk(monkeypatch):
    """Every frame takes its time until this is set."""
    quick, original = threading.Event(), Reader.read

    def read(self, index, out=None, cancelled=None, lend=False):
        if out is not None:  # a stack is read
            quick.wait(0.1)
        return original(self, index, out, cancelled, lend)

    monkeypatch.setattr(Reader, "read", read)
    return quick


def reading(launch, stack):
    stage = launch()
    stage.open(stack)
    stage.program.trigger("coherent_workspace")
    until(lambda: panels(stage).volume.prepare.text() == "Cancel" and JOB in stage.rows(), "the slow reading")
    return stage


def test_a_slow_reading_is_listed_with_the_time_left(launch, stack, slow_disk):
    stage = reading(launch, stack)
    (row,) = [row for row in stage.window.jobs_panel.rows.values() if row.job.title == JOB]
    until(lambda: row.job.remaining_s is not None, "the time left")
    assert row.job.state == "running"
    assert 0 < row.job.done < row.job.total
    assert 0.1 < row.job.remaining_s < 10
    assert "left" in panels(stage).page.empty.detail.text()
    assert "of 32" in panels(stage).volume.note.text()
    slow_disk.set()
    prepared(stage)
    until(lambda: row.job.state == "done", "the end")
    assert row.job.note == "32 × 32 × 32 voxels"
    assert panels(stage).volume.prepare.text() == "Prepare"
    assert not panels(stage).volume.bar.isVisible()


@pytest.mark.parametrize("where", ["list", "panel"])
def test_a_slow_reading_is_cancelled_at_once_and_begun_again(launch, stack, slow_disk, where):
    stage = reading(launch, stack)
    if where == "list":
        stage.window.show_panel("jobs")
        (row,) = [row for row in stage.window.jobs_panel.rows.values() if row.job.title == JOB]
        button = row.cancel
    else:
        stage.window.show_panel("volume")
        button = panels(stage).volume.prepare
    until(button.isVisible, "the button")
    begin = time.monotonic()
    stage.press(button)
    until(lambda: stage.rows()[JOB] == "cancelled" and not stage.desk.lanes.volume.busy, "the end", 2)
    assert time.monotonic() - begin < 0.5  # one frame, on a busy machine
    assert coherent(stage).volume is None
    assert "Press Prepare" in panels(stage).page.empty.detail.text()
    assert panels(stage).volume.prepare.text() == "Prepare"
    slow_disk.set()
    stage.window.show_panel("volume")
    stage.press(panels(stage).volume.prepare)
    prepared(stage)


def test_quick_preparations_are_not_listed_and_the_newest_counts(crystal, monkeypatch):
    board, listed = crystal.window.jobs_panel, []
    original = board.set_jobs
    monkeypatch.setattr(
        board, "set_jobs", lambda jobs: (listed.extend(j.title for j in jobs), original(jobs))
    )
    monkeypatch.setattr("braggscope.app.presenters.jobs.QUICK_MS", 20_000)
    for crop in (20, 24, 28):
        coherent(crystal).set_phasing(coherent(crystal).phasing.model_copy(update={"crop": crop}))
        settle(0.14)
    until(lambda: coherent(crystal).volume.parameters.crop == 28, "the newest")
    prepared(crystal)
    assert JOB not in listed
    assert JOB not in crystal.rows()
    assert not crystal.program.jobs.running


def _rows(stage):
    """Keys of the rows of the job."""
    return [key for key, row in stage.window.jobs_panel.rows.items() if row.job.title == JOB]


def test_a_newer_request_takes_the_row_of_the_older(launch, stack, slow_disk):
    stage = reading(launch, stack)
    old = _rows(stage)
    coherent(stage).prepare()
    until(lambda: _rows(stage) != old, "the newer one's row")
    new = _rows(stage)
    assert len(old) == len(new) == 1
    assert old != new
    slow_disk.set()
    prepared(stage)
    until(lambda: stage.rows()[JOB] == "done", "the end")
    assert len([row for row in stage.window.jobs_panel.rows.values() if row.job.title == JOB]) == 1


def test_parameters_typed_while_the_stack_is_read_are_used(launch, stack, slow_disk):
    stage = reading(launch, stack)
    coherent(stage).set_phasing(coherent(stage).phasing.model_copy(update={"crop": 24}))
    slow_disk.set()
    until(lambda: coherent(stage).volume is not None, "the stack")
    until(lambda: coherent(stage).volume.parameters.crop == 24, "the pattern as the parameters say")

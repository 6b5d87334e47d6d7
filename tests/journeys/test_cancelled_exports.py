"""Exports that are cancelled, and jobs that others wait behind, in the real window."""

import threading

import pytest
from coherent_scan import coherent, panels
from late import left_alone
from stage import until

from braggscope.app.presenters import exports
from braggscope.widgets.export_cards import MovieChoice

OLD = b"what stood there"


class Held:
    """A job that goes on when it is told to."""

    def __init__(self):
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self, *_):
        self.begun.set()
        assert self.release.wait(20)


@pytest.fixture
def held():
    """A job that waits; it ends with the test at the latest."""
    job = Held()
    yield job
    job.release.set()


def test_an_export_runs_at_once_and_a_cancel_leaves_the_file(program, held, tmp_path, monkeypatch):
    path, write = tmp_path / "frame.png", exports.picture_figure
    path.write_bytes(OLD)

    def slow(*arguments):
        held()
        write(*arguments)

    monkeypatch.setattr(exports, "picture_figure", slow)
    program.program.exports.write_figure("overlay", path)
    until(lambda: program.rows().get("Figure frame.png") == "running", "the running job", 5)
    program.window.jobs_panel.cancel_requested.emit(program.program.jobs.running[0])
    held.release.set()
    program.idle()
    assert program.rows()["Figure frame.png"] == "cancelled"
    assert path.read_bytes() == OLD


def test_whatever_is_cancelled_at_the_last_moment_leaves_its_file(program, tmp_path):
    write, folder = program.program.exports, tmp_path / "out"
    folder.mkdir()
    for name in ("a.csv", "a.h5", "a.svg", "a.gif"):
        (folder / name).write_bytes(OLD)
    left_alone(program, folder / "a.csv", write.write_table, "Table")
    left_alone(program, folder / "a.h5", write.write_table, "Table")
    left_alone(program, folder / "a.svg", lambda path: write.write_figure("overlay", path), "Figure")
    choice = MovieChoice("gif", 10, 0, 2, 1, 256, ("fit",))
    left_alone(program, folder / "a.gif", lambda path: write.write_movie(path, choice), "Movie")


def test_the_preview_of_an_export_leaves_the_picture_on_screen_alone(program, held):
    lane, shown = program.desk.lanes.render, []
    until(lambda: not lane.busy, "the picture")
    lane.submit(held, lambda _: shown.append("picture"), on_cancelled=lambda: shown.append("cancelled"))
    program.window.export_panel.set_preview(None)
    program.program.exports._preview()
    preview = program.window.export_panel.preview
    until(lambda: not preview.pixmap().isNull(), "the preview", 10)
    held.release.set()
    until(lambda: shown, "the picture")
    assert shown == ["picture"]


def test_a_reconstruction_that_waits_ends_as_soon_as_it_is_cancelled(crystal, held):
    crystal.desk.lanes.phasing.submit(held, lambda _: None)
    assert held.begun.wait(5)
    run = coherent(crystal).run
    run.start()
    assert run.running
    row = next(title for title in crystal.rows() if title.startswith("Reconstruction"))
    assert crystal.rows()[row] == "waiting"
    panels(crystal).phasing.cancel_requested.emit()
    until(lambda: not run.running, "the end", 2)
    assert crystal.rows()[row] == "cancelled"
    assert crystal.desk.lanes.phasing.busy, "what it waited for goes on"

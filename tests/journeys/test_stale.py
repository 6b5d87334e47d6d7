"""A fast random scrub over a slow engine never shows what belongs to another frame or threshold."""

import random
import time

import numpy as np
from PyQt6.QtTest import QTest
from stage import Stage, until

from braggscope.app.engine.frames import FrameEngine
from braggscope.app.engine.views import ViewKey

STEPS = 1000
GRACE_S = 0.5  # the window takes back marks after 0.1 s; the rest is for a busy machine


def _slow(monkeypatch, seed: int) -> None:
    """Make the engine wait at random, up to 5 ms at every stage."""
    chance = random.Random(seed)
    for name in ("prepared", "peaks", "candidates"):
        original = getattr(FrameEngine, name)

        def late(self, *arguments, original=original, **options):
            time.sleep(chance.uniform(0.0, 0.005))
            return original(self, *arguments, **options)

        monkeypatch.setattr(FrameEngine, name, late)


class Watch:
    """Checks everything put on screen when it is put there, and all that stands there after every turn."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.shown: set[int] = set()
        self.marked: set[ViewKey] = set()
        self.tables = 0
        self.pictures = 0
        self._stale_since = 0.0
        window = stage.window
        self._watch(window.frame_view, "set_marks", self._marks_put)
        self._watch(window.peak_table, "set_table", self._table_put)
        self._watch(window.patch_view, "set_content", self._patch_put)
        self._watch(window.frame_view, "set_title", self._title_put)

    def _watch(self, widget, name: str, check) -> None:
        original = getattr(widget, name)

        def checked(value):
            check(value)
            original(value)

        setattr(widget, name, checked)

    def _current(self) -> bool:
        desk = self.stage.desk
        return desk.found is not None and desk.found.key == desk.key()

    def _marks_put(self, marks) -> None:
        if marks is not None:
            desk = self.stage.desk
            assert self._current(), "marks of another frame or threshold were drawn"
            assert desk.picture.key.frame == desk.found.key.frame, "marks on the picture of another frame"
            assert len(marks) == len(desk.found.table)
            self.marked.add(desk.found.key)

    def _table_put(self, table) -> None:
        if table is not None and len(table):
            assert self._current(), "a stale table was shown"
            assert (table["frame"] == self.stage.state.frame).all()
            self.tables += 1

    def _patch_put(self, content) -> None:
        if content is not None:
            assert content.frame == self.stage.state.frame, "a stale patch was shown"

    def _title_put(self, title: str) -> None:
        assert title == f"Frame {self.stage.desk.picture.key.frame}"
        self.pictures += 1

    def turn(self) -> None:
        """After a turn of the event loop: what is on screen is of one frame, and old things do not last."""
        stage, desk = self.stage, self.stage.desk
        assert stage.canvas.title == f"Frame {desk.picture.key.frame}"
        detect = stage.state.parameters.detect
        if self._current():
            self._stale_since = 0.0
            if stage.marks is not None:
                assert desk.picture.key.frame == stage.state.frame
                assert len(stage.marks) == len(stage.listed) == len(desk.found.table)
                assert np.all(stage.listed["birth"] >= detect.minval)
                assert np.all(stage.listed["score"] >= detect.minscore)
                self.shown.add(stage.state.frame)
            return
        assert desk.table is None
        assert stage.program.peaks.selected_row() is None
        if stage.marks is None and not len(stage.listed):
            return
        if stage.marks is not None:  # still those of the picture under them
            assert desk.found is not None
            assert desk.found.key.frame == desk.picture.key.frame
        now = time.monotonic()
        self._stale_since = self._stale_since or now
        assert now - self._stale_since < GRACE_S, "old marks stay on screen"


def test_a_random_scrub_shows_nothing_stale(program, monkeypatch):
    _slow(monkeypatch, 1)
    watch, chance = Watch(program), random.Random(2)
    play, peaks = program.program.playback, program.program.peaks
    changes = 0
    while changes < STEPS:
        before = program.state.frame
        play.go_to(chance.randrange(play.count))
        changes += program.state.frame != before
        if chance.random() < 0.15:
            peaks.nudge(chance.choice(["minval", "minscore"]), chance.random() < 0.5)
        if chance.random() < 0.1:
            peaks.step(1)
        for _ in range(chance.choice((1, 1, 1, 2, 6))):
            QTest.qWait(chance.choice((0, 1, 3)))
            watch.turn()
        if changes % 20 == 0:  # now and then somebody looks closer
            until(program.measured, "a frame at rest")
            watch.turn()
    until(program.measured, "the last frame")
    watch.turn()
    state = program.state
    assert program.canvas.title == f"Frame {state.frame}"
    assert program.desk.found.key == ViewKey.of(program.desk.info, state.frame, state.parameters)
    assert (program.listed["frame"] == state.frame).all()
    assert len(program.marks) == len(program.desk.table)
    assert watch.pictures > STEPS / 20, "a fast scrub shows many frames, not only the last"
    assert len(watch.marked) > 20
    assert watch.tables > 20


def test_a_slow_detector_leaves_no_old_marks(program, monkeypatch):
    original = FrameEngine.peaks

    def slow(self, ask, context):
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            context.check()
            time.sleep(0.01)
        return original(self, ask, context)

    monkeypatch.setattr(FrameEngine, "peaks", slow)
    assert len(program.marks)
    program.program.peaks.nudge("minscore", True)
    until(lambda: program.marks is None and not len(program.listed), "the old marks to go", 0.45)
    program.look()
    assert len(program.marks) == len(program.listed) > 0

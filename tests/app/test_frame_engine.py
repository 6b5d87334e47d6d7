"""What the window shows of one frame: the batch's numbers, from the cache where they are known."""

import numpy as np
import pytest

from braggscope.app.api import analyse_series
from braggscope.app.engine.frames import FrameEngine
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.views import Ask, Found, Measured, Picture, ViewKey
from braggscope.app.sources.reader import Reader
from braggscope.app.state.session import Display
from braggscope.models.regions import Region
from braggscope.models.render import hatched
from braggscope.models.results import COLUMNS


@pytest.fixture
def engine(series):
    with Reader() as reader:
        yield FrameEngine(reader, reader.open(str(series.path)), lambda _: Networks(), memory=2_000_000)


def ask(engine, frame, parameters, **display):
    return Ask(ViewKey.of(engine.info, frame, parameters), frame, parameters, Display(**display))


def test_a_view_comes_in_three_steps_and_is_the_batch_table(engine, series, fit_only):
    steps = []
    wanted = ask(engine, 4, fit_only)
    measured = engine.view(wanted, Context(Ticket(0), lambda p: steps.append(p.payload)))
    assert [type(s) for s in steps] == [Picture, Found]
    assert {s.key for s in (*steps, measured)} == {wanted.key}
    batch = analyse_series(str(series.path), fit_only, [4])
    for c in COLUMNS:
        assert np.array_equal(measured.table[c.name], batch[c.name], equal_nan=c.dtype == "float64"), c.name
    assert np.array_equal(steps[0].prepared.image, series.frames[4])
    assert steps[0].rgb.shape == series.frames[4].shape


def test_nothing_is_read_twice_and_colours_change_only_the_picture(engine, fit_only):
    first = engine.view(ask(engine, 2, fit_only), silent_context())
    engine.reader.close()  # whatever is asked now must be known
    assert engine.view(ask(engine, 2, fit_only, colormap="gray"), silent_context()) is first
    tighter = fit_only.with_detect(minscore=500.0)
    fewer = engine.view(ask(engine, 2, tighter), silent_context())
    assert isinstance(fewer, Measured)
    assert len(fewer.table) == 2
    with pytest.raises(Cancelled):
        engine.view(ask(engine, 3, fit_only), silent_context())


@pytest.mark.parametrize(("minval", "minscore"), [(200.0, 0.0), (60.0, 400.0), (20.0, 10.0), (14.0, 3.0)])
def test_thresholds_from_a_deep_tree_are_exact(engine, fit_only, minval, minscore):
    deep = ask(engine, 0, fit_only.with_detect(minval=5.0, minscore=0.0))
    landscape = engine.landscape(deep, silent_context())
    assert landscape.total > 100
    parameters = fit_only.with_detect(minval=minval, minscore=minscore)
    found = engine.view(ask(engine, 0, parameters), silent_context()).table
    fresh = analyse_series(engine.info.location, parameters, [0])
    for name in ("row", "col", "birth", "death", "score", "peak"):
        assert np.array_equal(found[name], fresh[name]), name


def test_memory_is_bounded(engine, fit_only):
    for frame in range(12):
        for background in ("none", "radial"):
            engine.view(ask(engine, frame, fit_only.with_prepare(background=background)), silent_context())
            assert engine.cached_bytes <= 2_000_000


def test_a_picture_brings_the_overlay_of_its_bad_pixels(engine, fit_only):
    def overlay(frame, parameters, **display):
        picture = engine.picture(ask(engine, frame, parameters, **display), silent_context())
        return picture.overlay, picture.prepared.mask

    bright = fit_only.with_prepare(threshold_high=300.0)  # spots move: the mask of every frame is its own
    for frame in (0, 11):
        pixels, mask = overlay(frame, bright)
        assert mask.any()
        np.testing.assert_array_equal(pixels, hatched(mask))
    assert overlay(11, bright, colormap="gray")[0] is pixels
    assert overlay(11, bright, show_mask=False)[0] is None
    assert overlay(11, fit_only)[0] is None
    drawn = fit_only.with_prepare(masked=(Region(kind="rectangle", points=((3, 3), (9, 7))),))
    assert overlay(4, drawn)[0] is overlay(5, drawn)[0], "one mask in two frames, one overlay"

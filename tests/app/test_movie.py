"""Movies: every frame once, one size, locked levels, marks where the peaks are, nothing left by a failure."""

import json
import re
import subprocess
import threading
import time

import h5py
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from stopping import looks

from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.movies import MovieJob, make_movie
from braggscope.app.export.movie import movie_sink
from braggscope.app.export.overlay import BRAGGNN, FIT, GROUND, OverlayPainter, OverlayStyle
from braggscope.app.export.tables import ExportError
from braggscope.app.sources.protocol import SourceError
from braggscope.models.parameters import Parameters
from braggscope.models.prepare import Preparer
from braggscope.models.results import PeakTable, Status


def decode(path):
    """All frames of a movie of the small series, (N, H, W, 3) uint8, and its frames a second."""
    width, height = OverlayPainter((64, 80), OverlayStyle((0, 1))).size
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24"]
    done = subprocess.run([*command, "-fps_mode", "passthrough", "-"], capture_output=True, check=True)
    said = done.stderr.decode()
    assert f"{width}x{height}" in said
    fps = float(re.search(r"([\d.]+) fps", said).group(1))
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3), fps


def near(picture, place, colour, reach=2):
    """Smallest distance of a colour to the pixels around a place, largest channel."""
    x, y = round(place[0]), round(place[1])
    part = picture[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(int)
    return np.abs(part - np.array(colour)).max(axis=-1).min()


@pytest.fixture(scope="module")
def painted(series, fit_only, tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "a.mp4"
    job = MovieJob(str(series.path), range(1, 12, 2), fit_only, path, fps=7.0)
    assert make_movie(job, None, silent_context()) == 6
    return path, *decode(path)


def test_every_frame_once_and_one_size(painted):
    _, frames, fps = painted
    assert len(frames) == 6
    assert fps == 7.0
    differences = np.abs(np.diff(frames[..., 0].astype(int), axis=0)).max(axis=(1, 2))
    assert (differences > 30).all()


def test_marks_are_at_the_peaks(painted, series):
    _, frames, _ = painted
    painter = OverlayPainter(series.frames[0].shape, OverlayStyle((0, 1)))
    assert painter.zoom == 9
    for k, index in enumerate(range(1, 12, 2)):
        for x, y in series.truth[index]:
            centre = painter.place(x, y)
            for dx, dy in (
                (15, 0),
                (-15, 0),
                (0, 15),
                (0, -15),
            ):  # the arms of the cross; 4:2:0 blurs colours
                assert near(frames[k], (centre[0] + dx, centre[1] + dy), FIT, reach=1) < 70
            away = painter.place(x + 5, y + 5)
            assert near(frames[k], away, FIT) > 100


def test_the_levels_are_those_of_the_first_frame(tmp_path, fit_only):
    frames = np.full((4, 40, 40), 100, np.uint16)
    frames[0, :20] = 200
    frames[1] = 150
    frames[2] = 50_000
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = frames
    parameters = fit_only.with_detect(minval=60_000.0)
    make_movie(MovieJob(str(tmp_path / "a.h5"), range(4), parameters, tmp_path / "m"), None, silent_context())
    names = sorted(p.name for p in (tmp_path / "m").iterdir())
    assert names == [f"frame_{i:06d}.png" for i in range(4)]
    pictures = [np.asarray(Image.open(tmp_path / "m" / name)) for name in names]
    dark, bright = pictures[0][500, 50], pictures[0][100, 50]
    assert np.array_equal(pictures[3][500, 50], dark)
    assert np.array_equal(pictures[2][500, 50], bright)
    assert not np.array_equal(pictures[1][500, 50], dark)
    assert not np.array_equal(pictures[1][500, 50], bright)
    assert all(np.array_equal(p[:760, -80:], pictures[0][:760, -80:]) for p in pictures)  # colour bar


def test_provenance_stands_beside_it(painted, fit_only):
    path, _, _ = painted
    said = json.loads((path.parent / "a.mp4.json").read_text())
    assert Parameters.model_validate(said["parameters"]) == fit_only
    assert said["weights"] == ""
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.mp4", "a.mp4.json"]


@pytest.mark.parametrize("fps", [12.0, 50.0, 0.5])
def test_a_gif_has_every_frame_and_the_colours(series, fit_only, tmp_path, fps):
    job = MovieJob(str(series.path), range(8), fit_only, tmp_path / "a.gif", fps=fps)
    make_movie(job, None, silent_context())
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 8
        durations, first = [], None
        for i in range(8):
            gif.seek(i)
            durations.append(gif.info["duration"])
            first = np.asarray(gif.convert("RGB")) if i == 0 else first
            assert gif.size == OverlayPainter((64, 80), OverlayStyle((0, 1))).size
    assert sum(durations) == pytest.approx(8000 / fps, rel=0.05)
    painter = OverlayPainter((64, 80), OverlayStyle((0, 1)))
    x, y = painter.place(*series.truth[0][0])
    assert near(first, (x + 15, y), FIT) == 0


def test_ungiven_colours_of_a_gif_are_its_frames_own(tmp_path):
    with movie_sink(tmp_path / "a.gif", (32, 32), 10) as sink:
        for shade in (10, 120, 250):
            sink.add(Image.new("RGB", (32, 32), (shade, 0, 255 - shade)))
    with Image.open(tmp_path / "a.gif") as gif:
        for i, shade in enumerate((10, 120, 250)):
            gif.seek(i)
            colour = np.asarray(gif.convert("RGB"))[5, 5].astype(int)
            assert np.abs(colour - (shade, 0, 255 - shade)).max() < 8


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "frames"])
def test_cancel_leaves_nothing(series, fit_only, tmp_path, name):
    ticket = Ticket(0)

    def report(progress):
        if progress.done == 3:
            ticket.cancel()

    start = time.monotonic()
    with pytest.raises(Cancelled):
        make_movie(
            MovieJob(str(series.path), range(12), fit_only, tmp_path / name), None, Context(ticket, report)
        )
    assert time.monotonic() - start < 10
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_movie_keeps_the_old_one(series, fit_only, tmp_path):
    (tmp_path / "a.mp4").write_text("old")
    ticket = Ticket(0)
    ticket.cancel()
    with pytest.raises(Cancelled):
        make_movie(
            MovieJob(str(series.path), range(12), fit_only, tmp_path / "a.mp4"), None,
            Context(ticket, lambda _: None),
        )  # fmt: skip
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_an_unreadable_frame_ends_it_in_one_sentence(broken_series, fit_only, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(SourceError, match="rame 5"):
        make_movie(MovieJob(str(broken_series), range(12), fit_only, out / "a.mp4"), None, silent_context())
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "fps", "words"),
    [
        ("a.avi", 10, "is no movie"),
        ("none/a.mp4", 10, "does not exist"),
        ("full", 10, "not an empty folder"),
        ("a.mp4", 0, "not possible"),
        ("a.mp4", float("nan"), "not possible"),
        ("a.gif", 60, "at most 50"),
    ],
)
def test_what_is_not_possible_is_said(tmp_path, name, fps, words):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(ExportError, match=words), movie_sink(tmp_path / name, (32, 32), fps):
        raise AssertionError
    assert [p.name for p in tmp_path.iterdir()] == ["full"]


def test_no_frames_is_no_movie(series, fit_only, tmp_path):
    with pytest.raises(ExportError, match="no frame"):
        make_movie(MovieJob(str(series.path), [], fit_only, tmp_path / "a.mp4"), None, silent_context())


def test_an_encoder_that_ends_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "braggscope.app.export.movie._command",
        lambda *_: [imageio_ffmpeg.get_ffmpeg_exe(), "-nonsense"],
    )
    picture = Image.new("RGB", (512, 512))

    def fill():
        with movie_sink(tmp_path / "a.mp4", (512, 512), 10) as sink:
            for _ in range(200):
                sink.add(picture)
                threading.Event().wait(0.01)

    with pytest.raises(ExportError, match="could not be encoded"):
        fill()
    assert list(tmp_path.iterdir()) == []


def prepared(shape):
    from braggscope.models.parameters import Preparation

    image = np.random.default_rng(0).integers(0, 50, shape).astype(np.uint16)
    return Preparer(Preparation(), shape=shape).apply([image])


@pytest.mark.parametrize("shape", [(64, 80), (300, 200), (1100, 900)])
def test_places_of_marks_at_every_zoom(shape):
    style = OverlayStyle((0.0, 50.0), size=400)
    painter = OverlayPainter(shape, style)
    y, x = shape[0] * 0.6 - 0.5, shape[1] * 0.4 - 0.5
    table = PeakTable.blank(1, x_braggnn=x, y_braggnn=y, col=round(x), row=round(y), score=10.0,
                            status=int(Status.FAILED))  # fmt: skip
    picture = np.asarray(painter.paint(prepared(shape), table, "t", "n")).astype(int)
    assert picture.shape == (painter.size[1], painter.size[0], 3)
    assert painter.size[0] % 2 == painter.size[1] % 2 == 0
    marked = (picture == np.array(BRAGGNN)).all(axis=-1)
    rows, cols = np.nonzero(marked[: painter.picture_size[1]])
    assert len(rows)
    px, py = painter.place(x, y)
    assert abs((cols.min() + cols.max()) / 2 - px) <= 1
    assert abs((rows.min() + rows.max()) / 2 - py) <= 1
    # the middle of the frame is the middle of the picture, but for the last, incomplete pixel
    middle = painter.place((shape[1] - 1) / 2, (shape[0] - 1) / 2)
    assert abs(middle[0] - (painter.picture_size[0] - 1) / 2) <= 0.5
    assert abs(middle[1] - (painter.picture_size[1] - 1) / 2) <= 0.5


def test_rejected_peaks_are_not_drawn():
    painter = OverlayPainter((64, 80), OverlayStyle((0.0, 50.0)))
    table = PeakTable.blank(1, x_braggnn=20.0, y_braggnn=20.0, x_fit=20.0, y_fit=20.0, score=1.0,
                            status=int(Status.REJECTED))  # fmt: skip
    frame = prepared((64, 80))
    empty = painter.paint(frame, table.take(slice(0, 0)), "t", "n")
    assert np.array_equal(np.asarray(painter.paint(frame, table, "t", "n")), np.asarray(empty))


@pytest.mark.parametrize("size", [256, 400])
def test_captions_of_small_movies_are_whole(size):
    painter = OverlayPainter((64, 64), OverlayStyle((0.0, 50.0), size=size))
    note = "minval 120  minscore 150   21 peaks   + fit  ○ BraggNN  □ no fit"
    title = "frame 240 / 480   time 7200 s   voltage 3.87337 V"
    picture = painter.paint(prepared((64, 64)), PeakTable.blank(0), title, note)
    beside = np.asarray(picture)[painter.picture_size[1] :, -8:]
    assert np.array_equal(np.unique(beside.reshape(-1, 3), axis=0), [GROUND])


def test_a_cancelled_movie_replaces_nothing(series, fit_only, tmp_path):
    path = tmp_path / "a.gif"
    job = MovieJob(str(series.path), range(2), fit_only, path)
    assert looks(lambda context: make_movie(job, None, context), path, tmp_path / "a.gif.json") >= 4

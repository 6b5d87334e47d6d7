"""Encoding pictures: MP4 and GIF through ffmpeg, or a folder of PNGs. Every frame exactly once."""

import contextlib
import errno
import math
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.export.tables import ExportError
from braggscope.app.files import atomic_path, says_what

GIF_MOST_FPS = 50  # pictures of a GIF last whole hundredths of a second, and viewers slow down the shortest


class Sink(Protocol):
    """Takes pictures in order."""

    def add(self, picture: Image.Image) -> None:
        """One more picture, all of one size."""
        ...


def check_movie_path(path: Path) -> None:
    """Raise ExportError unless ``path`` is .mp4, .gif or names a folder, in a folder that can be written."""
    if path.suffix.lower() not in (".mp4", ".gif", ""):
        raise ExportError(f"{path.name} is no movie; use .mp4, .gif, or a folder name for PNG files.")
    if not path.absolute().parent.exists():
        raise ExportError(f"The folder {path.absolute().parent} does not exist; make it, or choose another.")
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise ExportError(f"Nothing can be written into the folder {path.absolute().parent}; choose another.")
    if not path.suffix and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ExportError(f"{path} exists already and is not an empty folder; choose another name.")


@contextmanager
def movie_sink(
    path: Path,
    size: tuple[int, int],
    fps: float,
    palette: NDArray[np.uint8] | None = None,
    context: Context = UNWATCHED,
) -> Iterator[Sink]:
    """A sink for pictures of ``size`` (width, height) px, even numbers. On any error nothing remains.

    ``palette`` (N, 3) RGB, N <= 255: colours of a GIF; without it every frame gets its own. Raises
    ExportError, Cancelled.
    """
    check_movie_path(path)
    gif = path.suffix.lower() == ".gif"
    if not (math.isfinite(fps) and 0 < fps <= (GIF_MOST_FPS if gif else 1000)):
        most = f" at most {GIF_MOST_FPS} for a GIF" if gif else " above 0, at most 1000"
        raise ExportError(f"{fps:g} frames a second are not possible; use{most}.")
    if path.suffix:
        commit = context.commit
        with atomic_path(path, commit) as temporary, _encoder(temporary, size, fps, palette) as sink:
            yield sink
        return
    folder = path.with_name(f".{uuid.uuid4().hex[:12]}")
    try:
        with says_what(path, folder):
            folder.mkdir()
            yield _PngFolder(folder)
            context.commit()
            if path.exists():
                path.rmdir()
            folder.rename(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _PngFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def add(self, picture: Image.Image) -> None:
        picture.save(self._folder / f"frame_{self._count:06d}.png", compress_level=3)
        self._count += 1


class _Pipe:
    def __init__(self, process: "subprocess.Popen[bytes]", size: tuple[int, int]) -> None:
        self._process = process
        self._size = size

    def add(self, picture: Image.Image) -> None:
        assert self._process.stdin is not None
        if picture.size != self._size:
            raise ValueError(f"a picture of {picture.size} px in a movie of {self._size} px")
        try:
            self._process.stdin.write(picture.tobytes())
        except BrokenPipeError:
            raise _complaint(self._process) from None

    def finish(self) -> None:
        """Wait until everything is written."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended before; its exit code tells
            self._process.stdin.close()
        if self._process.wait() != 0:
            raise _complaint(self._process)


@contextmanager
def _encoder(
    path: Path, size: tuple[int, int], fps: float, palette: NDArray[np.uint8] | None
) -> Iterator[_Pipe]:
    with tempfile.TemporaryDirectory(prefix="braggscope-") as folder:
        colours = None
        if palette is not None:
            colours = Path(folder) / "palette.png"
            _save_palette(colours, palette)
        process = subprocess.Popen(
            _command(path, size, fps, colours),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is our affair
        )
        try:
            pipe = _Pipe(process, size)
            yield pipe
            pipe.finish()
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stderr):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()


def _save_palette(path: Path, palette: NDArray[np.uint8]) -> None:
    """16 x 16 colours as ffmpeg wants them; what is left over is transparent, for pixels that stay."""
    colours = np.zeros((256, 4), np.uint8)
    colours[: len(palette), :3] = palette
    colours[: len(palette), 3] = 255
    Image.fromarray(colours.reshape(16, 16, 4)).save(path)


def _command(path: Path, size: tuple[int, int], fps: float, palette: Path | None) -> list[str]:
    import imageio_ffmpeg

    source = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{size[0]}x{size[1]}",
        "-r",
        f"{fps:g}",
        "-i",
        "-",
    ]
    use = "paletteuse=dither=none:diff_mode=rectangle"
    if path.suffix.lower() != ".gif":
        target = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-pix_fmt", "yuv420p",
                  "-movflags", "+faststart"]  # fmt: skip
    elif palette is not None:
        target = ["-i", str(palette), "-filter_complex", f"[0][1]{use}", "-loop", "0"]
    else:
        graph = f"split[a][b];[a]palettegen=stats_mode=single[p];[b][p]{use}:new=1"
        target = ["-filter_complex", graph, "-loop", "0"]
    exe = imageio_ffmpeg.get_ffmpeg_exe()
    target += ["-fps_mode", "passthrough", str(path.absolute())]  # a relative name may look like an option
    return [exe, "-y", "-loglevel", "error", *source, *target]


def _complaint(process: "subprocess.Popen[bytes]") -> Exception:
    """What ffmpeg says last; a full disk as the system would say it."""
    text = process.stderr.read().decode(errors="replace") if process.stderr is not None else ""
    if os.strerror(errno.ENOSPC) in text:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    last = text.splitlines()[-1] if text else "no reason given"
    return ExportError(f"The movie could not be encoded: {last.strip().rstrip('.')}.")

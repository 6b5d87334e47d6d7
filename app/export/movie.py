"""Encoding pictures: MP4 and GIF through ffmpeg, or a folder of PNGs. Every frame exactly once."""

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from PIL import Image

from braggscope.app.export.tables import ExportError
from braggscope.app.files import atomic_path


class Sink(Protocol):
    """Takes pictures in order."""

    def add(self, picture: Image.Image) -> None:
        """One more picture, all of one size."""
        ...


def check_movie_path(path: Path) -> None:
    """Raise ExportError unless ``path`` is .mp4, .gif or names a folder, in a folder that exists."""
    if path.suffix.lower() not in (".mp4", ".gif", ""):
        raise ExportError(f"{path.name} is no movie; use .mp4, .gif, or a folder name for PNG files.")
    if not path.absolute().parent.exists():
        raise ExportError(f"The folder {path.absolute().parent} does not exist; make it, or choose another.")
    if not path.suffix and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ExportError(f"{path} exists already and is not an empty folder; choose another name.")


@contextmanager
def movie_sink(path: Path, size: tuple[int, int], fps: float) -> Iterator[Sink]:
    """A sink for pictures of ``size`` (width, height) px, even numbers. On any error nothing remains."""
    check_movie_path(path)
    if path.suffix:
        with atomic_path(path) as temporary, _encoder(temporary, size, fps) as sink:
            yield sink
        return
    folder = path.with_name(f".{uuid.uuid4().hex[:12]}")
    folder.mkdir()
    try:
        yield _PngFolder(folder)
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
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def add(self, picture: Image.Image) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(picture.tobytes())
        except BrokenPipeError:
            raise ExportError(_complaint(self._process)) from None


@contextmanager
def _encoder(path: Path, size: tuple[int, int], fps: float) -> Iterator[_Pipe]:
    process = subprocess.Popen(
        _command(path, size, fps), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        yield _Pipe(process)
        assert process.stdin is not None
        process.stdin.close()
        if process.wait() != 0:
            raise ExportError(_complaint(process))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stderr):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


def _command(path: Path, size: tuple[int, int], fps: float) -> list[str]:
    import imageio_ffmpeg

    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "-"]
    if path.suffix.lower() == ".gif":
        graph = "split[a][b];[a]palettegen=stats_mode=full[p];[b][p]paletteuse=dither=none"
        target = ["-filter_complex", graph, "-loop", "0"]
    else:
        target = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p",
                  "-movflags", "+faststart"]  # fmt: skip
    exe = imageio_ffmpeg.get_ffmpeg_exe()
    return [exe, "-y", "-loglevel", "error", *source, *target, "-fps_mode", "passthrough", str(path)]


def _complaint(process: "subprocess.Popen[bytes]") -> str:
    lines = process.stderr.read().decode(errors="replace").splitlines() if process.stderr is not None else []
    last = lines[-1] if lines else "no reason given"
    return f"The movie could not be encoded: {last.strip().rstrip('.')}."

"""Writes everything onto a disk that is full, fills up, or is read-only; run in a process of its own.

``python full_disk.py SCRATCH TARGET``: TARGET is the mount point of a small disk of its own, made by
``unshare`` so that it goes with the process. Without one, a limit on the size of files takes its place
(``limit`` as a further argument; ``thorough`` is another). Prints one JSON line for every attempt.
"""

import gc
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "app")]
OLD = b"what stood here before"
SIZE = 48 << 20


class Disk:
    """A small tmpfs, of which as much as wanted is left free."""

    kind = "tmpfs"

    def __init__(self, target: Path) -> None:
        self.target = target
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(target)], check=True)

    @contextmanager
    def free(self, size: int):
        """Let ``size`` bytes be free."""
        ballast = self.target / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(self.target).free - size))
        yield
        ballast.unlink()

    @contextmanager
    def read_only(self):
        """Let nothing be written."""
        gc.collect()  # files that a failed writer left open keep the disk busy
        subprocess.run(["mount", "-o", "remount,ro", str(self.target)], check=True)
        yield
        subprocess.run(["mount", "-o", "remount,rw", str(self.target)], check=True)


class Limit:
    """Where nothing can be mounted: files that may not grow, a folder without the right to write."""

    kind = "limit"

    def __init__(self, target: Path) -> None:
        import signal

        self.target = target
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    @contextmanager
    def free(self, size: int):
        """Let no file be larger than ``size`` bytes."""
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    @contextmanager
    def read_only(self):
        """Take away the right to write."""
        self.target.chmod(0o555)
        yield
        self.target.chmod(0o755)


def attempt(export, target: Path, how: str) -> dict:
    """Write once; what was said, what is left, whether the old file stands."""
    from braggscope.app.errors import sentence

    path, before = target / export.name, sorted(p.name for p in target.iterdir())
    said, kind = "", ""
    try:
        export.write(path)
    except Exception as error:
        said, kind = sentence(error), type(error).__name__
    after = sorted(p.name for p in target.iterdir())
    old = path.is_file() and path.read_bytes() == OLD
    left = sorted(set(after) - set(before))
    hidden = [name for name in left if name.startswith(".")]
    return {
        "name": export.name,
        "how": how,
        "said": said,
        "kind": kind,
        "left": left,
        "hidden": hidden,
        "old": old,
    }


def clear(target: Path) -> None:
    """Empty the disk."""
    for path in target.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def used(target: Path) -> int:
    """Bytes of all files."""
    return sum(p.stat().st_size for p in target.rglob("*") if p.is_file())


def main() -> None:
    """Every export, with little room and read-only; thoroughly also with room, none, and half of it."""
    scratch, target, words = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    os.environ["BRAGGSCOPE_HOME"] = str(scratch / "home")
    from exports import catalogue

    found = catalogue(scratch)
    disk = Limit(target) if "limit" in words else Disk(target)
    for export in found:
        rooms = {"a page": 4096}
        if "thorough" in words:
            say(attempt(export, target, "room"))
            size = used(target)
            rooms |= {"full": 0, "half": size // 2, "most": size - size // 8}
        for how, room in rooms.items():
            prepare(export, target)
            with disk.free(room):
                say(attempt(export, target, how))
        prepare(export, target)
        with disk.read_only():
            say(attempt(export, target, "read-only"))
        clear(target)
    print(json.dumps({"end": len(found), "disk": disk.kind}), flush=True)


def prepare(export, target: Path) -> None:
    """An empty disk with an older file of the same name, where it is a file."""
    clear(target)
    if Path(export.name).suffix not in ("", ".journal"):
        (target / export.name).write_bytes(OLD)


def say(row: dict) -> None:
    """One line for the test."""
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

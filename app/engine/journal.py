"""The journal of a batch: finished frames on disk, so that a killed run resumes where it was."""

import json
import os
import shutil
import sqlite3
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from braggscope.app.files import atomic_path
from braggscope.models.results import COLUMNS, PeakTable


class JournalError(Exception):
    """The journal belongs to another run. One sentence says which and what to do."""


def encode(table: PeakTable) -> bytes:
    """Table as compressed little-endian float64 matrix (columns, rows); integers are exact below 2^53."""
    matrix = np.array([np.asarray(values, dtype="<f8") for values in table.columns.values()])
    return zlib.compress(matrix.tobytes(), 1)


def decode(data: bytes) -> PeakTable:
    """Inverse of :func:`encode`."""
    matrix = np.frombuffer(zlib.decompress(data), dtype="<f8").reshape(len(COLUMNS), -1)
    return PeakTable({c.name: values.astype(c.dtype) for c, values in zip(COLUMNS, matrix, strict=True)})


class Journal:
    """Frames of one run in ``folder``, keyed by what was analysed and how.

    ``key`` holds the source's identity and the parameters' fingerprint. Every :meth:`add` is one durable
    transaction. Not thread-safe: one thread writes.
    """

    def __init__(self, folder: Path, key: dict[str, str]) -> None:
        self.folder = folder
        self.key = key
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "frames.sqlite", check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS frames (frame INTEGER PRIMARY KEY, peaks BLOB, problem TEXT)"
        )
        self._database.commit()

    @classmethod
    def start(cls, folder: Path, key: dict[str, str]) -> "Journal":
        """A fresh journal; an old one of the same name is discarded."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write_manifest(folder, {**key, "finished": ""})
        return cls(folder, key)

    @classmethod
    def resume(cls, folder: Path, key: dict[str, str]) -> "Journal":
        """The journal in ``folder``, or a fresh one where there is none. Raises JournalError."""
        manifest = read_manifest(folder)
        if manifest is None:
            return cls.start(folder, key)
        for name, words in (("source", "another source"), ("parameters", "other parameters")):
            if manifest.get(name) != key[name]:
                raise JournalError(
                    f"The journal {folder} belongs to {words}; run without --resume to start afresh, "
                    "or write to another file."
                )
        return cls(folder, key)

    def add(self, frames: Iterable[tuple[int, PeakTable | None, str]]) -> None:
        """Record frames with their tables, or None and the sentence that says why there is none."""
        rows = [(i, None if table is None else encode(table), problem) for i, table, problem in frames]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO frames VALUES (?, ?, ?)", rows)

    def done(self) -> set[int]:
        """Indices of the frames with a table. Failed frames are tried again."""
        query = "SELECT frame FROM frames WHERE peaks IS NOT NULL"
        return {int(row[0]) for row in self._database.execute(query)}

    def tables(self) -> Iterable[tuple[int, PeakTable]]:
        """Recorded tables by rising frame."""
        query = "SELECT frame, peaks FROM frames WHERE peaks IS NOT NULL ORDER BY frame"
        for frame, data in self._database.execute(query):
            yield int(frame), decode(data)

    def problems(self) -> dict[int, str]:
        """Failed frames and why."""
        query = "SELECT frame, problem FROM frames WHERE peaks IS NULL ORDER BY frame"
        return {int(frame): str(problem) for frame, problem in self._database.execute(query)}

    def finish(self, output: Path | None = None) -> None:
        """Mark the run as finished with ``output``; then the frames are no longer needed on disk."""
        self.close()
        name = output.name if output is not None else "yes"
        _write_manifest(self.folder, {**self.key, "finished": name})
        if output is not None:
            for path in self.folder.glob("frames.sqlite*"):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the file; may be called twice."""
        self._database.close()


def read_manifest(folder: Path) -> dict[str, str] | None:
    """The manifest of a journal, or None where there is no (readable) one."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def _write_manifest(folder: Path, manifest: dict[str, str]) -> None:
    with atomic_path(folder / "manifest.json") as path:
        path.write_text(json.dumps({**manifest, "written": time.strftime("%Y-%m-%dT%H:%M:%S")}), "utf-8")


def remove(folder: Path) -> None:
    """Delete a journal, if it is there."""
    if os.path.isdir(folder):
        shutil.rmtree(folder, ignore_errors=True)

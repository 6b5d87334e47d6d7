"""The journal of a batch: finished frames on disk, so that a killed run resumes where it was."""

import contextlib
import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from braggscope.app.files import atomic_path
from braggscope.models.results import COLUMNS, PeakTable

_ENCODING = "sparse"  # how a table is packed; rename it with every change
FORMAT = hashlib.sha256(
    " ".join([_ENCODING, *(f"{c.name}:{c.dtype}" for c in COLUMNS)]).encode()
).hexdigest()[:12]
_MASK_BYTES = 8  # one bit a column


class JournalError(Exception):
    """The journal cannot be used. One sentence says why and what to do."""


def encode(table: PeakTable) -> bytes:
    """Table as one bit a column and a compressed little-endian float64 matrix of the columns with a bit.

    A column without a bit is NaN throughout. Integers are exact below 2^53.
    """
    columns = [np.asarray(values, dtype="<f8") for values in table.columns.values()]
    held = [not np.isnan(values).all() for values in columns]
    mask = sum(1 << i for i, stored in enumerate(held) if stored)
    data = b"".join(values.tobytes() for values, stored in zip(columns, held, strict=True) if stored)
    return mask.to_bytes(_MASK_BYTES, "little") + zlib.compress(data, 1)


def decode(data: bytes) -> PeakTable:
    """Inverse of :func:`encode`."""
    mask = int.from_bytes(data[:_MASK_BYTES], "little")
    held = [c.name for i, c in enumerate(COLUMNS) if mask >> i & 1]
    numbers = np.frombuffer(zlib.decompress(data[_MASK_BYTES:]), dtype="<f8")
    if not held:
        return PeakTable.blank(0)
    matrix = numbers.reshape(len(held), -1)
    return PeakTable.blank(matrix.shape[1], **dict(zip(held, matrix, strict=True)))


class Journal:
    """Frames of one run in ``folder``, keyed by what was analysed and how.

    ``key`` holds the source's identity and the parameters' fingerprint, and where a table follows, the
    ``instrument`` that fills its columns: it counts only once the table is finished. Every :meth:`add` is
    one durable transaction. Not thread-safe: one thread writes.
    """

    def __init__(self, folder: Path, key: dict[str, str]) -> None:
        self.folder = folder
        self.key = key
        self._database = sqlite3.connect(folder / "frames.sqlite", timeout=30, check_same_thread=False)
        try:
            with self._readable():
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=FULL")
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS frames (frame INTEGER PRIMARY KEY, peaks BLOB, problem TEXT)"
                )
                self._database.commit()
        except JournalError:
            self._database.close()
            raise

    @classmethod
    def start(cls, folder: Path, key: dict[str, str]) -> "Journal":
        """A fresh journal; an old one of the same name is discarded. Raises JournalError."""
        remove(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = error.strerror or error
            raise JournalError(
                f"The journal {folder} cannot be made ({why}); choose another place."
            ) from error
        _write_manifest(folder, {**key, "format": FORMAT, "finished": ""})
        return cls(folder, key)

    @classmethod
    def resume(cls, folder: Path, key: dict[str, str]) -> "Journal":
        """The journal in ``folder``, or a fresh one where none is to be gone on with. Raises JournalError."""
        manifest = _checked_manifest(folder, key)
        if manifest is None or manifest.get("finished"):
            return cls.start(folder, key)
        return cls(folder, key)

    @classmethod
    def existing(cls, folder: Path, key: dict[str, str]) -> "Journal":
        """The journal in ``folder``, which must hold frames. Raises JournalError, and creates nothing."""
        manifest = _checked_manifest(folder, key)
        if manifest is None or manifest.get("finished") or not (folder / "frames.sqlite").exists():
            raise JournalError(f"There is no journal with frames in {folder}; analyse the series again.")
        return cls(folder, key)

    @staticmethod
    def is_finished(folder: Path, key: dict[str, str], output: Path) -> bool:
        """Whether the journal says that ``output`` is complete, and it is there. Raises JournalError."""
        manifest = _checked_manifest(folder, key)
        return manifest is not None and manifest.get("finished") == output.name and output.exists()

    def add(self, frames: Iterable[tuple[int, PeakTable | bytes | None, str]]) -> None:
        """Record frames with their tables (or those encoded), or None and the sentence that says why."""
        rows = [(i, encode(t) if isinstance(t, PeakTable) else t, problem) for i, t, problem in frames]
        with self._readable(), self._database:
            self._database.executemany("INSERT OR REPLACE INTO frames VALUES (?, ?, ?)", rows)

    def done(self) -> set[int]:
        """Indices of the frames with a table. Failed frames are tried again."""
        query = "SELECT frame FROM frames WHERE peaks IS NOT NULL"
        with self._readable():
            return {int(row[0]) for row in self._database.execute(query)}

    def tables(self) -> Iterator[tuple[int, PeakTable]]:
        """Recorded tables by rising frame."""
        with self._readable():
            for frame, data in self.packed():
                yield frame, decode(data)

    def packed(self) -> Iterator[tuple[int, bytes]]:
        """Recorded frames as they were packed, by rising frame."""
        query = "SELECT frame, peaks FROM frames WHERE peaks IS NOT NULL ORDER BY frame"
        with self._readable():
            for frame, data in self._database.execute(query):
                yield int(frame), bytes(data)

    def problems(self) -> dict[int, str]:
        """Failed frames and why."""
        query = "SELECT frame, problem FROM frames WHERE peaks IS NULL ORDER BY frame"
        with self._readable():
            return {int(frame): str(problem) for frame, problem in self._database.execute(query)}

    def finish(self, output: Path) -> None:
        """Mark the run as finished with ``output``; the frames are no longer needed on disk."""
        self.close()
        _write_manifest(self.folder, {**self.key, "format": FORMAT, "finished": output.name})
        for path in self.folder.glob("frames.sqlite*"):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        """What a damaged database says, as one sentence."""
        try:
            yield
        except (sqlite3.DatabaseError, zlib.error, ValueError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise JournalError(
                    f"The disk of the journal {self.folder} is full or failing ({error}); make room and go on"
                    " with --resume."
                ) from error
            raise JournalError(
                f"The journal {self.folder} cannot be read ({error}); delete that folder to start afresh."
            ) from error

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


def _checked_manifest(folder: Path, key: dict[str, str]) -> dict[str, str] | None:
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    wanted = {**key, "format": FORMAT}
    kinds = {
        "source": "another source", "parameters": "other parameters",
        "format": "another version of the program",
    }  # fmt: skip
    if manifest.get("finished"):  # frames do not depend on it, their table does
        kinds["instrument"] = "another instrument"
    for name, words in kinds.items():
        if name in wanted and manifest.get(name) != wanted[name]:
            raise JournalError(
                f"The journal {folder} belongs to {words}; run without --resume to start afresh, "
                "or write to another file."
            )
    return manifest


def _write_manifest(folder: Path, manifest: dict[str, str]) -> None:
    with atomic_path(folder / "manifest.json") as path:
        path.write_text(json.dumps({**manifest, "written": time.strftime("%Y-%m-%dT%H:%M:%S")}), "utf-8")


def remove(folder: Path) -> None:
    """Delete a journal, if it is there. Raises JournalError if the folder holds anything else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise JournalError(f"{folder} is in the way of the journal; move it, or write to another file.")
    names = ("manifest.json", "frames.sqlite*", ".*.json")  # the last: what a kill left of a manifest
    own = [path for name in names for path in folder.glob(name)]
    others = set(folder.iterdir()) - set(own)
    if others:
        raise JournalError(
            f"{folder} is in the way of the journal: it holds {min(others).name}; move it, or write to "
            "another file."
        )
    (folder / "manifest.json").unlink(missing_ok=True)  # first: without it the rest counts as nothing
    for path in own:
        path.unlink(missing_ok=True)
    folder.rmdir()

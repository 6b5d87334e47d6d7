"""What a killed run leaves, and who may go on with it."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from braggscope.app.engine.journal import Journal, JournalError, decode, encode, read_manifest, remove
from braggscope.models.results import COLUMNS, PeakTable

KEY = {"source": "a file", "parameters": "some"}


def table(frame: int, rows: int = 4) -> PeakTable:
    random = np.random.default_rng(frame)
    return PeakTable.blank(
        rows, frame=frame, peak=np.arange(rows), x=random.random(rows), status=np.arange(rows) % 8,
        row=np.full(rows, 2**40),
    )  # fmt: skip


def same(a: PeakTable, b: PeakTable) -> bool:
    return all(
        a[c.name].dtype == b[c.name].dtype
        and np.array_equal(a[c.name], b[c.name], equal_nan=c.dtype == "float64")
        for c in COLUMNS
    )


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_tables_survive_exactly(rows):
    assert same(decode(encode(table(3, rows))), table(3, rows))


def test_frames_come_back_in_order(tmp_path):
    journal = Journal.start(tmp_path / "j", KEY)
    journal.add([(5, table(5), ""), (1, table(1), ""), (3, None, "it was cut")])
    journal.close()
    again = Journal.resume(tmp_path / "j", KEY)
    assert again.done() == {1, 5}
    assert again.problems() == {3: "it was cut"}
    assert [frame for frame, _ in again.tables()] == [1, 5]
    assert all(same(found, table(frame)) for frame, found in again.tables())
    again.add([(3, table(3), "")])
    assert again.problems() == {}
    again.close()


def test_columns_without_numbers_take_no_room():
    bare = PeakTable.blank(500, row=np.arange(500))
    random = np.random.default_rng(0)
    full = PeakTable.blank(500, **{c.name: random.random(500) for c in COLUMNS if c.dtype == "float64"})
    assert same(decode(encode(bare)), bare)
    assert same(decode(encode(full)), full)
    assert len(encode(PeakTable.blank(0))) < 20
    assert len(encode(bare)) < 2000


def test_what_must_exist_is_not_made(tmp_path):
    with pytest.raises(JournalError, match="no journal with frames"):
        Journal.existing(tmp_path / "j", KEY)
    assert not (tmp_path / "j").exists()
    journal = Journal.start(tmp_path / "j", KEY)
    journal.add([(1, table(1), "")])
    journal.close()
    with pytest.raises(JournalError, match="another source"):
        Journal.existing(tmp_path / "j", {**KEY, "source": "else"})
    again = Journal.existing(tmp_path / "j", KEY)
    assert again.done() == {1}
    again.finish(tmp_path / "out.csv")
    with pytest.raises(JournalError, match="analyse the series again"):
        Journal.existing(tmp_path / "j", KEY)


def test_resume_without_a_journal_starts_one(tmp_path):
    journal = Journal.resume(tmp_path / "j", KEY)
    assert journal.done() == set()
    journal.close()
    assert read_manifest(tmp_path / "j")["finished"] == ""


@pytest.mark.parametrize(
    ("name", "words"), [("source", "another source"), ("parameters", "other parameters")]
)
def test_another_run_may_not_go_on(tmp_path, name, words):
    journal = Journal.start(tmp_path / "j", KEY)
    journal.add([(1, table(1), "")])
    journal.close()
    with pytest.raises(JournalError, match=words):
        Journal.resume(tmp_path / "j", {**KEY, name: "else"})
    untouched = Journal.resume(tmp_path / "j", KEY)
    assert untouched.done() == {1}
    untouched.close()


def test_start_discards_the_old_one(tmp_path):
    journal = Journal.start(tmp_path / "j", KEY)
    journal.add([(1, table(1), "")])
    journal.close()
    (tmp_path / "j" / ".0123.json").write_text("what a kill left")
    fresh = Journal.start(tmp_path / "j", {**KEY, "source": "else"})
    assert fresh.done() == set()
    fresh.close()
    remove(tmp_path / "j")
    assert not (tmp_path / "j").exists()


def test_a_folder_of_somebody_else_is_never_deleted(tmp_path):
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "thesis.tex").write_text("years")
    with pytest.raises(JournalError, match=r"thesis\.tex"):
        Journal.start(tmp_path / "j", KEY)
    assert (tmp_path / "j" / "thesis.tex").read_text() == "years"
    (tmp_path / "f").write_text("a file")
    with pytest.raises(JournalError, match="in the way"):
        Journal.start(tmp_path / "f", KEY)


def test_finished_means_output_and_manifest(tmp_path):
    output = tmp_path / "out.h5"
    journal = Journal.start(tmp_path / "j", KEY)
    journal.add([(1, table(1), "")])
    assert not Journal.is_finished(tmp_path / "j", KEY, output)
    output.write_text("rows")
    journal.finish(output)
    assert [p.name for p in (tmp_path / "j").iterdir()] == ["manifest.json"]
    assert Journal.is_finished(tmp_path / "j", KEY, output)
    with pytest.raises(JournalError):
        Journal.is_finished(tmp_path / "j", {**KEY, "parameters": "else"}, output)
    output.unlink()
    assert not Journal.is_finished(tmp_path / "j", KEY, output)
    fresh = Journal.resume(tmp_path / "j", KEY)  # its frames are gone, so it begins again
    assert fresh.done() == set()
    assert read_manifest(tmp_path / "j")["finished"] == ""
    fresh.close()


def test_damage_is_one_sentence(tmp_path):
    journal = Journal.start(tmp_path / "j", KEY)
    journal.add([(1, table(1), "")])
    journal._database.execute("UPDATE frames SET peaks = x'00'")
    journal._database.commit()
    with pytest.raises(JournalError, match="delete that folder"):
        list(journal.tables())
    journal.close()
    for path in (tmp_path / "j").glob("frames.sqlite-*"):
        path.unlink()
    (tmp_path / "j" / "frames.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(JournalError, match="delete that folder"):
        Journal.resume(tmp_path / "j", KEY)
    (tmp_path / "j" / "manifest.json").write_text("{")
    fresh = Journal.resume(tmp_path / "j", KEY)
    assert fresh.done() == set()
    fresh.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_kill_loses_no_recorded_frame(tmp_path):
    script = f"""
        from pathlib import Path
        from braggscope.app.engine.journal import Journal
        from braggscope.models.results import PeakTable
        journal = Journal.start(Path({str(tmp_path / "j")!r}), {KEY!r})
        for frame in range(10**6):
            journal.add([(frame, PeakTable.blank(3, frame=frame), "")])
            print(frame, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    with process:
        for line in process.stdout:
            if int(line) >= 20:
                os.kill(process.pid, signal.SIGKILL)
                break
        said = [int(line), *(int(rest) for rest in process.stdout if rest.endswith("\n"))]
    journal = Journal.resume(tmp_path / "j", KEY)
    done = journal.done()
    assert set(range(said[-1] + 1)) <= done
    assert len(list(journal.tables())) == len(done)
    journal.close()

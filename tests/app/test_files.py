import errno
import os
import time

import pytest

from braggscope.app.engine.jobs import Cancelled, Context, Ticket
from braggscope.app.files import (
    LEFT_S,
    NotWrittenError,
    OverwriteError,
    atomic_path,
    check_not_input,
    remove_leftovers,
)


@pytest.mark.parametrize(
    "given", ["{}/own.tif", "{}/own.tif::/entry/data/data", "{}", "{}/*.tif", "{}/../{name}/own.tif"]
)
def test_an_output_never_replaces_an_input(tmp_path, given):
    own = tmp_path / "own.tif"
    own.write_bytes(b"precious")
    with pytest.raises(OverwriteError, match="choose another name"):
        check_not_input(own, [None, given.format(tmp_path, name=tmp_path.name)])


def test_other_outputs_are_fine(tmp_path):
    (tmp_path / "own.h5").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    check_not_input(tmp_path / "new.h5", [str(tmp_path)])
    check_not_input(tmp_path / "own.h5", [str(tmp_path), str(tmp_path / "*.tif")])  # beside the images
    check_not_input(tmp_path / "out" / "own.h5", [str(tmp_path / "own.h5"), None, ""])


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail_midway():
        with atomic_path(path) as temporary:
            temporary.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_midway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_cancelled_replaces_nothing(tmp_path):
    path, ticket = tmp_path / "file.txt", Ticket(1)
    context = Context(ticket, lambda _: None)
    path.write_text("old")

    def write(text, cancel):
        with atomic_path(path, context.commit) as temporary:
            temporary.write_text(text)
            if cancel:
                ticket.cancel()

    write("new", cancel=False)
    assert path.read_text() == "new"
    ticket = Ticket(2)
    context = Context(ticket, lambda _: None)
    with pytest.raises(Cancelled):
        write("newer", cancel=True)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EPIPE, "; try again."), (errno.EFBIG, "; choose another place or name.")],
)
def test_what_to_do_follows_from_what_failed(tmp_path, number, advice):
    with pytest.raises(NotWrittenError) as caught, atomic_path(tmp_path / "a.mp4"):
        raise OSError(number, os.strerror(number))
    assert "a.mp4" in str(caught.value)
    assert os.strerror(number) in str(caught.value)
    assert str(caught.value).endswith(advice)


def test_only_what_was_left_long_ago_is_removed(tmp_path):
    names = (".0123456789ab.safetensors", ".0123456789ab", ".hidden.safetensors", "a.safetensors")
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".aaaaaaaaaaaa").mkdir()
    remove_leftovers(tmp_path)
    assert all((tmp_path / name).exists() for name in names)
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - LEFT_S - 1,) * 2)
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".aaaaaaaaaaaa", *names[2:]]
    remove_leftovers(tmp_path / "nowhere")

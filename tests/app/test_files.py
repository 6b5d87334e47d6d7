import pytest

from braggscope.app.files import OverwriteError, atomic_path, check_not_input


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

"""The command that writes overlay movies."""

from command_line import FLAGS


def test_movie(run, series, tmp_path):
    code, out, err = run("movie", series.path, "-o", tmp_path / "m", "--frames", "3:7", *FLAGS)
    assert (code, out) == (0, "")
    assert "4 frames" in err
    assert len(list((tmp_path / "m").iterdir())) == 4
    assert run("movie", series.path, "-o", tmp_path / "m.mp4", *FLAGS)[0] == 0
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"m", "m.json", "m.mp4", "m.mp4.json"}

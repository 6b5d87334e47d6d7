"""The command line as a whole: words, window, help, what is never replaced, how it ends."""

import subprocess
import sys

import pytest
from command_line import FLAGS, no_window

from braggscope.app.cli import main
from braggscope.models.parameters import Parameters


def test_without_a_command_the_window_opens(run):
    opened = []
    assert run("a.h5", "b.h5::/x", open_window=lambda files: opened.append(files) or 7)[0] == 7
    assert run(open_window=lambda files: opened.append(files) or 0)[0] == 0
    assert opened == [["a.h5", "b.h5::/x"], []]


@pytest.mark.parametrize("words", [["--help"], ["peaks", "--help"], ["--version"]])
def test_help_and_version(capsys, words):
    with pytest.raises(SystemExit) as ended:
        main(words, no_window)
    assert ended.value.code == 0
    assert "raggscope" in capsys.readouterr().out


def test_bad_words(fails, series):
    assert "required: -o" in fails("peaks", series.path)
    assert "nrecognized" in fails("--nonsense")
    assert "invalid choice" in fails("demo", "nothing")
    assert "invalid float" in fails("peaks", series.path, "-o", "a.csv", "--minval", "x")


def test_debug_shows_the_traceback(series):
    from braggscope.app.sources.protocol import SourceError

    for words in (["--debug", "info", "/none.h5"], ["info", "/none.h5", "--debug"]):
        with pytest.raises(SourceError):
            main(words, no_window)


def test_demo_writes_and_opens(run, tmp_path, monkeypatch):
    import braggscope.app.demo as demo

    written = []
    monkeypatch.setattr(demo, "write_demo_series", lambda path, seed, context: written.append((path, seed)))
    opened = []
    out = tmp_path / "d.h5"
    code, said, _ = run(
        "demo", "series", "-o", out, "--seed", "4", "--open", open_window=lambda f: opened.append(f) or 0
    )
    assert (code, said.strip(), written, opened) == (0, str(out), [(out, 4)], [[str(out)]])
    assert run("demo", "series", "-o", out)[0] == 0


def test_an_input_is_never_replaced(fails, series, tmp_path):
    own = tmp_path / "own.h5"
    own.write_bytes(series.path.read_bytes())
    settings = tmp_path / "out.csv.json"
    settings.write_text(Parameters().model_dump_json())
    out = tmp_path / "weights.safetensors"
    out.write_bytes(b"mine")
    for words in (
        ["peaks", own, "-o", own, *FLAGS],
        ["peaks", f"{own}::/entry/data/data", "-o", tmp_path / ".." / tmp_path.name / "own.h5", *FLAGS],
        ["peaks", series.path, "-o", own, "--mask", own, *FLAGS],
        ["peaks", series.path, "-o", tmp_path / "out.csv", "--parameters", settings],
        ["train", "braggnn", "-o", out, "--base", out],
    ):
        assert "read here; choose another name" in fails(*words)
    assert own.read_bytes() == series.path.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"own.h5", "out.csv.json", "weights.safetensors"}


def test_weights_have_a_suffix(fails, tmp_path):
    assert "use .safetensors" in fails("train", "braggnn", "-o", tmp_path / "w.txt", "--minutes", "1")


def test_without_a_network_auto_does_not_load_torch(series, tmp_path):
    words = ["peaks", str(series.path), "-o", str(tmp_path / "a.csv"), *FLAGS[:-2], "--frames", "0:1"]
    code = "import sys; from braggscope.app.cli import main; print(main(sys.argv[1:], None))"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "False"], done.stderr

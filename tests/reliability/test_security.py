"""Nothing in a file is executed, and no file leads the program where it was not sent."""

import json
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
from corpus import HEXRD

from braggscope.app.engine.checkpoint import TrainingError, checkpoint_folder, load_checkpoint
from braggscope.app.engine.coherent_scans import _stem
from braggscope.app.export import movie
from braggscope.app.export.movie import movie_sink
from braggscope.app.shell.settings import Settings, load_settings
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.app.state.session import SessionError, load_session
from braggscope.resources import loader
from braggscope.resources.loader import WeightsError, load_weights

ROOT = Path(__file__).resolve().parents[2]


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return os.mkdir, (str(self.place),)


@pytest.fixture
def executed(tmp_path):
    """Where a bomb leaves its mark; nothing may."""
    place = tmp_path / "executed"
    yield place
    assert not place.exists()


def test_the_bomb_works(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_never_unpickled(tmp_path, executed, suffix, zipped):
    import torch

    path = tmp_path / f"a{suffix}"
    torch.save({"weight": Bomb(executed)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="never run"):
        load_weights(path)


def test_checkpoints_are_never_unpickled(tmp_path, executed):
    import torch

    folder = checkpoint_folder(tmp_path / "w.safetensors")
    folder.mkdir()
    torch.save({"state": Bomb(executed)}, folder / "state.pt")
    with pytest.raises(TrainingError, match="cannot be read"):
        load_checkpoint(tmp_path / "w.safetensors")


def test_arrays_are_never_unpickled(tmp_path, executed):
    np.save(tmp_path / "a.npy", np.array([[Bomb(executed)] * 2], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", shape=(4, 4), nframes=1, **{"0_row": [1], "0_col": [1]},
             **{"0_data": np.array([Bomb(executed)], object)})  # fmt: skip
    with Reader() as reader:
        for name in ("a.npy", "a.npz"):
            with pytest.raises(SourceError):
                reader.open(str(tmp_path / name))
            with pytest.raises(SourceError):
                reader.load_image(str(tmp_path / name))


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir"])
def test_yaml_tags_are_not_followed(tmp_path, executed, tag):
    for name, text in (
        ("a.yml", f"{tag} ['{executed}']\n"),
        ("b.yml", f"{HEXRD}more: {tag} ['{executed}']\n"),
    ):
        (tmp_path / name).write_text(text)
        with Reader() as reader, pytest.raises(SourceError, match=r"is no YAML"):
            reader.load_instrument(str(tmp_path / name), (2048, 2048))


def test_settings_and_sessions_are_plain_values(tmp_path):
    (tmp_path / "settings.json").write_text(
        json.dumps({"theme": {"py/object": "os.system"}, "recent": [1, "a"]})
    )
    found = load_settings(tmp_path / "settings.json")
    assert found.recent == ["a"]
    assert all(type(getattr(found, k)) is type(getattr(Settings(), k)) for k in vars(Settings()))
    (tmp_path / "s.json").write_text('{"version": 1, "display": {"py/object": "os.system"}}')
    with pytest.raises(SessionError, match="is damaged"):
        load_session(tmp_path / "s.json")


def test_no_module_unpickles_evaluates_or_keeps_python_objects():
    words = (
        "pickle.load", "pickle.Unpickler", "allow_pickle=True", "weights_only=False", "yaml.load(",
        "yaml.unsafe", "QSettings", "shell=True", "os.system(", " eval(", " exec(", "joblib", "marshal",
    )  # fmt: skip
    for room in ("app", "models", "widgets", "resources"):
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text("utf-8")
            assert not [word for word in words if word in text], path


def test_weights_that_are_not_the_shipped_ones_are_refused(tmp_path, monkeypatch):
    entry = loader.manifest()["braggnn"]
    (tmp_path / entry["file"]).parent.mkdir()
    content = bytearray((loader.ROOT / entry["file"]).read_bytes())
    content[-1] ^= 1
    (tmp_path / entry["file"]).write_bytes(content)
    monkeypatch.setattr(loader, "ROOT", tmp_path)
    with pytest.raises(WeightsError, match="hash"):
        load_weights("braggnn")


@pytest.mark.parametrize(
    "name", ["-y -f null.mp4", "$(touch executed).mp4", "a;touch executed.mp4", "http:/a.gif"]
)
def test_ffmpeg_gets_a_list_of_words_and_frames_on_its_input(tmp_path, monkeypatch, name):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(exist_ok=True)
    plain, seen = subprocess.Popen, []

    def start(command, **options):
        seen.append((command, options))
        return plain(command, **options)

    monkeypatch.setattr(movie.subprocess, "Popen", start)
    with movie_sink(Path(name), (32, 32), 5) as sink:
        for _ in range(3):
            sink.add(Image.new("RGB", (32, 32)))
    command, options = seen[-1]  # the first may ask ffmpeg for its version
    assert isinstance(command, list)
    assert not options.get("shell")
    assert options["stdin"] == subprocess.PIPE
    assert command[command.index("-i") + 1] == "-"
    assert os.path.isabs(command[-1])
    assert Path(name).stat().st_size > 100
    assert not list(tmp_path.glob("executed*"))


@pytest.mark.parametrize(
    "name", ["../../etc/a.h5::/d", "/data/..h5", "a/../..", "..", "/", "x.h5::/../../b", "a\\b.h5"]
)
def test_names_made_from_sources_stay_in_their_folder(tmp_path, name):
    made = tmp_path / f"{_stem(name)}.h5"
    assert made.parent == tmp_path
    assert made.resolve().parent == tmp_path.resolve()

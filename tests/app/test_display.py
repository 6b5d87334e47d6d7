import pytest

from braggscope.app.shell import display


def test_a_typo_is_no_file(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(display.StartError, match="peek is no file and no command"):
        display.check_start(["peek"])


def test_without_a_screen_the_command_line_is_offered(monkeypatch):
    monkeypatch.setattr(display.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(display.StartError, match="no display"):
        display.check_start([])
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    display.check_start([])


def test_files_folders_globs_and_datasets_are_fine(monkeypatch, tmp_path):
    monkeypatch.setenv("DISPLAY", ":0")
    path = tmp_path / "a.h5"
    path.write_bytes(b"")
    display.check_start([str(path), f"{path}::/entry/data", str(tmp_path), str(tmp_path / "*.cbf")])

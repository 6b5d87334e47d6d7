"""Where the program keeps its own files; ``BRAGGSCOPE_HOME`` moves all of them."""

import os
from pathlib import Path

import platformdirs


def config_folder() -> Path:
    """Settings."""
    return _folder("config", platformdirs.user_config_path)


def state_folder() -> Path:
    """Autosaved session, journals of runs, log."""
    return _folder("state", platformdirs.user_state_path)


def cache_folder() -> Path:
    """What can be made again: demo data."""
    return _folder("cache", platformdirs.user_cache_path)


def weights_folder() -> Path:
    """Weights that the user has trained."""
    home = os.environ.get("BRAGGSCOPE_HOME")
    base = Path(home) if home else platformdirs.user_data_path("braggscope", appauthor=False)
    path = base / "weights"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _folder(name: str, default: object) -> Path:
    home = os.environ.get("BRAGGSCOPE_HOME")
    path = Path(home) / name if home else default("braggscope", appauthor=False)  # type: ignore[operator]
    path.mkdir(parents=True, exist_ok=True)
    return path

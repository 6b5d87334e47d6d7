"""Whether a window can be shown at all, and on what."""

import os
import sys
from pathlib import Path


class StartError(Exception):
    """The window cannot be opened. One sentence says why and what to do."""


def has_display() -> bool:
    """Whether there is a screen: always on macOS and Windows, else where the environment names one."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def check_start(locations: list[str]) -> None:
    """Raise StartError for words that are neither commands nor files, and where there is no display."""
    for location in locations:
        name = location.partition("::")[0]
        if not Path(name).exists() and not any(c in name for c in "*?["):
            raise StartError(f"{location} is no file and no command; braggscope --help lists the commands.")
    if not has_display() and not os.environ.get("QT_QPA_PLATFORM"):
        raise StartError(
            "There is no display for the window; set DISPLAY, or use a command (braggscope --help)."
        )

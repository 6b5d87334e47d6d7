"""What the program remembers beside the session: preferences, recent files, window layout."""

import json
import logging
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from braggscope.app.files import atomic_path
from braggscope.app.folders import config_folder

log = logging.getLogger(__name__)
RECENT = 12


@dataclass
class Settings:
    """Plain values in a JSON file; unknown or damaged entries fall back to their defaults."""

    preferences: dict[str, Any] = field(default_factory=dict)
    recent: list[str] = field(default_factory=list)
    layouts: dict[str, str] = field(default_factory=dict)
    geometry: str = ""
    last_folder: str = ""

    def remember(self, location: str) -> None:
        """Put a location on top of the recent ones."""
        self.recent = [location, *(other for other in self.recent if other != location)][:RECENT]


def settings_path() -> Path:
    """Where the settings are kept."""
    return config_folder() / "settings.json"


def load_settings(path: Path | None = None) -> Settings:
    """Settings from disk, defaults where there are none."""
    path = path or settings_path()
    settings = Settings()
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return settings
    except (OSError, ValueError) as error:
        log.warning("The settings in %s are not readable and start afresh: %s", path.name, error)
        return settings
    for entry in fields(Settings):
        value = data.get(entry.name) if isinstance(data, dict) else None
        if isinstance(value, type(getattr(settings, entry.name))):
            setattr(settings, entry.name, value)
    settings.recent = [item for item in settings.recent if isinstance(item, str)]
    return settings


def save_settings(settings: Settings, path: Path | None = None) -> None:
    """Write atomically."""
    with atomic_path(path or settings_path()) as temporary:
        temporary.write_text(json.dumps(asdict(settings), indent=1), "utf-8")

"""Where the program's own data files are."""

from pathlib import Path

ROOT = Path(__file__).parent


def style_sheet() -> str:
    """The Qt style sheet. ``@assets`` is replaced by the folder of its pictures; colour tokens are left."""
    folder = ROOT / "styles"
    text = (folder / "braggscope.qss").read_text(encoding="utf-8")
    return text.replace("@assets", folder.as_posix())

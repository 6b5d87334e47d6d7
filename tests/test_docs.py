"""The pages say what the code does."""

from pathlib import Path

import pytest

from braggscope.app.shell.actions import ACTIONS
from braggscope.models.results import COLUMNS, Status

ROOT = Path(__file__).resolve().parents[1]


def test_every_column_is_documented():
    page = (ROOT / "docs" / "peak-table.md").read_text("utf-8")
    for column in COLUMNS:
        assert f"| `{column.name}` | {column.unit} | {column.meaning} |" in page


def test_every_status_is_explained():
    page = (ROOT / "docs" / "peak-table.md").read_text("utf-8")
    for status in Status:
        assert f"`{status.label}`" in page or status is Status.PENDING


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere(page):
    import re

    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_actions_have_unique_keys_and_shortcuts():
    keys = [action.key for action in ACTIONS]
    shortcuts = [s for action in ACTIONS for s in action.shortcuts]
    assert len(set(keys)) == len(keys)
    assert len(set(shortcuts)) == len(shortcuts)

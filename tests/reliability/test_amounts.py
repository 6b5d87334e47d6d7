"""The two forms of a battery, and the page of their figures."""

import json

import pytest
from amounts import amount, state

from benchmarks.reliability import BEGIN, END, PAGE, renewed


@pytest.fixture
def long_form(monkeypatch, tmp_path):
    monkeypatch.setenv("BRAGGSCOPE_SOAK", str(tmp_path))
    monkeypatch.delenv("BRAGGSCOPE_SOAK_SHARE", raising=False)


def test_the_short_form_leaves_no_figure(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("BRAGGSCOPE_SOAK", raising=False)
    monkeypatch.chdir(tmp_path)
    assert amount(5, 200) == 5
    state("Some files", "5 files", "none failed")
    assert "Some files: 5 files; none failed" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("long_form")
def test_the_long_form_may_be_shortened_to_the_short_one(monkeypatch):
    assert amount(5, 200) == 200
    monkeypatch.setenv("BRAGGSCOPE_SOAK_SHARE", "0.1")
    assert amount(5, 200) == 20
    assert amount(50, 200) == 50


@pytest.mark.usefixtures("long_form")
def test_figures_replace_their_own_rows_only(tmp_path):
    state("Some files", "200 files", "1 failed", reached=False)
    (figure,) = [json.loads(p.read_text()) for p in tmp_path.glob("*.json")]
    rows = "| Some files | old | old | yes |\n| Others | a | b | yes |"
    page = f"before\n{BEGIN}\n| h |\n|---|\n{rows}\n{END}\nafter\n"
    new = renewed(page, [figure])
    assert new.splitlines()[2:] == [
        "| battery | tried | found | reached |",
        "|---|---|---|---|",
        "| Others | a | b | yes |",
        "| Some files | 200 files | 1 failed | **no** |",
        END,
        "after",
    ]
    assert renewed(new, [figure]) == new


def test_the_page_has_its_table():
    assert renewed(PAGE.read_text("utf-8"), []) == PAGE.read_text("utf-8")

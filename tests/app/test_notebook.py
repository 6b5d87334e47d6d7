"""The example notebook, cell by cell, and the few calls of the library that it shows."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import FLAGS, same

from braggscope.app import api
from braggscope.models.parameters import Parameters

NOTEBOOK = Path(__file__).parents[2] / "docs" / "example.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return json.loads(NOTEBOOK.read_text("utf-8"))


def test_it_is_a_notebook_without_old_outputs(notebook):
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["language"]) == (4, "python")
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert notebook["cells"][0]["source"][0].startswith("# ")


def test_every_cell_runs_and_says_what_it_should(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for number, cell in enumerate(notebook["cells"]):
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    lines = said.getvalue().splitlines()
    assert lines[0] == "12 frames of (128, 128) uint16"
    assert "False" not in said.getvalue()
    assert "frames with peaks: 12" in lines
    assert sum(line.endswith(" px") and "+-" in line for line in lines) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"example.h5", "example_peaks.parquet"}


def test_the_library_gives_the_table_of_the_command_line(series, table, fit_only, tmp_path):
    assert api.describe(str(series.path)).frames == 12
    found = api.analyse_series(str(series.path), fit_only)
    for suffix in (".h5", ".csv", ".parquet"):
        assert api.write_table(tmp_path / f"a{suffix}", found, str(series.path), fit_only) == 36
        same(tmp_path / f"a{suffix}", table)


def test_binned_tables_are_written_as_they_are(series, fit_only, tmp_path):
    binned = fit_only.with_prepare(binning=2)
    found = api.analyse_series(str(series.path), binned, [0, 1])
    api.write_table(tmp_path / "a.h5", found, str(series.path), binned)
    assert np.array_equal(api.read_table(tmp_path / "a.h5")["x"], found["x"], equal_nan=True)


def test_suggestions_are_those_of_the_command_line(run, series, tmp_path):
    given = api.suggested(str(series.path), Parameters().with_localize(methods=("fit",))).detect
    err = run("peaks", series.path, "-o", tmp_path / "a.csv", "--frames", "0", *FLAGS[4:])[2]
    assert f"Thresholds: minval {given.minval:g}, minscore {given.minscore:g}" in err

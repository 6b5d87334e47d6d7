"""What the window copies, executed."""

import json
import os
import shlex
import subprocess
import sys

import numpy as np
from command_line import same

from braggscope.app.export.tables import read_peaks
from braggscope.models.geometry import Beam, Instrument
from braggscope.models.parameters import Parameters


def test_copied_command_and_script_give_the_table(run, series, table, fit_only, tmp_path, monkeypatch):
    from braggscope.app.export.snippets import as_command, as_python

    whole = read_peaks(table)
    environment = os.environ | {"PYTHONWARNINGS": "error::DeprecationWarning:__main__"}
    script = tmp_path / "s.py"
    script.write_text(
        as_python(str(series.path), fit_only, range(7, 8)) + "    print(repr(table['x'].tolist()))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == whole["x"][whole["frame"] == 7].tolist()

    odd = tmp_path / "a 'b' $c.h5"
    odd.symlink_to(series.path)
    shell = tmp_path / "braggscope"
    shell.write_text(f'#!/bin/sh\nexec {sys.executable} -m braggscope.app "$@" --device cpu\n')
    shell.chmod(0o755)
    command = as_command(str(odd), fit_only)
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    same(tmp_path / "peaks.h5", table)


def test_copied_command_and_script_take_the_instrument(run, series, fit_only, tmp_path, monkeypatch, capsys):
    from braggscope.app.export.snippets import as_command, as_python

    instrument = Instrument.from_beam(1.0, (1e-4, 1e-4), Beam((-30.0, 30.0), 0.1, 0.2, 0.4))
    parameters = fit_only.with_prepare(background="radial")  # about the beam
    known = {"instrument": instrument}
    folder = tmp_path / "Größe 1"
    folder.mkdir()
    monkeypatch.chdir(folder)
    command = as_command(str(series.path), parameters, frames="7:8:1", **known)
    documents, _, words = command.rpartition("\n")
    subprocess.run(documents, shell=True, check=True)
    assert run(*shlex.split(words)[1:], "--device", "cpu")[0] == 0
    table = read_peaks(folder / "peaks.h5")
    np.testing.assert_allclose(table["d"], instrument.d_angstrom(table["x"], table["y"]), rtol=1e-12)

    names = {"__name__": "__main__"}
    exec(as_python(str(series.path), parameters, range(7, 8), **known), names)
    for name in ("x", "y", "d", "azimuth"):
        np.testing.assert_array_equal(names["table"][name], table[name])


def test_plain_parameters_need_no_file():
    from braggscope.app.cli import command_parser
    from braggscope.app.export.snippets import as_command
    from braggscope.app.options import read_parameters

    parameters = Parameters().with_detect(minval=0.1 + 0.2, minscore=1e-9, detector="findpeaks")
    command = as_command("x.h5::/a b", parameters, 2)
    assert "\n" not in command
    options = command_parser().parse_args(shlex.split(command)[1:])
    assert read_parameters(options) == parameters
    assert (options.files, options.frame_axis) == (["x.h5::/a b"], 2)

"""The house rules: directions of imports, what is packaged, what starts without what, that it installs."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("app", "widgets", "models", "resources")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FILES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))
LINES = 300


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("braggscope", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def run_python(code: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, **options)


def test_imports_go_one_way():
    """The contracts of pyproject.toml, by import-linter."""
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize(
    ("place", "line", "contract"),
    [
        ("models/mask.py", "import h5py", "The laboratory knows"),
        ("widgets/theme.py", "import braggscope.app.cli", "The office uses"),
        ("app/engine/setup.py", "import braggscope.widgets.theme", "Batch and command line"),
    ],
)
def test_the_contracts_see_what_they_forbid(tmp_path, place, line, contract):
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, tmp_path / "braggscope" / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "braggscope" / place).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    code = "from importlinter.cli import lint_imports; print('code', lint_imports(no_cache=True))"
    done = run_python(code, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "300"})
    assert "code 1" in done.stdout, done.stdout + done.stderr
    (broken,) = [row for row in done.stdout.splitlines() if row.endswith("BROKEN")]
    assert broken.startswith(contract)


def test_every_folder_with_code_is_packaged():
    folders = {module_name(p / "__init__.py") for p in {f.parent for f in FILES}}
    assert folders == set(PROJECT["tool"]["setuptools"]["packages"])
    for folder in {f.parent for f in FILES}:
        assert (folder / "__init__.py").read_text("utf-8").strip() == "", folder


def test_every_data_file_is_packaged():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["braggscope.resources"]
    packaged = {p for pattern in patterns for p in (ROOT / "resources").glob(pattern)}
    data = {p for p in (ROOT / "resources").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {p for p in data if p.suffix != ".py"} - packaged == set()


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_are_short_and_say_what_they_are(path):
    text = path.read_text("utf-8")
    assert text.count("\n") <= LINES
    if path.name != "__init__.py":
        assert ast.get_docstring(ast.parse(text)), "no docstring"


def test_every_module_imports(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    for path in FILES:
        importlib.import_module(module_name(path))


HEAVY = "PyQt6 pyqtgraph torch findpeaks matplotlib braggscope.widgets"
NUMERICS = "numba llvmlite scipy"
PAINTED = """
import sys, time
from PyQt6.QtCore import QEvent, QObject
from PyQt6.QtWidgets import QApplication
from braggscope.app.composition import Program
from braggscope.app.presenters import readiness
from braggscope.app.shell.settings import Settings
seen = []
class Painting(QObject):
    def eventFilter(self, watched, event):
        if watched is program.window and event.type() == QEvent.Type.Paint:
            seen.append("painted")
        return False
readiness.get_ready = lambda check: seen.append("loading")
app = QApplication([])
program = Program(Settings())
painting = Painting()
app.installEventFilter(painting)
program.start([])
end = time.monotonic() + 30
while "loading" not in seen and time.monotonic() < end:
    app.processEvents()
program.window.grab()
print(seen[0], "loading" in seen, [m for m in sys.argv[1:] if m in sys.modules])
program.sessions.enabled = False
program.window.close()
"""


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("braggscope.app.cli", f"{HEAVY} {NUMERICS} numpy pydantic h5py"),
        ("braggscope.app.__main__", f"{HEAVY} {NUMERICS} numpy pydantic h5py"),
        ("braggscope.app.commands", f"{HEAVY} {NUMERICS} h5py fabio"),
    ],
)
def test_what_a_start_does_not_load(module, forbidden):
    code = f"import sys, {module}; print([m for m in {forbidden.split()!r} if m in sys.modules])"
    done = run_python(code, env=os.environ | {"QT_QPA_PLATFORM": "offscreen"})
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_one_place_says_how_many_threads_torch_may_use():
    places = {module_name(path) for path in FILES if "set_num_threads" in path.read_text("utf-8")}
    assert places == {"braggscope.models.threads"}


def test_the_window_is_painted_before_numerics_are_loaded(tmp_path):
    names = f"{NUMERICS} torch findpeaks matplotlib h5py fabio tifffile qtawesome qtpy PIL pyarrow"
    home = {"QT_QPA_PLATFORM": "offscreen", "BRAGGSCOPE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", PAINTED, *names.split()]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | home)
    assert done.stdout.strip() == "painted True []", done.stdout + done.stderr


def test_one_version():
    from braggscope.app.version import VERSION

    assert PROJECT["project"]["version"] == VERSION
    changes = ROOT / "CHANGELOG.md"
    if changes.exists():
        newest = re.search(r"^## \[?(\d[^\]\s]*|Unreleased)", changes.read_text("utf-8"), re.MULTILINE)
        assert newest
        assert newest.group(1) in (VERSION, "Unreleased")


@pytest.mark.slow
def test_a_built_wheel_installs_and_starts(tmp_path):
    source = tmp_path / "source"
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("braggscope-*.whl")
    target = tmp_path / "site"
    done = subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(target), str(wheel)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    code = f"""
import sys
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in repr(f).lower()]
sys.path[:] = [{str(target)!r}] + [p for p in sys.path if "editable" not in p.lower()]
import braggscope.app.cli, braggscope.resources.loader as loader
assert braggscope.app.cli.__file__.startswith({str(target)!r}), braggscope.app.cli.__file__
for name in loader.manifest():
    loader.weights_hash(name)
braggscope.app.cli.main(["--version"], None)
"""
    done = run_python(code, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert PROJECT["project"]["version"] in done.stdout
    installed = {p.relative_to(target / "braggscope") for p in (target / "braggscope").rglob("*.py")}
    assert installed == {p.relative_to(source) for room in ROOMS for p in (source / room).rglob("*.py")}

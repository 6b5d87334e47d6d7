"""The other programs, in an environment of their own that is built in the user's cache folder the first time.

Where it cannot be built, without a network for example, their rows are left out and the page says so.
"""

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import platformdirs

PACKAGES = (
    "cripser==0.0.37", "gudhi==3.13.0", "h5py>=3.12", "hdf5plugin>=5.0", "imageio==2.38.1",
    "imageio-ffmpeg>=0.5", "lmfit==1.3.4", "matplotlib>=3.9", "numpy>=2.0", "onnx==1.23.2",
    "onnxruntime==1.31.1",
)  # fmt: skip
WORKER = Path(__file__).with_name("speed_peers.py")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
problems: list[str] = []  # one sentence for each measurement that could not be made


@cache
def interpreter() -> Path | None:
    """Python of the environment, None where it cannot be built."""
    folder = Path(platformdirs.user_cache_dir("braggscope")) / "peers-speed"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "complete"
    if not done.exists() or done.read_text("utf-8") != "\n".join(PACKAGES):
        print(f"building {folder}", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=120)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *PACKAGES], check=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            problems.append(f"The environment of the other programs could not be built ({_short(error)}).")
            return None
        done.write_text("\n".join(PACKAGES), "utf-8")
    return python


def ask(job: str, **arrays: object) -> dict[str, np.ndarray] | None:
    """What the worker's ``job`` answers to ``arrays``; None, and a line in ``problems``, where it cannot."""
    python = interpreter()
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        given, found = Path(name) / "given.npz", Path(name) / "found.npz"
        np.savez(given, **arrays)
        command = [str(python), str(WORKER), job, str(given), str(found)]
        try:
            subprocess.run(
                command, check=True, timeout=300, env=os.environ | ONE_THREAD, capture_output=True, text=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            problems.append(f"{job} could not be measured ({_short(error)}).")
            return None
        with np.load(found) as file:
            return dict(file)


def _short(error: Exception) -> str:
    lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
    return lines[-1][:200] if lines else type(error).__name__

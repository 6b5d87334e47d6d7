"""The environment in which py4DSTEM and LiberTEM-blobfinder run, in the user's cache folder."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import platformdirs

from braggscope.models.disks.simulation.scenes import Scene

PACKAGES = ("py4DSTEM==0.14.18", "libertem-blobfinder==0.6.1")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


def peers_python() -> Path:
    """The interpreter of the environment of the others; builds it where there is none."""
    folder = Path(platformdirs.user_cache_dir("braggscope")) / "peers-disks"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "complete"
    if not done.exists():
        print(f"building {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        done.touch()
    return python


def run_peers(scene: Scene, what: str) -> dict[str, np.ndarray]:
    """What ``disks_peers.py`` writes of a scene, by name; ``what``: lattices or disks."""
    script = Path(__file__).with_name("disks_peers.py")
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "scene.npz", Path(folder) / "out.npz"
        np.savez(
            given, patterns=scene.patterns, probe=scene.probe, radius=scene.radius, reference=scene.reference
        )
        command = [str(peers_python()), "-W", "ignore", str(script), str(given), str(out), what]
        done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the other programs failed:\n{done.stderr[-2000:]}")
        with np.load(out) as file:
            return dict(file)

"""A scratch folder with everything a user could open, good and bad, and file dialogs that answer from it."""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PyQt6.QtWidgets import QFileDialog

from braggscope.app import demo, demo_coherent, demo_strain
from braggscope.models.peaks.simulate import SeriesSpec

FRAMES, SIDE = 24, 96
VECTORS, RADIUS = ((15.0, 2.0), (-3.0, 14.0)), 4.0
NAMES = ("out", "größe 1", "数据", "a b.c", "x" * 60)


@dataclass(frozen=True)
class World:
    """Paths of good sources by kind, of bad files, and the folder where files may be written."""

    series: Path
    scan: Path
    crystal: Path
    images: Path
    bad: tuple[Path, ...]
    out: Path

    @property
    def good(self) -> tuple[Path, ...]:
        """Every source that opens."""
        return self.series, self.scan, self.crystal, self.images


def make_world(folder: Path) -> World:
    """Write a series, a scan, a rocking curve, single images and bad files below ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(
        folder / "series.h5", folder / "scan.h5", folder / "crystal.npy", folder / "images",
        bad=(), out=folder / "out",
    )  # fmt: skip
    world.out.mkdir(exist_ok=True)
    demo.write_demo_series(world.series, spec=SeriesSpec(frames=FRAMES, shape=(SIDE, SIDE), grains=8, seed=3))
    with h5py.File(world.series, "r+") as file:  # so that there is a dataset to choose
        file["other/data"] = np.random.default_rng(0).poisson(9, (3, 40, 50)).astype(np.uint16)
    with h5py.File(world.scan, "w") as file:
        file["entry/data/data"] = scan()
    np.save(world.crystal, rocking_curve())
    world.images.mkdir(exist_ok=True)
    for k, frame in enumerate(scan(1, 5)[0]):
        tifffile.imwrite(world.images / f"frame_{k:03d}.tif", frame)
    return World(*world.good, bad=_bad(folder, world.series), out=world.out)


def scan(rows: int = 5, columns: int = 6, side: int = 64) -> NDArray[np.uint16]:
    """(rows, columns, side, side) patterns of soft disks, stretched along x in the right half."""
    rng = np.random.default_rng(5)
    cube = np.zeros((rows, columns, side, side), np.uint16)
    y, x = np.mgrid[:side, :side]
    (ax, ay), (bx, by) = VECTORS
    for column in range(columns):
        image = np.full((side, side), 0.3)
        stretch = 1.02 if column >= columns / 2 else 1.0
        for h in range(-2, 3):
            for k in range(-2, 3):
                cx, cy = side / 2 + (h * ax + k * bx) / stretch, side / 2 + h * ay + k * by
                height = 300 / (1 + 0.4 * (h * h + k * k))
                image += height / (1 + np.exp((np.hypot(x - cx, y - cy) - RADIUS) / 0.4))
        cube[:, column] = rng.poisson(image, (rows, side, side))
    return cube


def rocking_curve(side: int = 24) -> NDArray[np.float32]:
    """(side, side, side) counts around the Bragg peak of a small ellipsoid."""
    z, y, x = np.mgrid[:side, :side, :side] - side // 2
    body = (z / 4.5) ** 2 + (y / 3.5) ** 2 + (x / 4.0) ** 2 + 0.05 * x * y < 1
    expected = np.abs(np.fft.fftshift(np.fft.fftn(body * np.exp(0.02j * z * y)))) ** 2
    return np.random.default_rng(5).poisson(1e5 * expected / expected.max()).astype(np.float32)


def _bad(folder: Path, series: Path) -> tuple[Path, ...]:
    data = series.read_bytes()
    contents = {
        "notes.txt": b"these are no frames\n",
        "half.h5": data[: len(data) // 2],
        "empty.h5": b"",
        "torn.tif": (folder / "images" / "frame_000.tif").read_bytes()[:200],
        "odd.npz": b"PK\x03\x04 not really",
        "session.json": b'{"version": 1, "sets": "none"}',
        "weights.safetensors": b"\x08\0\0\0\0\0\0\0{}      ",
        "peaks.csv": b"frame,x,y\n0,1.5,nan\nx,,\n",
        "bad.poni": b"Distance: far\nWavelength: 1e-10\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "nothing").mkdir(exist_ok=True)
    return *(folder / name for name in contents), folder / "nothing", folder / "missing.h5"


def answer_dialogs(world: World, rng: random.Random, patch: pytest.MonkeyPatch) -> None:
    """Let the static file dialogs answer from the world: cancelled, good, bad, or a name to write."""

    def old(_parent: object = None, title: str = "", *_: object, **__: object) -> str:
        if "session" in title:
            return str(rng.choice([*sorted(world.out.glob("*.json")), *world.bad]))
        return str(rng.choice([*world.good, *world.bad, *sorted(world.out.iterdir())[:40]]))

    def one(*about: object, **_: object) -> tuple[str, str]:
        return ("" if rng.random() < 0.2 else old(*about)), ""

    def several(*about: object, **_: object) -> tuple[list[str], str]:
        return [old(*about) for _ in range(rng.randrange(4))], ""

    def folder(*_: object, **__: object) -> str:
        return str(rng.choice(("", world.images, old())))

    def new(_parent: object, _title: str = "", start: str = "", *_: object, **__: object) -> tuple[str, str]:
        suffix = Path(start).suffix or rng.choice(("", ".csv", ".json", ".png"))
        name = f"{rng.choice(NAMES)}-{rng.randrange(6)}{suffix}"
        return ("" if rng.random() < 0.2 else str(world.out / name)), ""

    for name, answer in (
        ("getSaveFileName", new), ("getOpenFileName", one), ("getOpenFileNames", several),
        ("getExistingDirectory", folder),
    ):  # fmt: skip
        patch.setattr(QFileDialog, name, staticmethod(answer))


def small_demos(world: World, patch: pytest.MonkeyPatch) -> None:
    """The demos of the menus are the small files of the world."""
    known = demo_coherent.Known((6.0, 7.0, 8.0), (0.1, 0.2, 2.6))
    patch.setattr(demo, "ensure_demo_series", lambda *_, **__: world.series)
    patch.setattr(demo_coherent, "ensure_demo_coherent", lambda **_: (world.crystal, known))
    patch.setattr(demo_strain, "write_demo_strain", lambda path, **_: shutil.copy(world.scan, path))

"""What differs between simulated experiments, and how it is drawn. Lengths in px."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggscope.models.disks.simulation.camera import FAULTS, Faults
from braggscope.models.disks.simulation.crystals import CRYSTALS, HELD_OUT, Crystal, synthetic
from braggscope.models.disks.simulation.dynamics import Beam
from braggscope.models.disks.simulation.optics import Kind, Optics
from braggscope.models.disks.simulation.scattering import Zone, zone_beams

Floats = NDArray[np.float64]
Split = Literal["train", "held_out"]
MOST_DISKS = 121
SYNTHETIC = -1
REACH_INV_ANGSTROM = 1.1  # the beams of a zone go at least so far


@dataclass(frozen=True, slots=True)
class Range:
    """Distribution of simulated experiments; pairs are (least, most).

    ``spacing`` of the shortest reflections in px, log-uniform; ``radius`` in px; ``filling``: most that a
    disk's diameter may be of the spacing; in ``overlap_share`` of the experiments it may be 1.2. ``tilt``
    and ``cone`` in rad, ``pixel_rad`` the largest angle of a pixel. ``absorption``: U' / U, up to.
    ``strain``: largest component of strain and rotation. ``stretch``: ellipse, long over short axis - 1, up
    to. ``shift`` of the origin from the middle, rms. ``dose`` electrons per pattern, log-uniform;
    ``probe_dose`` of the vacuum image. ``background``: share of the electrons, up to.
    """

    spacing: tuple[float, float] = (10.0, 40.0)
    radius: tuple[float, float] = (2.5, 9.0)
    filling: float = 0.92
    overlap_share: float = 0.12
    tilt: float = 10e-3
    cone: tuple[float, float] = (0.5e-3, 5e-3)
    pixel_rad: float = 0.7e-3
    voltage_kv: tuple[float, float] = (60.0, 300.0)
    thickness_nm: tuple[float, float] = (2.0, 120.0)
    absorption: float = 0.06
    strain: float = 0.05
    stretch: float = 0.04
    shift: float = 3.0
    dose: tuple[float, float] = (1e3, 1e7)
    probe_dose: tuple[float, float] = (1e5, 1e7)
    background: float = 0.1
    bullseye_share: float = 0.15
    soft_share: float = 0.25
    synthetic_share: float = 0.3
    kinematic_share: float = 0.08
    faults: Faults = FAULTS


BROAD = Range()


@dataclass(frozen=True, slots=True)
class Experiment:
    """One crystal in one zone under one beam through one aperture.

    ``per_px`` 1/Å; ``turn`` rad of the pattern; ``number`` of the crystal in the table; ``kinematic``: single
    scattering with made-up intensities.
    """

    number: int
    zone: Zone
    beam: Beam
    optics: Optics
    per_px: float
    turn: float
    kinematic: bool

    def wave_vectors(self, inside: Floats) -> Floats:
        """(T, 2) 1/Å of offsets (T, 2) px in the disk."""
        return np.asarray(inside @ rotation(self.turn) * self.per_px)

    def vectors(self, deformation: Floats) -> Floats:
        """(..., 2, 2) px, rows a and b in the pattern, of crystals deformed by F (..., 2, 2) in its axes."""
        true = self.zone.basis @ rotation(self.turn).T / self.per_px
        return np.asarray(true @ np.linalg.inv(deformation) @ self.optics.matrix.T)


def log_uniform(rng: np.random.Generator, limits: tuple[float, float], count: int) -> Floats:
    """(count,) numbers, even in their logarithm."""
    return np.exp(rng.uniform(math.log(limits[0]), math.log(limits[1]), count))


def rotation(angle: float) -> Floats:
    """(2, 2) from x towards y."""
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def draw_experiment(rng: np.random.Generator, crystals: Split, scene: Range) -> Experiment:
    """One of a distribution."""
    while True:
        number, zone = draw_zone(rng, crystals, scene)
        camera = _camera(rng, scene, float(np.linalg.norm(zone.basis[0])))
        if camera is not None:
            break
    spacing, radius, voltage = camera
    direction, tilt = rng.uniform(0, 2 * math.pi), scene.tilt * math.sqrt(rng.random())
    beam = Beam(
        voltage, (tilt * math.cos(direction), tilt * math.sin(direction)), rng.uniform(0, scene.absorption)
    )
    per_px = float(np.linalg.norm(zone.basis[0])) / spacing
    kinematic = bool(rng.random() < scene.kinematic_share)
    turn = rng.uniform(0, 2 * math.pi)
    return Experiment(number, zone, beam, _optics(rng, scene, radius), per_px, turn, kinematic)


def draw_zone(rng: np.random.Generator, crystals: Split, scene: Range) -> tuple[int, Zone]:
    """(number of the crystal, a zone of low indices that has beams enough)."""
    held = [k for k, one in enumerate(CRYSTALS) if one.name in HELD_OUT]
    known = held if crystals == "held_out" else [k for k in range(len(CRYSTALS)) if k not in held]
    while True:
        number = int(rng.choice(known))
        chosen: Crystal = CRYSTALS[number]
        if crystals == "train" and rng.random() < scene.synthetic_share:
            number, chosen = SYNTHETIC, synthetic(rng)
        highest = int(rng.choice((1, 1, 2, 3)))
        axis = rng.integers(-highest, highest + 1, 3)
        if np.gcd.reduce(axis) != 1:
            continue
        h, k, l = (int(one) for one in axis)  # noqa: E741 - the name of the index
        try:
            zone = zone_beams(chosen, (h, k, l), MOST_DISKS)
        except ValueError:
            continue
        if np.linalg.norm(zone.g[-1]) > REACH_INV_ANGSTROM and len(zone.g) > 30:
            return number, zone


def _camera(rng: np.random.Generator, scene: Range, shortest: float) -> tuple[float, float, float] | None:
    """(px between the shortest reflections, radius, kV) that fit each other and the cone, or None."""
    most = 1.2 if rng.random() < scene.overlap_share else scene.filling
    for _ in range(200):
        voltage = rng.uniform(*scene.voltage_kv)
        spacing = float(log_uniform(rng, scene.spacing, 1)[0])
        radius = rng.uniform(scene.radius[0], min(scene.radius[1], most * spacing / 2))
        angle = shortest / spacing / Beam(voltage).wavenumber
        narrow, wide = scene.cone
        if narrow <= radius * angle <= wide and angle <= scene.pixel_rad:
            return spacing, radius, voltage
    return None


def _optics(rng: np.random.Generator, scene: Range, radius: float) -> Optics:
    kind: Kind = "bullseye" if radius > 4.5 and rng.random() < scene.bullseye_share else "round"
    soft = rng.random() < scene.soft_share
    edge = rng.uniform(0.4, min(1.6, 0.3 * radius)) if soft and kind == "round" else rng.uniform(0.2, 0.4)
    stretch = math.sqrt(1 + rng.uniform(0, scene.stretch))
    axes = rotation(rng.uniform(0, math.pi))
    shape = axes @ np.diag([stretch, 1 / stretch]) @ axes.T
    return Optics(
        radius, edge, rng.uniform(0.25, 0.7), kind,
        (shape[0, 0], shape[0, 1], shape[1, 0], shape[1, 1]),
        (int(rng.integers(1, 3)), rng.uniform(0, 0.4), rng.uniform(0, math.pi / 2)),
    )  # fmt: skip


def draw_deformation(rng: np.random.Generator, scene: Range, count: int) -> Floats:
    """(N, 2, 2) F = R (1 + strain), most of them small."""
    size = scene.strain * rng.uniform(0, 1, count)
    strain = rng.uniform(-1, 1, (count, 2, 2)) * size[:, None, None]
    strain[:, 1, 0] = strain[:, 0, 1]
    angles = rng.uniform(-1, 1, count) * size
    return np.stack([rotation(angle) for angle in angles]) @ (np.eye(2) + strain)

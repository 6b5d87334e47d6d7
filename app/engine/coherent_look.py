"""A reconstruction made ready to be looked at: frame, surface, figures of merit, histogram."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.coherent_results import Candidate, facts, resolution_text
from braggscope.app.engine.coherent_views import Particle, ViewFrame, frames_of, palette, particle_of, scene
from braggscope.models.cdi.after import TWIN_RULE
from braggscope.models.cdi.layers import Layer, Quantity
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.scene import Clip, Scene, scene_of

BINS = 60
_SHOWN = 99.0  # % of the strain lies within the histogram
_LIVE_LEVEL = 0.3  # of a modulus that is still rough


@dataclass(frozen=True, slots=True)
class Looked:
    """``counts``, ``edges``: histogram of the strain, empty where it is not known; ``typed``: parameters
    whose geometry was used.
    """

    candidate: Candidate
    typed: Phasing
    particle: Particle
    scene: Scene
    facts: list[tuple[str, str]]
    twin: str
    counts: NDArray[np.float64]
    edges: NDArray[np.float64]
    resolution: str


def look_at(
    candidate: Candidate, typed: Phasing, frame: ViewFrame, quantity: Quantity, clip: Clip | None = None
) -> Looked:
    """Everything about a candidate, with the geometry that is typed."""
    particle = particle_of(candidate.obj, candidate.support, geometry_of(candidate, typed), frame)
    counts, edges = _histogram(particle)
    resolution = "" if candidate.phased.transfer is None else resolution_text(candidate.phased, particle)
    taken = "The other one was taken" if particle.twin else "The reconstruction was kept"
    return Looked(
        candidate, typed, particle, scene(particle, shown(particle, quantity), clip=clip),
        facts(candidate, particle), f"{taken}: {TWIN_RULE}.", counts, edges, resolution,
    )  # fmt: skip


def geometry_of(candidate: Candidate, now: Phasing) -> Phasing:
    """Parameters of a candidate with the geometry that is set now; it may have been typed after phasing."""
    scale = candidate.phased.pattern.scale
    voxel = now.voxel_nm
    scaled = None if voxel is None else tuple(v * s for v, s in zip(voxel, scale, strict=True))
    changes = {"voxel_nm": scaled, "q_inv_angstrom": now.q_inv_angstrom, "geometry": now.geometry}
    return candidate.phased.parameters.model_copy(update=changes)


def frame_for(parameters: Phasing, wanted: ViewFrame) -> ViewFrame:
    """The wanted frame where the geometry allows it, else the best there is."""
    frames = frames_of(parameters)
    return wanted if wanted in frames else frames[0]


def shown(particle: Particle, wanted: Quantity) -> Quantity:
    """The wanted quantity where it is known, else the phase."""
    return wanted if wanted in particle.layers else "phase"


def live_scene(modulus: Layer, phase: Layer) -> Scene:
    """Surface of a running reconstruction."""
    ink = palette(phase.colormap)
    return scene_of(modulus.values, _LIVE_LEVEL, phase, ink, down=True)


def _histogram(particle: Particle) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if particle.strain is None:
        return np.zeros(0), np.zeros(0)
    strain = particle.strain.strain[np.isfinite(particle.strain.strain)]
    if not strain.size:
        return np.zeros(0), np.zeros(0)
    low, high = np.percentile(strain, [100 - _SHOWN, _SHOWN])
    counts, edges = np.histogram(strain, BINS, (low, high) if high > low else (low - 1e-6, high + 1e-6))
    return counts.astype(np.float64), edges.astype(np.float64)

"""Probe and disk finder of a scan, by any method, ready for a run or for the pattern on screen."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.scan import Patterns
from braggscope.app.engine.strain_result import StrainError
from braggscope.app.errors import sentence
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.probe import measure_probe, probe_from_patterns, synthetic_probe
from braggscope.models.disks.propose import ADVICE, propose
from braggscope.models.disks.results import Disks, Lattice, LatticeMap, Probe
from braggscope.models.parameters import Parameters

if TYPE_CHECKING:
    from braggscope.models.disks.network.infer import DiskNetwork
    from braggscope.models.disks.precise import LatticeFit

FEW, CAPPED = 5, 15  # patterns that are looked at for saturation; counts from which on a plateau is one
LOOKED_AT = 32  # patterns from which probe and first lattice are taken
SIZES = {"correlation": 32, "lattice": 8, "network": 16}  # patterns a block, about 0.1 s of work
DEVICE_SIZE = 512  # the same on a graphics card
Bools = NDArray[np.bool_]


def worded(where: str, error: Exception) -> StrainError:
    """What a numerical part says about the data, as a sentence that names them."""
    text = sentence(error)
    return StrainError(f"{where}: {text[:1].lower()}{text[1:]}")


def find_probe(patterns: Patterns, parameters: Parameters, context: Context) -> Probe:
    """The probe from a file, a region or the data, as the parameters say. Raises StrainError, SourceError."""
    settings, scan = parameters.strain, patterns.scan
    where = settings.probe_file or scan.location
    try:
        if settings.probe_file is not None:
            probe = measure_probe(*_from_file(settings.probe_file, patterns, parameters, context))
        elif settings.probe_region is not None:
            places = scan.at(settings.probe_region)
            some = patterns.take(places[scan_evenly(len(places), LOOKED_AT)], context)
            probe = measure_probe(np.nanmean(some, axis=0), patterns.mask)
        else:
            probe = probe_from_patterns(patterns.take(scan.spread(LOOKED_AT), context), patterns.mask)
    except ValueError as error:
        if settings.probe_radius is None:
            raise worded(where, error) from error
        probe = Probe(np.ones((1, 1), np.float32), settings.probe_radius, 1.0, _middle(scan.shape), "")
    if settings.probe_radius is not None:
        radius = settings.probe_radius
        side = 2 * int(np.ceil(1.3 * radius + 1.5 * probe.edge)) + 5
        flat = synthetic_probe(radius, probe.edge, side)
        probe = replace(flat, centre=probe.centre, source="radius given by hand")
    if 2 * probe.radius + 2 >= min(scan.shape):
        raise StrainError(
            f"{where}: the probe's radius of {probe.radius:.3g} px is too large for patterns of"
            f" {scan.shape[0]} x {scan.shape[1]} pixels; choose another probe, or bin less."
        )
    return probe


def saturation_notes(patterns: Patterns, probe: Probe, context: Context) -> tuple[str, ...]:
    """A sentence where the direct disk is cut off at the largest value that the detector counts to."""
    x, y = probe.centre
    rows, columns = np.ogrid[: patterns.scan.shape[0], : patterns.scan.shape[1]]
    inside = np.hypot(columns - x, rows - y) < 0.7 * probe.radius
    for pattern in patterns.take(patterns.scan.spread(FEW), context) if inside.any() else ():
        values = pattern[inside & np.isfinite(pattern)]
        high = float(values.max()) if len(values) else 0.0
        if high >= CAPPED and np.mean(values == high) > 0.5:
            return (
                f"The direct disk is saturated at {high:g} counts; where disks are missed, give a radius.",
            )
    return ()


def scan_evenly(length: int, count: int) -> NDArray[np.int64]:
    """``count`` of ``length`` indices or all, evenly."""
    return np.unique(np.linspace(0, length - 1, min(length, count)).round().astype(np.int64))


def _middle(shape: tuple[int, int]) -> tuple[float, float]:
    return (shape[1] - 1) / 2, (shape[0] - 1) / 2


def _from_file(
    name: str, patterns: Patterns, parameters: Parameters, context: Context
) -> tuple[NDArray, Bools | None]:
    """Mean of the images in a probe file, prepared as the patterns are where it has their shape."""
    scan = patterns.scan
    with Reader() as reader:
        found = reader.open(name, cancelled=context.cancelled)
        frames = [
            reader.read(int(k), cancelled=context.cancelled) for k in scan_evenly(found.frames, LOOKED_AT)
        ]
    if found.shape != scan.raw_shape:
        if parameters.prepare.binning > 1:
            raise SourceError(
                f"{name} is {found.shape[0]} x {found.shape[1]} pixels and cannot be binned as the patterns"
                f" of {scan.raw_shape[0]} x {scan.raw_shape[1]} are; give a probe of their size."
            )
        return np.asarray(np.mean(frames, axis=0, dtype=np.float64)), None
    whole = np.empty((len(frames), *scan.shape), np.float32)
    for k, frame in enumerate(frames):
        patterns.prepare(frame, whole[k])
    return np.asarray(np.nanmean(whole, axis=0, dtype=np.float64)), patterns.mask


@dataclass
class Tools:
    """Finds the disks of patterns of one scan. Not thread-safe: every thread has its :meth:`twin`.

    ``fit`` and ``start``: the lattice-constrained fit and where it starts from, for that method only.
    """

    probe: Probe
    shape: tuple[int, int]
    mask: Bools
    settings: Strain
    network: "DiskNetwork | None" = None
    fit: "LatticeFit | None" = None
    start: Lattice | None = None

    def __post_init__(self) -> None:
        self._correlator: Correlator | None = None

    def twin(self) -> "Tools":
        """The same for another thread; network and fit, which many may use at once, are shared."""
        return replace(self)

    @property
    def block(self) -> int:
        """Patterns that are best given to :meth:`find` at once."""
        on_device = self.network is not None and self.network.device != "cpu"
        return DEVICE_SIZE if on_device else SIZES[self.settings.method]

    def find(self, patterns: NDArray) -> tuple[Disks, LatticeMap | None]:
        """Disks of patterns (B, h, w), ``pattern`` from 0; their lattices where the method has them."""
        if self.settings.method == "network":
            assert self.network is not None
            most, spacing, edge = self.settings.most, self.settings.spacing, self.settings.edge
            return self.network.find(
                patterns, self.mask, self.probe, self.settings.threshold, most, spacing, edge
            ), None
        if self.settings.method == "lattice":
            assert self.fit is not None
            assert self.start is not None
            lattices, disks = self.fit.measure(patterns, self.start)
            return disks, lattices
        return self.correlator.find(patterns), None

    @property
    def correlator(self) -> Correlator:
        """Correlation with the probe, set up on first use."""
        if self._correlator is None:
            self._correlator = Correlator(self.probe, self.shape, self.settings, self.mask)
        return self._correlator


def make_tools(
    patterns: Patterns, probe: Probe, parameters: Parameters, context: Context, device: str = "cpu"
) -> Tools:
    """Tools of a method: weights are loaded, the first lattice is found. Raises StrainError, WeightsError."""
    settings = parameters.strain
    tools = Tools(probe, patterns.scan.shape, patterns.mask, settings)
    if settings.method == "network":
        tools.network = open_disk_network(settings.weights_file, device)
    if settings.method == "lattice":
        tools.start = first_lattice(patterns, tools, context)
        tools.fit = lattice_fit(patterns, tools, context)
    return tools


def first_lattice(patterns: Patterns, tools: Tools, context: Context) -> Lattice:
    """A lattice from some patterns of the scan, by correlation. Raises StrainError."""
    parts = []
    for number, position in enumerate(patterns.scan.spread(LOOKED_AT)):
        context.check()
        disks = tools.correlator.find(patterns.take(np.array([position]), context))
        parts.append(replace(disks, pattern=np.full(len(disks), number)))
    settings = tools.settings
    if settings.lattice is not None:  # given for patterns whose ellipse was made round
        back = np.linalg.inv(ellipse_matrix(*settings.ellipse))
        vectors = (back @ np.reshape(settings.lattice, (2, 2)).T).T.ravel()
        settings = settings.model_copy(update={"lattice": tuple(vectors.tolist())})
    try:
        return known_lattice(Disks.join(parts), patterns.scan.shape, settings)
    except ValueError as error:
        raise worded(patterns.scan.location, error) from error


def lattice_fit(patterns: Patterns, tools: Tools, context: Context) -> "LatticeFit":
    """The lattice-constrained fit, with noise and edge learned from some patterns. Raises StrainError."""
    from braggscope.models.disks.precise import LatticeFit

    assert tools.start is not None
    try:
        fit = LatticeFit(tools.probe, tools.shape, tools.settings, tools.mask)
        fit.prepare(patterns.take(patterns.scan.spread(LOOKED_AT), context), tools.start)
    except ValueError as error:
        raise worded(patterns.scan.location, error) from error
    return fit


def known_lattice(disks: Disks, shape: tuple[int, int], settings: Strain) -> Lattice:
    """The lattice given by hand, about the place of the strongest disks, or one proposed by the disks.

    Raises ValueError where there is none.
    """
    if settings.lattice is None:
        return propose(disks, shape)
    ax, ay, bx, by = settings.lattice
    if not len(disks):
        raise ValueError(f"no disk was found; {ADVICE}")
    order = np.lexsort((-disks.intensity, disks.pattern))
    first = order[np.unique(disks.pattern[order], return_index=True)[1]]
    x, y = float(np.median(disks.x[first])), float(np.median(disks.y[first]))
    return Lattice((x, y), (ax, ay), (bx, by))


def ellipse_matrix(ratio: float, angle: float) -> NDArray[np.float64]:
    """(2, 2) that makes an ellipse round, areas kept: shorter along the long axis at ``angle``."""
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return axes @ np.diag([ratio**-0.5, ratio**0.5]) @ axes.T


def open_disk_network(name: str, device: str = "cpu") -> "DiskNetwork":
    """The disk network ready for use; importing torch takes seconds. Raises WeightsError."""
    from braggscope.models.disks.network.infer import DiskNetwork
    from braggscope.resources.loader import WeightsError, load_weights

    state, provenance = load_weights(name)
    try:
        return DiskNetwork.from_state(state, provenance.metadata, device)
    except ValueError as error:
        raise WeightsError(f"{name}: {error}") from error


def measure_pattern(pattern: NDArray, tools: Tools) -> Disks:
    """Disks of one prepared pattern (h, w), for the overlay while thresholds move."""
    return tools.find(pattern[None])[0]

"""Compiling every kernel once, so that the first frame does not wait for it.

Compiled kernels are cached on disk: seconds once after an installation, a fraction of a second later.
``python -m braggscope.app.engine.warmup`` does it from the command line.
"""

from collections.abc import Callable

import numpy as np

from braggscope.app.engine.localizers import open_networks
from braggscope.app.engine.peaks import analyse
from braggscope.app.sources.chunks import prepare
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.detect import suggest_thresholds
from braggscope.models.prepare import Preparer
from braggscope.models.render import histogram, lut, percentile_levels, render_rgb
from braggscope.models.results import PeakTable

DTYPES = ("uint16", "int32", "uint32", "float32", "uint8")


def warm_up(networks: bool = False, check: Callable[[], None] = lambda: None) -> None:
    """Send a small frame of every usual type through the pipeline; with ``networks`` through these too.

    ``check`` may raise to stop.
    """
    y, x = np.mgrid[:48, :48]
    frame = 20 + 200 * np.exp(-((x - 20.3) ** 2 + (y - 24.6) ** 2) / 5.0)
    frame += 150 * np.exp(-((x - 25.1) ** 2 + (y - 26.2) ** 2) / 4.0)
    base = Parameters().with_detect(minval=30, minscore=20)
    ready = open_networks(base.localize) if networks else None
    for dtype in DTYPES:
        preparer, raw = Preparer(base.prepare, shape=frame.shape), frame.astype(dtype)
        check()
        for own in (True, False):  # or lent by the reader, see Reader.read
            raw.flags.writeable = own
            prepared = preparer.apply([raw])
    suggest_thresholds(prepared.image, prepared.excluded)
    for model in ("gaussian", "pseudovoigt"):
        for noise in ("uniform", "poisson"):
            check()
            analyse(prepared, 0, base.with_localize(model=model, noise=noise), ready)
    for size in (1, 2, 4):
        prepare(np.dtype(f"u{size}"))
    for work in (_warm_up_tracks, _warm_up_lattices):
        check()
        work()
    levels = percentile_levels(prepared.image, prepared.mask)
    histogram(prepared.image, prepared.mask)
    for step in (1, 2):
        render_rgb(prepared.image, prepared.mask, levels, lut("inferno"), step=step)


def _warm_up_tracks() -> None:
    """Link two spots, of which one leaves the other."""
    from braggscope.models.tracks.link import link

    t = np.arange(30)
    frame, x = np.concatenate((t, t[10:])), np.concatenate((np.full(30, 20.0), 20 + 0.4 * t[10:]))
    link(PeakTable.blank(len(x), frame=frame, x=x, y=20.0, x_err=0.1, y_err=0.1, amplitude=100.0, birth=100.0,
                         fwhm_major=3.0, fwhm_minor=3.0))  # fmt: skip


def _warm_up_lattices() -> None:
    """Fit a lattice of nine disks."""
    from braggscope.models.disks.parameters import Strain
    from braggscope.models.disks.precise import LatticeFit
    from braggscope.models.disks.probe import synthetic_probe
    from braggscope.models.disks.results import Lattice

    y, x = np.mgrid[:64, :64] % 20
    pattern = 10.0 + 1000.0 * (np.hypot(x - 12, y - 12) < 4)
    lattice = Lattice((32.0, 32.0), (20.0, 0.0), (0.0, 20.0))
    LatticeFit(synthetic_probe(4.0, 1.5, 17), (64, 64), Strain()).fit(pattern[None], lattice)


if __name__ == "__main__":
    warm_up(networks=True)

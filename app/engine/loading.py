"""Loading what computes, behind a window that is painted already."""

import threading
from collections.abc import Callable
from importlib import import_module

NUMERICS = (  # in parts, between which loading can be stopped
    "numba", "scipy.ndimage", "scipy.spatial", "scipy.optimize", "scipy.interpolate", "scipy.fft",
    "braggscope.app.engine.frames", "braggscope.app.engine.patch", "braggscope.app.engine.tracks",
    "braggscope.models.measure", "braggscope.app.engine.disk_live", "braggscope.models.disks.bragg_map",
    "braggscope.app.export.overlay", "matplotlib", "braggscope.app.engine.movies",
    "braggscope.app.engine.coherent_look",
)  # fmt: skip
_lock = threading.Lock()


def load(check: Callable[[], None] = lambda: None) -> None:
    """Import what the window needs of an open source; whoever comes while it is under way waits for it.

    Called on a lane before a source is shown, so that what gestures ask of the window's own thread is there.
    ``check`` may raise to stop.
    """
    with _lock:
        for name in NUMERICS:
            check()
            import_module(name)


def get_ready(check: Callable[[], None] = lambda: None) -> None:
    """Load, then compile what no start has compiled before; see :mod:`braggscope.app.engine.warmup`."""
    load(check)
    from braggscope.app.engine.warmup import warm_up

    warm_up(check=check)

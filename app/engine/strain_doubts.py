"""What speaks against a strain map, in sentences: a lattice that is found is not always the crystal's."""

import numpy as np

from braggscope.app.engine.strain_result import StrainResult

RESIDUAL = 0.25  # of the probe's radius, by which disks miss their lattice
USED = 0.6  # share of the disks that should lie on the lattice


def doubts(result: StrainResult) -> tuple[str, ...]:
    """Sentences for the user; none where nothing looks wrong."""
    lattices, radius = result.lattices, result.probe.radius
    if not lattices.valid.any():
        return ()
    found = np.bincount(result.disks.pattern, minlength=len(lattices.valid))[lattices.valid]
    share = float(np.median(lattices.count[lattices.valid] / np.maximum(found, 1)))
    residual = float(np.median(lattices.residual[lattices.valid]))
    if residual <= RESIDUAL * radius and share >= USED:
        return ()
    return (
        f"Do not trust this strain yet: disks miss the lattice by {residual:.2g} px (median) at a probe"
        f" radius of {radius:.3g} px, and {100 * share:.0f} % of the disks lie on it; look at the disks in"
        " the window, try another method or threshold, or give the lattice.",
    )

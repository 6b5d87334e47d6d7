"""By what a journal knows the run that it belongs to."""

import os

from braggscope.app.engine.strain_records import VERSION
from braggscope.app.sources.protocol import SourceInfo
from braggscope.models.disks.parameters import Rectangle
from braggscope.models.parameters import Parameters, Stage


def strain_key(
    info: SourceInfo, parameters: Parameters, region: Rectangle | None = None, stage: Stage = "strain"
) -> dict[str, str]:
    """Key of a run: source, parameters, and what the files hold that they name. Raises WeightsError.

    ``stage``: "strain", or "disks" where only what changes the disks counts, so that another reference
    needs no new run. ``region``: scan positions to which the run is restricted.
    """
    parts = [VERSION, parameters.fingerprint(stage), str(region or "all"), *_inputs(parameters)]
    return {"source": info.identity, "parameters": " ".join(parts)}


def weights_record(parameters: Parameters) -> tuple[str, str]:
    """Name and hash of the network's weights, empty for other methods. Raises WeightsError."""
    from braggscope.app.engine.localizers import weights_hash

    settings = parameters.strain
    if settings.method != "network":
        return "", ""
    return settings.weights_file, weights_hash(settings.weights_file)


def with_calibration(parameters: Parameters, found: SourceInfo) -> Parameters:
    """Parameters with the pixel size of the source, where none is set."""
    size = found.quantities.get("pixel_inv_angstrom")
    if size is None or parameters.strain.pixel_inv_angstrom is not None:
        return parameters
    return parameters.with_strain(pixel_inv_angstrom=size * parameters.prepare.binning)


def _inputs(parameters: Parameters) -> list[str]:
    """Weights by their hash, images by size and time."""
    prepare = parameters.prepare
    parts = [weights_record(parameters)[1]]
    for name in (parameters.strain.probe_file, prepare.mask_file, prepare.dark_file, prepare.flat_file):
        try:
            found = os.stat(name.rpartition("::")[0] or name) if name else None
        except OSError:
            found = None
        parts.append("-" if found is None else f"{found.st_size}-{found.st_mtime_ns}")
    return parts

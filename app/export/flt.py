"""Peak lists of ImageD11: columns of numbers under one line of titles (``.flt``)."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from braggscope.app.export.provenance import Provenance
from braggscope.models.results import PeakTable, Status

TITLES = (
    "sc", "fc", "omega", "Number_of_pixels", "s_raw", "f_raw", "sigs", "sigf", "sum_intensity", "IMax_int",
    "IMax_s", "IMax_f", "spot3d_id", "frame",
)  # fmt: skip
WHOLE = ("Number_of_pixels", "IMax_s", "IMax_f", "spot3d_id", "frame")
NOTE = "slow s and f fast: s is the row and f the column, both from 0, pixel centres are integers"


def write_flt(
    path: Path, tables: Iterable[PeakTable], provenance: Provenance, omega: NDArray[np.float64] | None = None
) -> int:
    """Write the peaks that have a position; those rejected by hand are left out. Returns the rows.

    ``sc fc``: row and column px, as ImageD11 numbers them (nothing is corrected: ``s_raw f_raw`` are the
    same). ``omega``: deg of every frame of the series, else 0 is written. ``sigs sigf``: standard deviations
    px of the fitted profile along rows and columns, 1 where there is none. ``Number_of_pixels``: area above
    half the height. ``sum_intensity``: volume of the fitted Gaussian in counts, the persistence where there
    is none. ``spot3d_id`` counts the rows, ``frame`` is the index in the source.
    """
    rows = 0
    with path.open("w", encoding="utf-8") as file:
        for name, value in (
            ("program", f"Braggscope {provenance.as_dict()['version']}"),
            ("source", " ".join(provenance.source.split())),
            ("convention", NOTE),
            ("omega", "degrees" if omega is not None else "unknown and written as 0"),
        ):
            file.write(f"# {name} = {value}\n")
        file.write(f"#  {'  '.join(TITLES)}\n")
        for table in tables:
            part = table.take((table["status"] != Status.REJECTED) & np.isfinite(table["x"]))
            columns = _columns(part, rows, omega)
            formats = ["%.0f" if name in WHOLE else "%.6f" for name in TITLES]
            np.savetxt(file, np.stack([columns[name] for name in TITLES], axis=1), formats)
            rows += len(part)
    return rows


def _columns(part: PeakTable, before: int, omega: NDArray[np.float64] | None) -> dict[str, NDArray]:
    to_sigma = 1 / (2 * np.sqrt(2 * np.log(2)))
    major, minor = part["fwhm_major"] * to_sigma, part["fwhm_minor"] * to_sigma
    cos, sin = np.cos(part["angle"]), np.sin(part["angle"])
    volume = 2 * np.pi * part["amplitude"] * major * minor
    area = np.pi / 4 * part["fwhm_major"] * part["fwhm_minor"]
    return {
        "sc": part["y"], "fc": part["x"], "s_raw": part["y"], "f_raw": part["x"],
        "omega": np.zeros(len(part)) if omega is None else omega[part["frame"]],
        "Number_of_pixels": np.where(np.isfinite(area), np.maximum(np.round(area), 1), 1),
        "sigs": _or(np.hypot(major * sin, minor * cos), 1.0),
        "sigf": _or(np.hypot(major * cos, minor * sin), 1.0),
        "sum_intensity": np.where(np.isfinite(volume), volume, part["score"]),
        "IMax_int": part["birth"], "IMax_s": part["row"], "IMax_f": part["col"],
        "spot3d_id": before + np.arange(len(part)), "frame": part["frame"],
    }  # fmt: skip


def _or(values: NDArray[np.float64], other: float) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, other)

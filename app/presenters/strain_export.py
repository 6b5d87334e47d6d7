"""Strain maps of the window as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.strain_key import with_calibration
from braggscope.app.engine.strain_result import StrainResult
from braggscope.app.files import check_not_input
from braggscope.app.presenters.strain_contents import limits

if TYPE_CHECKING:
    from braggscope.app.state.strain import StrainView

FIGURES = (".png", ".pdf", ".svg")


def write_maps(
    path: Path, result: StrainResult, view: StrainView, device: str, context: Context
) -> tuple[Path, ...]:
    """Write maps, or a figure as ``view`` shows them; returns the files.

    Raises ExportError, OverwriteError, WeightsError, Cancelled.
    """
    from braggscope.app.export.strain import output_paths, provenance_of, write_strain
    from braggscope.app.export.strain_figures import strain_figure

    figure = path.suffix.lower() in FIGURES
    settings, prepare = result.parameters.strain, result.parameters.prepare
    images = prepare.mask_file, prepare.dark_file, prepare.flat_file
    for one in (path,) if figure else output_paths(path):
        check_not_input(one, [result.scan.location, settings.probe_file, *images])
    if figure:
        limit = limits(result, view)[0] / 100
        strain_figure(path, result, errors=view.shown == "error", limit=limit, context=context)
        return (path,)
    whole = replace(result, parameters=with_calibration(result.parameters, result.scan.info))
    return write_strain(path, whole, provenance_of(whole, device), context)

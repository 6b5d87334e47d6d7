"""The report of a series: one HTML page that needs no network, with its figures inside."""

import base64
import html
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from braggscope.app.engine.findings import Findings
from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.export.figures import Line, as_svg, curve_plot, histogram_plot, offset_plot
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.snippets import as_command, as_python
from braggscope.app.export.tables import ExportError, check_folder
from braggscope.app.files import atomic_path

BLUE, ORANGE = "#0072b2", "#d55e00"  # Okabe and Ito: told apart by everybody
LISTED = 50  # failed frames that are named
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
body{color:#1c2126;background:#fff}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #d5dae0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.15rem 1rem .15rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{font-weight:600;white-space:nowrap}td.n{text-align:right}
pre{background:#f2f4f6;padding:.8rem;overflow-x:auto;font-size:13px}
img{max-width:100%;display:block}p.m{color:#5b6570}
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}
"""


def check_report(path: Path | None) -> None:
    """Raise ExportError unless ``path`` is None or names an HTML file in a folder that is there."""
    if path is None:
        return
    if path.suffix.lower() not in (".html", ".htm"):
        raise ExportError(f"{path.name} is no report; use .html.")
    check_folder(path)


def write_report(
    path: Path, found: Findings, provenance: Provenance, picture: Image.Image | None, axis: int | None = None,
    context: Context = UNWATCHED,
) -> None:  # fmt: skip
    """Write the report of a finished run.

    ``picture``: a frame with its marks, as :mod:`braggscope.app.export.overlay` paints it, or None. ``axis``:
    of a stack that counts frames, where it is not the first. Raises ExportError, OSError and Cancelled.
    """
    check_report(path)
    name = provenance.source.splitlines()[0]
    body = [
        f"<h1>Peaks of {_text(Path(name.partition('::')[0]).name)}</h1>",
        f"<p class=m>Braggscope {provenance.as_dict()['version']}, {provenance.as_dict()['written']}</p>",
        "<h2>What was analysed</h2>", _table(_summary(found, provenance)),
        "<h2>Peaks per frame</h2>", _curves(found, ("count", "fitted")),
        "<h2>Fit and BraggNN</h2>", _differences(found),
        "<h2>What became of the peaks</h2>", _statuses(found),
        "<h2>Frames that failed</h2>", _failed(found),
        "<h2>A frame</h2>", _picture(picture),
        "<h2>Settings</h2>", _table(_settings(provenance.parameters.model_dump(mode="json"))),
        "<h2>The same again</h2>",
        *_again(provenance, axis),
        "<h2>Provenance</h2>", f"<details><summary>As JSON</summary>{_code(provenance.json())}</details>",
    ]  # fmt: skip
    page = (
        f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>Peaks of {_text(name)}</title>"
        f"<style>{STYLE}</style></head><body>\n{chr(10).join(body)}\n</body></html>\n"
    )
    with atomic_path(path, context.commit) as temporary:
        temporary.write_text(page, "utf-8")


def _again(provenance: Provenance, axis: int | None) -> tuple[str, ...]:
    """Command and script for the same frames, with the same instrument."""
    source, parameters, instrument = provenance.source, provenance.parameters, provenance.instrument
    chosen = provenance.frames if provenance.frames.count(":") == 2 else ""
    frames = range(*map(int, chosen.split(":"))) if chosen else None
    command = as_command(source, parameters, axis, frames=chosen, instrument=instrument)
    script = as_python(source, parameters, frames, axis, instrument=instrument)
    return "<p>In a shell:</p>", _code(command), "<p>In Python:</p>", _code(script)


def _text(value: object) -> str:
    return html.escape(str(value))


def _code(text: str) -> str:
    return f"<pre>{_text(text)}</pre>"


def _table(rows: Iterable[tuple[str, object]], numbers: bool = False) -> str:
    kind = " class=n" if numbers else ""
    cells = "".join(f"<tr><th>{_text(name)}</th><td{kind}>{_text(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _summary(found: Findings, provenance: Provenance) -> list[tuple[str, object]]:
    sources = provenance.source.splitlines()
    counts = found.curves.values["count"][found.curves.done]
    many = f"{len(provenance.files)} files, first {sources[0]}" if provenance.files else provenance.source
    rows: list[tuple[str, object]] = [
        ("Series", many),
        ("Frames", f"{found.frames:,} analysed, {len(found.problems):,} failed"),
        ("Peaks", f"{found.peaks:,}"),
    ]
    if len(counts):
        low, middle, high = np.percentile(counts, [0, 50, 100])
        rows.append(("Peaks per frame", f"median {middle:g}, from {low:g} to {high:g}"))
    rows.append(("Positions", provenance.as_dict()["convention"]))
    if provenance.weights:
        rows.append(("BraggNN weights", f"{provenance.weights}, SHA-256 {provenance.weights_sha256}"))
    return rows


def _figure(figure: Any, words: str) -> str:
    data = base64.b64encode(as_svg(figure)).decode()
    return f'<img alt="{_text(words)}" src="data:image/svg+xml;base64,{data}">'


def _lines(found: Findings, names: tuple[str, ...]) -> list[Line]:
    at = np.flatnonzero(found.curves.done)
    words = {"count": "found", "fitted": "fitted", "median": "median", "p95": "95th percentile"}
    return [
        Line(words[name], colour, at.astype(float), found.curves.values[name][at])
        for name, colour in zip(names, (BLUE, ORANGE), strict=True)
    ]


def _curves(found: Findings, names: tuple[str, ...]) -> str:
    quantity = "count" if "count" in names else "distance"
    return _figure(curve_plot(_lines(found, names), quantity), "curves against frame")


def _differences(found: Findings) -> str:
    if not {"fit", "braggnn"} <= set(found.sample.methods):
        return "<p>Only one of the two was used: there are no differences to show.</p>"
    pairs = found.sample.differences("fit", "braggnn")
    words = f"{pairs.pairs:,} peaks with both answers; of {pairs.silent:,} only one has answered"
    shown = f", {len(pairs.dx):,} are drawn" if len(pairs.dx) < pairs.pairs else ""
    images = (
        _figure(offset_plot(pairs.dx, pairs.dy, BLUE), "differences in x and y"),
        _figure(histogram_plot(pairs.dx, pairs.dy, (BLUE, ORANGE)), "histograms of the differences"),
    )
    return f"<p>{words}{shown}.</p>{_curves(found, ('median', 'p95'))}<div class=row>{''.join(images)}</div>"


def _statuses(found: Findings) -> str:
    meaning = {
        "ok": "measured", "rejected": "rejected by hand", "edge": "too close to the edge of the frame",
        "overlap": "neighbours could not be told apart", "masked": "bad pixels cover the core",
        "saturated": "the core is saturated", "broad": "wider than the window",
        "failed": "the fit did not converge",
    }  # fmt: skip
    share = 100 / max(found.peaks, 1)
    rows = [
        (f"{status}: {meaning.get(status, '')}".rstrip(": "), f"{count:,} ({share * count:.1f} %)")
        for status, count in found.statuses.most_common()
    ]
    return _table(rows, numbers=True) if rows else "<p>No peak was found.</p>"


def _failed(found: Findings) -> str:
    if not found.problems:
        return "<p>None.</p>"
    listed = sorted(found.problems.items())[:LISTED]
    more = len(found.problems) - len(listed)
    end = f"<p>And {more:,} more.</p>" if more else ""
    return _table([(f"frame {frame}", problem) for frame, problem in listed]) + end


def _picture(picture: Image.Image | None) -> str:
    if picture is None:
        return "<p>No frame could be drawn.</p>"
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="a frame with its peaks" src="data:image/png;base64,{data}">'


def _settings(values: dict[str, Any], before: str = "") -> list[tuple[str, object]]:
    """Nested parameters as flat rows."""
    rows: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _settings(value, f"{before}{name}.")
        else:
            words = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            rows.append((f"{before}{name}", "–" if words in (None, "") else words))
    return rows

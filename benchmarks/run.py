"""All benchmarks, one page: ``python -m benchmarks.run`` in the root writes docs/benchmarks.md and .json.

``python -m benchmarks.run detection fitting`` prints some sections and writes nothing.
"""

import json
import platform
import sys
import time
from pathlib import Path
from types import ModuleType

from benchmarks import (
    aims,
    bench_braggnn,
    bench_detection,
    bench_device,
    bench_display,
    bench_fitting,
    bench_growth,
    bench_movie,
    bench_reading,
    bench_series,
    bench_window,
    peers,
)

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
RATIOS = PAGE.with_suffix(".json")
HEADS = {
    "ours_ms": "ours / ms",
    "peer_ms": "peer / ms",
    "ours_us": "ours / µs",
    "peer_us": "peer / µs",
    "ours_per_s": "ours / s⁻¹",
    "peer_per_s": "peer / s⁻¹",
    "device_per_s": "on the device / s⁻¹",
    "max_difference_px": "largest difference / px",
    "frames_per_s": "frames / s",
    "cpu_ms": "processor time a frame / ms",
    "rss_mb": "resident memory / MB",
    "p95": "95th percentile / ms",
    "median": "median / ms",
    "first_s": "first / s",
    "last_s": "last / s",
    "bend": "bends (exponents)",
    "share": "share of the limit",
}
SECTIONS = {
    "detection": ("Detection, 1024 x 1024, one thread", bench_detection),
    "fitting": ("Fits of 11 x 11 windows, one thread", bench_fitting),
    "braggnn": ("BraggNN, one thread, float32", bench_braggnn),
    "reading": ("Reading", bench_reading),
    "series": ("Whole series: read, detect, fit, BraggNN, localiser network, table", bench_series),
    "window": ("The window (offscreen)", bench_window),
    "display": ("Display", bench_display),
    "movie": ("Movies", bench_movie),
    "device": ("On a CUDA device", bench_device),
    "growth": ("How cost grows", bench_growth),
}
COMPARED = ("detection", "fitting", "braggnn", "reading", "display", "movie")  # those with a peer
AFTER = {
    "fitting": "Gpufit (Przybylski et al., Scientific Reports 7, 15722, 2017) states 42 times the speed of"
    " its own code on a processor; it was not measured here.",
    "growth": "![time against size, log-log](images/growth.svg)\n\n"
    "Series of 100,000 frames: [scale.md](scale.md).",
}
ELSEWHERE = """## Strain and phasing

Beside py4DSTEM and LiberTEM-blobfinder, accuracy and speed on the same patterns: [strain.md](strain.md).
Beside cohere on the same crystals: [coherent.md](coherent.md) and [cdi-network.md](cdi-network.md)."""


def machine() -> str:
    """Processor and software, without names of hosts or people."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        name = f"{lines[0].partition(':')[2].strip()}, {len(lines)} cores" if lines else name
    return f"{name}; {platform.system()}, Python {platform.python_version()}"


def cell(value: object) -> str:
    """A number with the digits it deserves."""
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        if value and abs(value) < 1e-3:
            return f"{value:.1e}"
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def table(rows: list[dict]) -> str:
    """Rows as markdown."""
    keys = list(rows[0])
    head = "| " + " | ".join(HEADS.get(key, key) for key in keys) + " |"
    lines = [head, "|" + "---|" * len(keys)]
    lines += ["| " + " | ".join(cell(row.get(key)) for key in keys) + " |" for row in rows]
    return "\n".join(lines)


def ratios(name: str, rows: list[dict]) -> dict[str, float]:
    """The ratios of a section, by section, case and peer; the case without what it says in brackets."""
    return {
        f"{name} | {row['case'].partition(' (')[0]} | {row['peer']}": round(float(row["ratio"]), 3)
        for row in rows
        if row.get("ratio") is not None
    }


def measure(name: str, title: str, module: ModuleType) -> tuple[list[str], list[dict]]:
    """Paragraphs of one section of the page, and its rows."""
    print(title, flush=True)
    begun = time.monotonic()
    rows = module.run()
    nothing = "There is no device on this machine." if name == "device" else "It could not be measured here."
    text = table(rows) if rows else nothing
    print(text, f"{time.monotonic() - begun:.0f} s", sep="\n", flush=True)
    note = (module.__doc__ or "").strip().splitlines()[0]
    return [f"## {title}", note, text, *([AFTER[name]] if name in AFTER else [])], rows


def main() -> None:
    """Measure all and write the page, or only print the named sections."""
    wanted = sys.argv[1:] or list(SECTIONS)
    parts = [
        "# Benchmarks",
        "Made by `make bench`. Every ratio compares both programs in one run on the same data; what counts is"
        " the ratio, absolute times depend on the machine and on what else it does."
        " `python -m benchmarks.gate` measures the ratios again and says which have moved.",
        f"Machine: {machine()}. {time.strftime('%Y-%m-%d')}.",
    ]
    found: dict[str, float] = {}
    measured: dict[str, list[dict]] = {}
    for name in wanted:
        section, rows = measure(name, *SECTIONS[name])
        measured[name] = rows
        parts += section
        if name in COMPARED:
            found |= ratios(name, rows)
    parts += [*aims.section(measured), ELSEWHERE]
    if peers.problems:
        parts += ["## Not measured", "\n".join(f"- {line}" for line in peers.problems)]
    if len(wanted) == len(SECTIONS):
        PAGE.write_text("\n\n".join(parts) + "\n", "utf-8")
        RATIOS.write_text(json.dumps({"machine": machine(), "ratios": found}, indent=1) + "\n", "utf-8")
        print(f"written to {PAGE.relative_to(ROOT)} and {RATIOS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

"""All benchmarks, one page: ``python -m benchmarks.run`` in the root writes docs/benchmarks.md."""

import platform
import time
from pathlib import Path

from benchmarks import (
    bench_braggnn,
    bench_detection,
    bench_fitting,
    bench_reading,
    bench_series,
    bench_window,
)

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
LOWER = {
    "ours_ms": "ours / ms",
    "peer_ms": "peer / ms",
    "ours_us": "ours / µs",
    "peer_us": "peer / µs",
    "ours_per_s": "ours / s⁻¹",
    "peer_per_s": "peer / s⁻¹",
    "max_difference_px": "largest difference / px",
    "frames_per_s": "frames / s",
    "rss_mb": "resident memory / MB",
    "p95": "95th percentile / ms",
    "median": "median / ms",
}
SECTIONS = (
    ("Detection, 1024 x 1024, one thread", bench_detection),
    ("Fits of 11 x 11 windows, one thread", bench_fitting),
    ("BraggNN, one thread, float32", bench_braggnn),
    ("Reading bitshuffle-LZ4 frames", bench_reading),
    ("Whole series: read, detect, fit, BraggNN", bench_series),
    ("The window (offscreen)", bench_window),
)


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
    head = "| " + " | ".join(LOWER.get(key, key) for key in keys) + " |"
    lines = [head, "|" + "---|" * len(keys)]
    lines += ["| " + " | ".join(cell(row.get(key)) for key in keys) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    parts = [
        "# Benchmarks",
        "Made by `make bench`. Every ratio compares both programs in one run on the same data; what counts is"
        " the ratio, absolute times depend on the machine and on what else it does.",
        f"Machine: {machine()}. {time.strftime('%Y-%m-%d')}.",
    ]
    for title, module in SECTIONS:
        print(title, flush=True)
        rows = module.run()
        text = table(rows)
        print(text, flush=True)
        note = (module.__doc__ or "").strip().splitlines()[0]
        parts += [f"## {title}", note, text]
    PAGE.write_text("\n\n".join(parts) + "\n", "utf-8")
    print(f"written to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

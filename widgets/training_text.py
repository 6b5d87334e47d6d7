"""Numbers of a fine-tuning in words."""

from braggscope.models.finetune import Spread
from braggscope.models.paired import Change
from braggscope.models.tuning import Basis

Rows = list[tuple[str, str]]


def spread_text(spread: Spread, unit: str = "", factor: float = 1.0) -> str:
    """``1 – 1.3 – 2.4 px``: 2.5, 50 and 97.5 %."""
    numbers = " – ".join(_short(value * factor) for value in spread)
    return f"{numbers} {unit}".rstrip()


def _short(value: float) -> str:
    """Two digits, more before the point."""
    return f"{value:.0f}" if abs(value) >= 99.5 else f"{value:.2g}"


def basis_rows(basis: Basis) -> Rows:
    """What is learned from, and what the peaks are like (2.5 %, median, 97.5 %)."""
    d = basis.distribution
    rows = [
        ("frames, held out", f"{basis.frames}, {basis.frames_held_out}"),
        ("fits to learn from", f"{basis.labels:,}"),
        ("fits to judge by", f"{basis.held_out:,}"),
        ("width σ", spread_text(d.sigma, "px")),
        ("long / narrow axis", spread_text(d.ratio)),
        ("signal to noise", spread_text(d.snr)),
        ("background", spread_text(d.background, "% of height", 100.0)),
    ]
    if d.eta is not None:
        rows.append(("Lorentzian share", spread_text(d.eta)))
    if d.slope is not None:
        rows.append((f"slope, in {d.slope_share:.0%}", spread_text(d.slope, "%/px", 100.0)))
    rows += [
        ("counting noise", spread_text(d.poisson, "%", 100.0)),
        ("second peak", f"{d.second_share:.1%}"),
        ("edge, dead pixels", f"{d.edge_share:.1%}, {d.dead_share:.1%}"),
    ]
    if d.threshold is not None:
        rows.append(("cut below", spread_text(d.threshold, "% of height", 100.0)))
    return rows


def change_cells(measured: Change, simulated: Change) -> list[tuple[str, str, str]]:
    """Peaks of held-out frames, then simulated ones; median and 95th percentile before and after, px."""
    rows = []
    for title, change in (("held out", measured), ("simulated", simulated)):
        median, high = (f"{a:.3f} → {b:.3f}" for a, b in zip(change.before, change.after, strict=True))
        rows.append((title, median, high))
    return rows

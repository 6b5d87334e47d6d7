"""Numbers of a fine-tuning in words."""

from braggscope.models.finetune import Spread
from braggscope.models.paired import Change
from braggscope.models.tuning import Basis

Rows = list[tuple[str, str]]


def spread_text(spread: Spread, unit: str = "", factor: float = 1.0) -> str:
    """``1.05 – 1.33 – 2.40 px``: 2.5, 50 and 97.5 %."""
    numbers = " – ".join(f"{value * factor:.3g}" for value in spread)
    return f"{numbers} {unit}".rstrip()


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
        ("background", spread_text(d.background, "% of the height", 100.0)),
    ]
    if d.eta is not None:
        rows.append(("Lorentzian share", spread_text(d.eta)))
    if d.slope is not None:
        rows.append((f"slope, in {d.slope_share:.0%}", spread_text(d.slope, "%/px", 100.0)))
    rows += [
        ("noise from counting", spread_text(d.poisson, "%", 100.0)),
        ("second peak in the window", f"{d.second_share:.1%}"),
        ("at an edge, with dead pixels", f"{d.edge_share:.1%}, {d.dead_share:.1%}"),
    ]
    if d.threshold is not None:
        rows.append(("cut below", spread_text(d.threshold, "% of the height", 100.0)))
    return rows


def change_cells(measured: Change, simulated: Change) -> list[tuple[str, str, str]]:
    """Peaks of held-out frames, then simulated ones; median and 95th percentile before and after, px."""
    rows = []
    for title, change in (("held out", measured), ("simulated", simulated)):
        median, high = (f"{a:.3f} → {b:.3f}" for a, b in zip(change.before, change.after, strict=True))
        rows.append((title, median, high))
    return rows

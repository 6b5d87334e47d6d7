"""What can be chosen for a reconstruction, in words."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError
from PyQt6.QtWidgets import QComboBox

from braggscope.models.cdi.sequence import SequenceError

METHODS = {
    "iterative": "Iterative",
    "network": "Network, then iterations",
    "network-only": "Network alone",
    "all": "All, the best is shown",
}
METHOD_TIPS = {
    "iterative": "Random starts at low resolution, the best go on at full resolution",
    "network": "The network gives the start, iterations and refinement finish it",
    "network-only": "The raw answer of the network, in a moment",
    "all": "Iterative and network starts side by side, ranked by free likelihood",
}
PRESETS = {
    "Default: 40 RAAR, 20 ER": "40*RAAR+20*ER",
    "Thorough: 180 RAAR, 20 ER": "180*RAAR+20*ER",
    "HIO and ER: 3 rounds": "3*(20*ER+180*HIO)+20*ER",
    "HIO, RAAR, ER": "300*HIO+500*RAAR+200*ER",
    "ER first, for a good start": "10*ER+30*HIO+20*ER",
}
STARTS = {"coarse": "From low resolution", "autocorrelation": "Autocorrelation", "random": "Random phases"}
COHERENCE = {"none": "Full", "gaussian": "Gaussian", "pseudovoigt": "Pseudo-Voigt"}


@dataclass(frozen=True, slots=True)
class PhasingStanding:
    """How a reconstruction stands. ``total`` 0: not known yet."""

    running: bool = False
    done: int = 0
    total: int = 0
    remaining_s: float | None = None
    note: str = ""


def choice(name: str, choices: dict[str, str], chosen: Callable[[str], object]) -> QComboBox:
    """A box of choices, key to title; ``chosen(key)`` is called for gestures only."""
    box = QComboBox()
    box.setAccessibleName(name)
    for key, title in choices.items():
        box.addItem(title, key)
    box.activated.connect(lambda index: chosen(box.itemData(index)))
    return box


def entry_sentence(error: ValidationError) -> str:
    """The first complaint about an entry, in the words of the panel."""
    first = error.errors()[0]
    text = str(first["msg"]).removeprefix("Value error, ")
    if isinstance(first.get("ctx", {}).get("error"), SequenceError):
        return text
    field = str(first["loc"][0]).replace("_", " ").capitalize() if first["loc"] else "Entry"
    return f"{field}: {text.replace('Input should', 'the value should')}; you typed {first['input']}."

"""Two texts side by side in one row: who gets how much of its width."""

from PyQt6.QtWidgets import QHBoxLayout, QWidget


def share(row: QHBoxLayout, first: QWidget, second: QWidget, width: int, part: float) -> None:
    """Share ``width`` px between the widgets at places 0 and 1 of ``row`` by their stretch factors.

    The first has what it needs, up to ``part`` of the width or what the second leaves, which has the rest.
    """
    wanted = first.sizeHint().width()
    given = min(wanted, max(round(part * width), width - second.sizeHint().width()))
    for place, pixels in enumerate((max(given, 1), max(width - given, 1))):
        if row.stretch(place) != pixels:  # to set it lays the row out anew
            row.setStretch(place, pixels)

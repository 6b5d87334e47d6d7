"""Asks what no header says: the layout of a raw binary file, and the rows and columns of a scan."""

import math
import re

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QLabel, QLineEdit, QVBoxLayout, QWidget

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.prepare_fields import FieldGrid, restyle

TYPES = {
    "uint8": ("8 bit", 1), "uint16": ("16 bit", 2), ">u2": ("16 bit, big-endian", 2), "uint32": ("32 bit", 4),
    ">u4": ("32 bit, big-endian", 4), "float32": ("32 bit floating point", 4),
    "float64": ("64 bit floating point", 8),
}  # fmt: skip
SIDES = (256, 128, 512, 64, 192, 1024)  # px of a pattern that are tried, the likeliest first
GUESSED = ("uint16", "float32", "uint8", "uint32")
PAIR = re.compile(r"\s*(\d+)\s*[x×*,; ]\s*(\d+)\s*")
MOST_PAIRS = 12


class ShapeField(QComboBox):
    """Two whole numbers such as ``64 × 128``, typed or taken from proposals."""

    changed = pyqtSignal()

    def __init__(self, name: str, placeholder: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setAccessibleName(name)
        line = self.lineEdit()
        assert line is not None
        line.setPlaceholderText(placeholder)
        line.textChanged.connect(lambda _: self.changed.emit())

    def set_pairs(self, pairs: list[tuple[int, int]], chosen: bool) -> None:
        """Proposals; ``chosen``: the first is taken unless another is typed."""
        self.clear()
        self.addItems([f"{a} × {b}" for a, b in pairs])
        self.setCurrentIndex(0 if chosen and pairs else -1)
        if not (chosen and pairs):
            self.setEditText("")

    def pair(self) -> tuple[int, int] | None:
        """The numbers, None where there are none that make sense."""
        found = PAIR.fullmatch(self.currentText())
        if found is None or 0 in (int(found[1]), int(found[2])):
            return None
        return int(found[1]), int(found[2])


class _AskDialog(QDialog):
    """Fields, a line that says what they mean, and two buttons."""

    def __init__(self, title: str, question: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(440, 0)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(16, 14, 16, 14)
        self.column.setSpacing(10)
        asked = QLabel(question, self)
        asked.setWordWrap(True)
        self.column.addWidget(asked)
        self.grid, self.verdict = FieldGrid(self, label_width=90), QLabel(self)
        self.verdict.setWordWrap(True)
        self.verdict.setTextFormat(Qt.TextFormat.PlainText)

    def finish(self, refuse: str) -> None:
        """Append fields, verdict and buttons."""
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Open | kinds.Cancel, self)
        self.ok, cancel = self.buttons.button(kinds.Open), self.buttons.button(kinds.Cancel)
        assert self.ok is not None
        assert cancel is not None
        self.ok.setProperty("role", "primary")
        cancel.setText(refuse)
        restyle(self.ok)
        self.ok.setDefault(True)
        self.buttons.accepted.connect(self.take)
        self.buttons.rejected.connect(self.reject)
        for widget in (self.grid, self.verdict, self.buttons):
            self.column.addWidget(widget)

    def say(self, text: str, good: bool) -> None:
        """What the fields mean, and whether they can be used."""
        self.verdict.setText(text)
        self.verdict.setProperty("role", "muted" if good else "warning")
        restyle(self.verdict)
        assert self.ok is not None
        self.ok.setEnabled(good)

    def take(self) -> None:
        """Use what was typed."""
        raise NotImplementedError


class RawDialog(_AskDialog):
    """``chosen(tuple, str, int, int)``: shape, data type, bytes before the first pattern and after each.

    ``size``: bytes of the file.
    """

    chosen = pyqtSignal(tuple, str, int, int)

    def __init__(self, path: str, size: int, parent: QWidget | None = None) -> None:
        question = f"A raw file of {size:,} bytes does not say what it holds. What is in it?"
        super().__init__("Open a raw file", question, parent)
        self._size = size
        self.column.addWidget(ElidedLabel(path, role="muted", parent=self))
        self.pattern, self.scan = (
            ShapeField("Pattern", "rows × columns", self.grid),
            ShapeField("Scan", "rows × columns; empty: a series", self.grid),
        )
        self.dtype = QComboBox(self.grid)
        for key, (title, _) in TYPES.items():
            self.dtype.addItem(f"{title} ({key})", key)
        self.offset, self.gap = QLineEdit("0", self.grid), QLineEdit("0", self.grid)
        side, dtype = likely(size)
        self.pattern.set_pairs([(n, n) for n in sorted(SIDES)], False)
        self.pattern.setEditText(f"{side} × {side}")
        self.dtype.setCurrentIndex(self.dtype.findData(dtype))
        self.grid.add("Pattern", self.pattern, "px", "Rows × columns of one pattern")
        self.grid.add("Numbers", self.dtype, "", "How one pixel is stored")
        self.grid.add("Header", self.offset, "bytes", "Before the first pattern")
        self.grid.add("Gap", self.gap, "bytes", "After every pattern")
        self.grid.add("Scan", self.scan, "", "Rows × columns of positions")
        self.finish("Cancel")
        self._proposed = 0
        for signal in (self.pattern.changed, self.offset.textChanged, self.gap.textChanged,
                       self.dtype.currentIndexChanged):  # fmt: skip
            signal.connect(lambda *_: self._changed())
        self.scan.changed.connect(self._judge)
        self._changed()

    def _numbers(self) -> tuple[int, int] | None:
        texts = self.offset.text().strip() or "0", self.gap.text().strip() or "0"
        return (int(texts[0]), int(texts[1])) if all(text.isdecimal() for text in texts) else None

    def patterns(self) -> tuple[int, int]:
        """How many whole patterns the file holds, and how many bytes are left over."""
        pattern, numbers = self.pattern.pair(), self._numbers()
        if pattern is None or numbers is None:
            return 0, 0
        each = pattern[0] * pattern[1] * TYPES[self.dtype.currentData()][1] + numbers[1]
        room = self._size - numbers[0] + numbers[1]  # no gap needs to follow the last
        return (max(room, 0) // each, max(room, 0) % each)

    def _changed(self) -> None:
        count = self.patterns()[0]
        if count != self._proposed:
            self._proposed = count
            self.scan.set_pairs(pairs_of(count), count == math.isqrt(count) ** 2 > 1)
        self._judge()

    def _judge(self) -> None:
        count, left = self.patterns()
        scan, text = self.scan.pair(), self.scan.currentText().strip()
        if self.pattern.pair() is None:
            self.say("Type rows × columns of a pattern, such as 256 × 256.", False)
        elif self._numbers() is None:
            self.say("Header and gap are whole numbers of bytes.", False)
        elif count == 0:
            self.say("The file is smaller than one such pattern.", False)
        elif text and (scan is None or scan[0] * scan[1] > count):
            self.say(
                f"There are {count:,} patterns, too few for this scan; leave it empty for a series.", False
            )
        else:
            used = count if scan is None else scan[0] * scan[1]
            rest = f"; {count - used:,} more are left out" if used < count else ""
            bytes_left = f"; {left:,} bytes at the end belong to no pattern" if left > 0 else ""
            self.say(f"{used:,} patterns{rest}{bytes_left}.", True)

    def take(self) -> None:
        """Use what was typed."""
        pattern, numbers, scan = self.pattern.pair(), self._numbers(), self.scan.pair()
        if pattern is None or numbers is None:
            return
        self.accept()
        stack = (self.patterns()[0],) if scan is None else scan
        self.chosen.emit((*stack, *pattern), self.dtype.currentData(), *numbers)


class ScanShapeDialog(_AskDialog):
    """``chosen(tuple)``: rows and columns of a series of ``count`` patterns."""

    chosen = pyqtSignal(tuple)

    def __init__(self, name: str, count: int, parent: QWidget | None = None) -> None:
        question = f"{name} holds {count:,} patterns, but no scan shape. How many rows × columns?"
        super().__init__("Scan shape", question, parent)
        self._count = count
        self.scan = ShapeField("Scan", "rows × columns", self.grid)
        self.scan.set_pairs(pairs_of(count), True)
        self.grid.add("Scan", self.scan, "", "Rows × columns of positions")
        self.finish("Keep it a series")
        self.scan.changed.connect(self._judge)
        self._judge()

    def _judge(self) -> None:
        scan = self.scan.pair()
        good = scan is not None and scan[0] * scan[1] == self._count
        self.say("" if good else f"Type rows × columns whose product is {self._count:,}.", good)

    def take(self) -> None:
        """Use what was typed."""
        self.accept()
        self.chosen.emit(self.scan.pair())


def pairs_of(count: int) -> list[tuple[int, int]]:
    """Rows and columns whose product is ``count``, those nearest to a square first."""
    found = [(n, count // n) for n in range(2, math.isqrt(max(count, 1)) + 1) if count % n == 0]
    both = [pair for a, b in reversed(found) for pair in ([(a, b)] if a == b else [(a, b), (b, a)])]
    return both[:MOST_PAIRS] or ([(1, count)] if count > 1 else [])


def likely(size: int) -> tuple[int, str]:
    """Side and data type that divide a file into patterns, a square number of them where that can be."""
    fitting = [
        (side, dtype, size // (side * side * TYPES[dtype][1])) for dtype in GUESSED for side in SIDES
        if size % (side * side * TYPES[dtype][1]) == 0 and size >= side * side * TYPES[dtype][1]
    ]  # fmt: skip
    square = [entry for entry in fitting if entry[2] == math.isqrt(entry[2]) ** 2 > 1]
    side, dtype, _ = next(iter(square or fitting), (SIDES[0], GUESSED[0], 0))
    return side, dtype

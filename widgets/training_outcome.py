"""Errors before and after a fine-tuning, in a small table."""

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QLabel, QWidget

from braggscope.models.paired import Change
from braggscope.widgets.training_text import change_cells

HEADS = ("error in px", "median", "95 %")


class TrainingOutcome(QWidget):
    """Rows: held-out frames, simulated peaks. Columns: median and 95th percentile, before → after."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(0, 1)
        self.cells = [[QLabel(self) for _ in HEADS] for _ in range(3)]
        for row, cells in enumerate(self.cells):
            for column, cell in enumerate(cells):
                cell.setProperty("role", "muted" if row == 0 or column == 0 else "value")
                if column:
                    cell.setAlignment(Qt.AlignmentFlag.AlignRight)
                grid.addWidget(cell, row, column)
        self.note = QLabel(self)
        self.note.setWordWrap(True)
        self.note.setProperty("role", "muted")
        grid.addWidget(self.note, 3, 0, 1, 3)
        for cell, text in zip(self.cells[0], HEADS, strict=True):
            cell.setText(text)

    def set_changes(self, measured: Change, simulated: Change, label_error_px: float) -> None:
        """Show these; ``label_error_px``: 1 sigma of the fits that held-out frames are compared with."""
        for cells, texts in zip(self.cells[1:], change_cells(measured, simulated), strict=True):
            for cell, text in zip(cells, texts, strict=True):
                cell.setText(text)
        self.note.setText(
            "Held-out frames are compared with fits, simulated peaks with the truth. The fits themselves are"
            f" known to {label_error_px:.3f} px (median of 1\u00a0σ)."
        )

"""The look of small tables of numbers: headings with tips, no grid, nothing to edit."""

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QAbstractItemView, QTableWidget

ROW = 24  # px


def dress(table: QTableWidget, headings: Sequence[str], tips: Sequence[str]) -> None:
    """Name the columns, the first to the left and the others, which are numbers, to the right."""
    table.setHorizontalHeaderLabels(headings)
    for column, tip in enumerate(tips):
        heading = table.horizontalHeaderItem(column)
        if heading is not None:
            heading.setToolTip(tip)
            side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
            heading.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setShowGrid(False)
    rows = table.verticalHeader()
    if rows is not None:
        rows.setVisible(False)
        rows.setDefaultSectionSize(ROW)

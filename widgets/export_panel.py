"""Centre of the Export workspace: everything that can leave the program, and what is missing for it."""

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QImage, QPixmap, QResizeEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets.export_cards import Card, MovieCard, MovieChoice
from braggscope.widgets.section import SectionPage

__all__ = ["ExportPanel", "MovieChoice"]

TABLES = ((".csv", "CSV"), (".parquet", "Parquet"), (".h5", "NeXus"), (".cxi", "CXI"), (".flt", "ImageD11"))
FIGURES = (
    ("overlay", "Frame with marks"),
    ("error", "Error against frame"),
    ("offsets", "Offsets Δx, Δy"),
)
MARGIN = 16  # px beside the cards
COPIES = (("python", "Python"), ("command", "Command line"), ("json", "JSON"))


class ExportPanel(QWidget):
    """Cards for table, figures, movie, report and copies, with a preview of the picture."""

    table_requested = pyqtSignal(str)  # suffix
    figure_requested = pyqtSignal(str, str)  # "overlay", "error" or "offsets"; suffix
    movie_requested = pyqtSignal(object)  # MovieChoice
    report_requested = pyqtSignal()
    copy_requested = pyqtSignal(str)  # "python", "command" or "json"
    preview_requested = pyqtSignal()  # a gesture changed what the preview shows

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.columns = 0
        self.page = SectionPage(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.page)
        sheet = QWidget(self)
        sheet.setMaximumWidth(1040)
        self.grid = QGridLayout(sheet)
        self.grid.setContentsMargins(MARGIN, 16, MARGIN, 20)
        self.grid.setSpacing(14)
        self.movie = MovieCard(sheet)
        self.movie.requested.connect(self.movie_requested)
        self.movie.edited.connect(self.preview_requested)
        self.cards = (
            self._preview_card(sheet), self.movie, self._table_card(sheet),
            self._figure_card(sheet), self._report_card(sheet), self._copy_card(sheet),
        )  # fmt: skip
        self._arrange(columns=2)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(sheet, 100)
        row.addStretch(1)
        self.page.column.insertLayout(0, row)
        self.set_available(0, 0, 0)
        self.set_preview(None)

    def set_available(self, peaks: int, frames: int, analysed: int) -> None:
        """Enable what can be written, and say in words what is missing."""
        has_peaks = peaks > 0
        for button in self.tables.values():
            button.setEnabled(has_peaks)
        if not frames:
            note = "Open a series first."
        elif not has_peaks:
            note = "No peaks yet: analyse the series, or lower minval and minscore."
        elif not analysed:
            note = f"{peaks:,} peaks in the current frame; the series is not analysed yet."
        elif analysed < frames:
            note = f"{peaks:,} peaks in {analysed:,} of {frames:,} frames; the others are not analysed yet."
        else:
            note = f"{peaks:,} peaks in all {frames:,} frames."
        self.table_note.setText(note)
        self._frames, self._peaks = frames, has_peaks
        self._figure_state()
        for button in self.copies.values():
            button.setEnabled(frames > 0)
        self.report.setEnabled(has_peaks and analysed > 0)
        self.movie.set_frames(frames)

    def set_preview(self, image: QImage | None) -> None:
        """Show a picture of what the movie will look like, or what to do to get one."""
        self.preview.show_image(image)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: two columns where they fit, or one: the page scrolls downwards only."""
        super().resizeEvent(event)
        sides = [max(card.minimumSizeHint().width() for card in self.cards[side::2]) for side in (0, 1)]
        bar = self.page.verticalScrollBar()
        room = self.width() - 2 * MARGIN - (bar.sizeHint().width() if bar is not None else 0)
        self._arrange(2 if sum(sides) + self.grid.spacing() <= room else 1)

    def _arrange(self, columns: int) -> None:
        if columns == self.columns:
            return
        self.columns = columns
        for place, card in enumerate(self.cards):
            self.grid.removeWidget(card)
            self.grid.addWidget(card, *divmod(place, columns))
        self.grid.setColumnStretch(0, 1)
        self.grid.setColumnStretch(1, columns - 1)

    def _preview_card(self, parent: QWidget) -> Card:
        card = Card("image", "Preview", parent)
        card.note.hide()
        self.preview = _Preview(card)
        card.column.addWidget(self.preview, 1)
        return card

    def _table_card(self, parent: QWidget) -> Card:
        card = Card("table", "Peak table", parent)
        self.table_note = card.note
        self.tables: dict[str, QPushButton] = {}
        for suffix, text in TABLES:
            button = QPushButton(text, card)
            button.setToolTip(f"Write the peak table as *{suffix}")
            button.clicked.connect(lambda _, suffix=suffix: self.table_requested.emit(suffix))
            self.tables[suffix] = button
        card.button_rows(list(self.tables.values()))
        return card

    def _figure_card(self, parent: QWidget) -> Card:
        card = Card("chart", "Figures", parent)
        self.figure_note = card.note
        self.figure = QComboBox(card)
        self.figure.setAccessibleName("Which figure")
        for key, text in FIGURES:
            self.figure.addItem(text, key)
        self.figure.activated.connect(lambda _: self._figure_state())
        card.column.addWidget(self.figure)
        self.figures: dict[str, QPushButton] = {}
        for suffix in (".png", ".svg", ".pdf"):
            button = QPushButton(suffix[1:].upper(), card)
            button.setToolTip(f"Write the figure as *{suffix}")
            button.clicked.connect(
                lambda _, suffix=suffix: self.figure_requested.emit(self.figure.currentData(), suffix)
            )
            self.figures[suffix] = button
        card.button_rows(list(self.figures.values()))
        return card

    def _report_card(self, parent: QWidget) -> Card:
        card = Card("chart", "Report", parent)
        card.note.setText("One page: figures, settings, failures, and how to do it again.")
        self.report = QPushButton("Write report…", card)
        self.report.setToolTip("Write *.html of all analysed frames")
        self.report.clicked.connect(lambda _: self.report_requested.emit())
        card.button_rows([self.report])
        return card

    def _copy_card(self, parent: QWidget) -> Card:
        card = Card("copy", "Copy as", parent)
        card.note.setText("What you see here, as text that does it again.")
        self.copies: dict[str, QPushButton] = {}
        for key, text in COPIES:
            button = QPushButton(text, card)
            button.clicked.connect(lambda _, key=key: self.copy_requested.emit(key))
            self.copies[key] = button
        card.button_rows(list(self.copies.values()))
        return card

    def _figure_state(self) -> None:
        overlay = self.figure.currentData() == "overlay"
        usable = self._frames > 0 and (overlay or self._peaks)
        for button in self.figures.values():
            button.setEnabled(usable)
        if usable:
            self.figure_note.setText("The current frame." if overlay else "All analysed frames.")
        else:
            missing = (
                "This figure needs peaks: analyse the series." if self._frames else "Open a series first."
            )
            self.figure_note.setText(missing)


class _Preview(QLabel):
    """A picture as large as fits, or what to do to get one."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setProperty("role", "muted")
        self.setMinimumSize(160, 200)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)

    def show_image(self, image: QImage | None) -> None:
        """Show a picture."""
        self._image = None if image is None or image.isNull() else image
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: the picture follows."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._image is None:
            self.setText("The movie's picture appears here\nonce a series is open.")
            return
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap.fromImage(self._image).scaled(
            self.size() * ratio,
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        pixmap.setDevicePixelRatio(ratio)
        self.setPixmap(pixmap)

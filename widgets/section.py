"""A titled group of controls that folds away, and the page that stacks them."""

from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QPainter, QPainterPath, QPaintEvent, QPen
from PyQt6.QtWidgets import QAbstractButton, QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from braggscope.widgets import theme


class _Header(QAbstractButton):
    """Chevron, title, and on the right what the folded group holds."""

    def __init__(self, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.summary = ""
        self.setText(title)
        self.setAccessibleName(title)
        self.setCheckable(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """Qt: one line with air."""
        return QSize(120, self.fontMetrics().height() + 12)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: the header in the colours of the theme."""
        colours, painter = theme.current(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.underMouse() or self.hasFocus():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.raised))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 2, -1, -2), 4, 4)
        painter.setPen(QPen(QColor(colours.muted), 1.6, cap=Qt.PenCapStyle.RoundCap))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(_chevron(11, self.height() / 2, self.isChecked()))
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(colours.text))
        left = 22 + painter.fontMetrics().horizontalAdvance(self.text()) + 12
        line = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(self.rect().adjusted(22, 0, 0, 0), int(line), self.text())
        painter.setFont(self.font())
        painter.setPen(QColor(colours.muted))
        room = self.rect().adjusted(left, 0, -8, 0)
        shown = self.fontMetrics().elidedText(self.summary, Qt.TextElideMode.ElideMiddle, room.width())
        painter.drawText(room, int(line | Qt.AlignmentFlag.AlignRight), shown)


def _chevron(x: float, y: float, is_open: bool) -> QPainterPath:
    path = QPainterPath()
    points = ((-3.5, -2), (0, 1.5), (3.5, -2)) if is_open else ((-1.5, -3.5), (2, 0), (-1.5, 3.5))
    path.moveTo(x + points[0][0], y + points[0][1])
    for dx, dy in points[1:]:
        path.lineTo(x + dx, y + dy)
    return path


class Section(QWidget):
    """Foldable group: put widgets into ``body`` through :meth:`add`."""

    toggled = pyqtSignal(bool)

    def __init__(self, title: str, is_open: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self.header = _Header(title, self)
        self.body = QWidget(self)
        self.rows = QVBoxLayout(self.body)
        self.rows.setContentsMargins(8, 2, 8, 10)
        self.rows.setSpacing(6)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(self.body)
        self.header.clicked.connect(self._clicked)
        self.set_open(is_open)

    def add(self, widget: QWidget) -> None:
        """Append a row."""
        self.rows.addWidget(widget)

    def is_open(self) -> bool:
        """Whether the body is shown."""
        return self.header.isChecked()

    def set_open(self, is_open: bool) -> None:
        """Fold or unfold."""
        self.header.setChecked(is_open)
        self.body.setVisible(is_open)

    def set_summary(self, text: str) -> None:
        """What the group holds, in a few words."""
        self.header.summary = text
        self.header.setToolTip(text)
        self.header.update()

    def _clicked(self, is_open: bool) -> None:
        self.set_open(is_open)
        self.toggled.emit(is_open)


class SectionPage(QScrollArea):
    """Column of sections that scrolls downwards only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.page = QWidget()
        self.column = QVBoxLayout(self.page)
        self.column.setContentsMargins(0, 4, 0, 4)
        self.column.setSpacing(0)
        self.column.addStretch(1)
        self.setWidget(self.page)
        self.page.setAutoFillBackground(False)  # Qt gives both a ground of their own; the dock has one
        viewport = self.viewport()
        if viewport is not None:
            viewport.setAutoFillBackground(False)

    def add(self, widget: QWidget) -> None:
        """Append a section, or any other widget."""
        self.column.insertWidget(self.column.count() - 1, widget)

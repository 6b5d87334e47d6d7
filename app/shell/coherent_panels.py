"""The widgets of the Coherent workspace."""

from PyQt6.QtWidgets import QWidget


class CoherentPanels:
    """What :class:`braggscope.app.presenters.coherent.CoherentPresenter` brings to life."""

    def __init__(self) -> None:
        self.page = QWidget()

    def docks(self) -> dict[str, QWidget]:
        """The widget of every dock of the workspace."""
        return {}

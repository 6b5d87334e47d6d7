"""The widgets of the Strain workspace. It shares the frame view and the timeline with Series."""

from PyQt6.QtWidgets import QWidget


class StrainPanels:
    """What :class:`braggscope.app.presenters.strain.StrainPresenter` brings to life."""

    def docks(self) -> dict[str, QWidget]:
        """The widget of every dock of the workspace."""
        return {}

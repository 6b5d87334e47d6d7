"""The widgets of the Coherent workspace."""

from PyQt6.QtWidgets import QWidget

from braggscope.widgets.coherent_view import CoherentView
from braggscope.widgets.phasing_curves import PhasingCurves
from braggscope.widgets.phasing_panel import PhasingPanel
from braggscope.widgets.phasing_result import PhasingResult
from braggscope.widgets.phasing_starts import PhasingStarts
from braggscope.widgets.volume_panel import VolumePanel
from braggscope.widgets.volume_scans import ScansPanel


class CoherentPanels:
    """What :class:`braggscope.app.presenters.coherent.CoherentPresenter` brings to life."""

    def __init__(self) -> None:
        self.page = CoherentView()
        self.volume = VolumePanel()
        self.phasing = PhasingPanel()
        self.curves = PhasingCurves()
        self.starts = PhasingStarts()
        self.result = PhasingResult()
        self.scans = ScansPanel()

    def docks(self) -> dict[str, QWidget]:
        """The widget of every dock of the workspace."""
        return {
            "volume": self.volume,
            "phasing": self.phasing,
            "convergence": self.curves,
            "starts": self.starts,
            "crystal": self.result,
            "scans": self.scans,
        }

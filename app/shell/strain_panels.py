"""The widgets of the Strain workspace. It shares the frame view and the timeline with Series."""

from PyQt6.QtWidgets import QWidget

from braggscope.widgets.frame_view import FrameView
from braggscope.widgets.scan_panel import ScanPanel
from braggscope.widgets.strain_bragg import BraggPanel
from braggscope.widgets.strain_calibration import CalibrationPanel
from braggscope.widgets.strain_disks import DisksPanel
from braggscope.widgets.strain_handles import FrameHandles
from braggscope.widgets.strain_maps import StrainMapsPanel


class StrainPanels:
    """What :class:`braggscope.app.presenters.strain.StrainPresenter` brings to life."""

    def __init__(self, frame_view: FrameView) -> None:
        self.scan = ScanPanel()
        self.disks = DisksPanel()
        self.calibration = CalibrationPanel()
        self.bragg = BraggPanel()
        self.maps = StrainMapsPanel()
        self.handles = FrameHandles(frame_view.canvas)

    def docks(self) -> dict[str, QWidget]:
        """The widget of every dock of the workspace."""
        return {
            "scan": self.scan,
            "disks": self.disks,
            "calibration": self.calibration,
            "bragg": self.bragg,
            "strain_maps": self.maps,
        }

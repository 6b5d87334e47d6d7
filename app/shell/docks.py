"""Every dock of the window and where it stands in each workspace, as data."""

import zlib
from collections.abc import Mapping
from typing import NamedTuple

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QWidget

Area = Qt.DockWidgetArea
LEFT, RIGHT, BOTTOM = Area.LeftDockWidgetArea, Area.RightDockWidgetArea, Area.BottomDockWidgetArea


class Group(NamedTuple):
    """Docks that share a place as tabs, the first in front. ``size`` px: height, at the bottom width."""

    keys: tuple[str, ...]
    size: int


class Arrangement(NamedTuple):
    """Groups from top to bottom at the sides, from left to right at the bottom. Widths and height in px."""

    left: tuple[Group, ...] = ()
    right: tuple[Group, ...] = ()
    bottom: tuple[Group, ...] = ()
    left_width: int = 256
    right_width: int = 336
    bottom_height: int = 250


DOCKS: Mapping[str, str] = {  # key: title; MainWindow.panels names the widget of each
    "file": "File",
    "frame": "Frame",
    "prepare": "Prepare",
    "regions": "Measure",
    "instrument": "Instrument",
    "thresholds": "Thresholds",
    "patch": "Peak",
    "sets": "Parameter sets",
    "peaks": "Peaks",
    "jobs": "Jobs",
    "log": "Log",
    "error": "Error against frame",
    "agreement": "Agreement",
    "training": "Fine-tuning",
    "tracks": "Tracks",
    "track_plot": "Tracks against frame",
    "waterfall": "Spot through time",
    "volume": "Volume",
    "phasing": "Phasing",
    "convergence": "Convergence",
    "starts": "Starts",
    "crystal": "Result",
    "scans": "Scans",
    "scan": "Scan",
    "disks": "Disks",
    "calibration": "Calibration",
    "bragg": "Bragg vectors",
    "strain_maps": "Strain maps",
}
_FILE = Group(("file",), 260)
_SETUP = Group(("file", "instrument"), 300)
_NEWS = Group(("jobs", "log"), 600)
WORKSPACES: Mapping[str, Arrangement] = {
    "series": Arrangement(
        left=(_SETUP, Group(("frame", "prepare", "regions"), 300)),
        right=(Group(("thresholds",), 250), Group(("patch", "training"), 330), Group(("sets",), 190)),
        bottom=(Group(("peaks", "jobs", "log"), 430), Group(("error",), 290), Group(("agreement",), 420)),
    ),
    "tracks": Arrangement(
        left=(_SETUP, Group(("frame", "prepare", "regions"), 300)),
        right=(Group(("waterfall",), 420), Group(("patch",), 330)),
        bottom=(Group(("tracks", "peaks", "jobs", "log"), 560), Group(("track_plot",), 600)),
        bottom_height=320,
    ),
    "strain": Arrangement(
        left=(Group(("scan", "file", "frame", "prepare"), 560),),
        right=(Group(("disks", "calibration"), 480), Group(("bragg",), 330)),
        bottom=(Group(("strain_maps", "jobs", "log"), 1200),),
        left_width=300,
        bottom_height=290,
    ),
    "coherent": Arrangement(
        left=(Group(("volume", "file", "frame"), 560),),
        right=(Group(("phasing", "crystal"), 560),),
        bottom=(Group(("starts", "scans", "jobs", "log"), 620), Group(("convergence",), 420)),
        left_width=270,
        right_width=320,
        bottom_height=210,
    ),
    "accuracy": Arrangement(bottom=(_NEWS,), bottom_height=160),
    "export": Arrangement(left=(_FILE,), right=(Group(("sets",), 190),), bottom=(_NEWS,), bottom_height=160),
}
VERSION = zlib.crc32(" ".join(DOCKS).encode()) & 0x7FFF  # layouts saved with other docks are not restored


def arrange(window: QMainWindow, docks: Mapping[str, QDockWidget], workspace: str) -> None:
    """Put the docks of a workspace where it wants them and hide the others."""
    plan = WORKSPACES[workspace]
    for dock in docks.values():
        window.removeDockWidget(dock)
    for area, groups in ((LEFT, plan.left), (RIGHT, plan.right), (BOTTOM, plan.bottom)):
        _place(window, docks, area, groups)
    used = {key for groups in plan[:3] for group in groups for key in group.keys}
    for key, dock in docks.items():
        if key not in used:  # at hand in the menu of panels
            window.addDockWidget(RIGHT, dock)
        dock.setVisible(key in used)
    set_title_bars(docks, workspace)
    _resize(window, docks, plan)
    for groups in plan[:3]:
        for group in groups:
            docks[group.keys[0]].raise_()


def set_title_bars(docks: Mapping[str, QDockWidget], workspace: str) -> None:
    """Docks that share a place have their tab for a title."""
    tabbed = {
        key
        for groups in WORKSPACES[workspace][:3]
        for group in groups
        if len(group.keys) > 1
        for key in group.keys
    }
    for key, dock in docks.items():
        bar = dock.titleBarWidget()
        if key in tabbed and bar is None:
            dock.setTitleBarWidget(QWidget())
        elif key not in tabbed and bar is not None:
            dock.setTitleBarWidget(None)
            bar.deleteLater()


def _place(
    window: QMainWindow, docks: Mapping[str, QDockWidget], area: Area, groups: tuple[Group, ...]
) -> None:
    previous: QDockWidget | None = None
    for group in groups:  # all splits come before tabs: what is split off a tab becomes a tab
        first = docks[group.keys[0]]
        if previous is not None and area == BOTTOM:
            window.splitDockWidget(previous, first, Qt.Orientation.Horizontal)
        else:
            window.addDockWidget(area, first)
        previous = first
    for group in groups:
        for one, other in zip(group.keys, group.keys[1:], strict=False):
            window.tabifyDockWidget(docks[one], docks[other])


def _resize(window: QMainWindow, docks: Mapping[str, QDockWidget], plan: Arrangement) -> None:
    sides, upright = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
    for groups, width in ((plan.left, plan.left_width), (plan.right, plan.right_width)):
        if groups:
            window.resizeDocks([docks[groups[0].keys[0]]], [width], sides)
            window.resizeDocks([docks[g.keys[0]] for g in groups], [g.size for g in groups], upright)
    if plan.bottom:
        window.resizeDocks([docks[plan.bottom[0].keys[0]]], [plan.bottom_height], upright)
        window.resizeDocks([docks[g.keys[0]] for g in plan.bottom], [g.size for g in plan.bottom], sides)

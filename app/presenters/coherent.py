"""The Coherent workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.jobs import JobBoard

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow


class CoherentPresenter:
    """Joins the panels of the workspace with its engine."""

    def __init__(self, desk: Desk, window: MainWindow, jobs: JobBoard) -> None:
        self._desk = desk
        self._window = window
        self._jobs = jobs

"""The simulation bench: draws, measures and shows, always for the newest settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtGui import QGuiApplication

from braggscope.app.engine.jobs import Context, Progress
from braggscope.app.engine.loading import load
from braggscope.app.export.bench_script import bench_as_python
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.weights import WeightShelf
from braggscope.models.bench_settings import DRAWS, BenchSettings, Outcome
from braggscope.models.parameters import Parameters
from braggscope.resources.loader import manifest
from braggscope.widgets.bench_view import BenchPatch
from braggscope.widgets.patch_panels import Mark

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow


class BenchPresenter:
    """Answers to every change of the settings: one patch at once, then the errors of many draws.

    The lane keeps only the newest request, and what an older one reports is never delivered.
    """

    def __init__(self, desk: Desk, window: MainWindow, shelf: WeightShelf) -> None:
        self._desk, self._window, self._shelf = desk, window, shelf
        self._view = window.bench_view
        self._settings = BenchSettings()
        self._outcomes: list[Outcome] = []
        self._shipped = frozenset(manifest())
        self._shown = False
        self._used: object = None  # parameters that what is shown depends on
        self._view.set_settings(self._settings)
        self._view.settings_changed.connect(self.set)
        self._view.copy_requested.connect(self.copy)
        desk.weights_changed.connect(self._on_weights)
        desk.store.subscribe(lambda old, new: self._on_state())

    def show(self) -> None:
        """Bring the bench to the front; the first time, start it."""
        self._desk.store.update(workspace="accuracy")
        self._window.accuracy_tabs.setCurrentWidget(self._view)
        if not self._shown:
            self._on_state()

    def set(self, settings: BenchSettings) -> None:
        """Simulate something else."""
        self._settings = settings
        self._view.set_settings(settings)
        self.run()

    def run(self) -> None:
        """Draw and measure in the background."""
        self._shown = True
        settings, parameters = self._settings, self._parameters()
        networks = self._shelf.ready(parameters)

        def work(context: Context) -> list[Outcome]:
            load(context.check)  # a session that is restored here comes before it has happened elsewhere
            from braggscope.app.engine.bench import methods
            from braggscope.models.simbench import bench, draw

            chosen = methods(parameters.localize, networks)
            total = len(chosen) + 1
            one = draw(settings, 1)
            answers = [(method.key, method.locate(one)) for method in chosen]
            data, valid = one.patches(settings.window)
            half = settings.window // 2
            marks = [
                Mark(key, found.x[0] + half, found.y[0] + half, found.x_err[0], found.y_err[0])
                for key, found in answers
            ]
            nan = float("nan")
            marks += [Mark("truth", x + half, y + half, nan, nan) for x, y in one.peaks[0, :, 1:3]]
            context.progress(0, total, payload=BenchPatch(data[0], valid[0], tuple(marks)))
            outcomes: list[Outcome] = []
            for outcome in bench(settings, chosen, DRAWS, context.check):
                outcomes.append(outcome)
                context.progress(len(outcomes), total, payload=outcome)
            return outcomes

        self._outcomes = []
        self._desk.lanes.bench.submit(
            work, self._done, on_error=self._desk.fail, on_progress=self._progressed
        )

    def copy(self) -> None:
        """Put a script that gives the same numbers on the clipboard."""
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(bench_as_python(self._settings, self._parameters().localize, DRAWS))
        self._desk.say("info", "The simulation was copied as Python.")

    def _progressed(self, progress: Progress) -> None:
        if isinstance(progress.payload, BenchPatch):
            self._view.set_patch(progress.payload)
        elif isinstance(progress.payload, Outcome):
            self._outcomes.append(progress.payload)
            self._view.set_outcomes(self._outcomes, DRAWS)
        self._view.set_progress(progress.done, progress.total)

    def _done(self, outcomes: list[Outcome]) -> None:
        self._outcomes = outcomes
        self._view.set_outcomes(outcomes, DRAWS)
        self._view.set_progress(1, 1)

    def _parameters(self) -> Parameters:
        """Those of the active set, with every method of which there are weights."""
        parameters = self._desk.store.state.parameters
        names = {"braggnn": parameters.localize.braggnn, "net": parameters.localize.net}
        networks = [key for key, name in names.items() if name in self._shipped or Path(name).suffix]
        return parameters.with_localize(methods=("fit", *networks))

    def _on_weights(self) -> None:
        if self._shown:
            self.run()

    def _on_state(self) -> None:
        """Start when the bench is seen first, and again when settings of fits or networks have changed."""
        parameters = self._parameters()
        if self._desk.store.state.workspace == "accuracy" and self._used != parameters.localize:
            self._used = parameters.localize
            self._shelf.want(parameters)
            self.run()

"""BraggNN in memory: loaded once, in the background, because importing torch takes seconds."""

from __future__ import annotations

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.peaks import PatchLocalizer
from braggscope.app.presenters.desk import Desk
from braggscope.models.parameters import Parameters


class WeightShelf:
    """Localisers by the name of their weights. :meth:`ready` is called from any thread."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._loaded: dict[str, PatchLocalizer] = {}
        self._asked: set[str] = set()
        desk.device_changed.connect(self._reload)

    def _reload(self) -> None:
        """Load again what is in use, on the device that is wanted now."""
        self._loaded.clear()
        self._asked.clear()
        if self._desk.engine is not None:
            self.want(self._desk.store.state.parameters)

    def ready(self, parameters: Parameters) -> PatchLocalizer | None:
        """The localiser for these parameters if it is loaded already."""
        return self._loaded.get(parameters.localize.braggnn)

    def want(self, parameters: Parameters) -> None:
        """Load it in the background; ``weights_changed`` follows."""
        key = parameters.localize.braggnn
        if key in self._asked or "braggnn" not in parameters.localize.methods:
            return
        self._asked.add(key)
        choice = self._desk.device_choice

        def done(result: tuple[PatchLocalizer, str]) -> None:
            self._loaded[key], self._desk.device = result
            if self._desk.engine is not None:
                self._desk.engine.device = self._desk.device
            self._desk.weights_changed.emit()

        def failed(error: Exception) -> None:
            self._asked.discard(key)
            self._desk.fail(error)

        self._desk.lanes.models.submit(
            lambda context: load(parameters, choice, context), done, on_error=failed
        )

    def blocking(self, parameters: Parameters, context: Context) -> PatchLocalizer | None:
        """The localiser, loaded now if need be; for jobs on other lanes."""
        if "braggnn" not in parameters.localize.methods:
            return None
        return self.ready(parameters) or load(parameters, self._desk.device_choice, context)[0]


def load(parameters: Parameters, choice: str, context: Context) -> tuple[PatchLocalizer, str]:
    """Open the weights that the parameters name, on the chosen device; and which device that is."""
    from braggscope.app.engine.localizers import open_localizer
    from braggscope.models.device import resolve

    context.check()
    device = resolve(choice)
    return open_localizer(parameters.localize.braggnn, device), device

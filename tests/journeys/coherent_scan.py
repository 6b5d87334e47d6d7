"""A small crystal for the journeys of the Coherent workspace, and how it is phased."""

from stage import Stage, settle, until

from braggscope.models.cdi.diffraction import CoherentSpec

QUICK = {"coarse_iterations": "30*RAAR+10*ER", "iterations": "20*RAAR+10*ER", "refinement": 10}
SPEC = CoherentSpec(seed=5, shape=(32, 32, 32), peak_counts=1e5)


def coherent(stage: Stage):
    return stage.program.coherent


def panels(stage: Stage):
    return stage.window.coherent


def prepared(stage: Stage) -> None:
    until(lambda: coherent(stage).volume is not None, "the prepared stack")
    until(lambda: not stage.desk.lanes.volume.busy, "the end of the preparation")
    settle(0.02)


def phase(stage: Stage) -> None:
    stage.window.show_panel("phasing")
    stage.press(panels(stage).phasing.start)
    until(lambda: coherent(stage).run.running, "the start")
    until(lambda: not coherent(stage).run.running, "the crystal", 60)
    until(lambda: coherent(stage).show.looked is not None, "the result")
    settle(0.05)

"""A setting of the simulation bench as a Python script."""

from braggscope.models.bench_settings import BenchSettings
from braggscope.models.parameters import Localization


def bench_as_python(settings: BenchSettings, localize: Localization, draws: int) -> str:
    """A script that prints the table of the bench: the same draws, the same numbers."""
    return f'''"""Errors of every method on simulated peaks, beside the Cramér-Rao bound."""

from braggscope.app.engine.bench import methods
from braggscope.app.engine.localizers import open_networks
from braggscope.models.parameters import Localization
from braggscope.models.simbench import bench
from braggscope.models.bench_settings import BenchSettings, Neighbour

settings = {settings!r}
localize = Localization.model_validate_json(
    r"""{localize.model_dump_json()}"""
)

if __name__ == "__main__":
    for outcome in bench(settings, methods(localize, open_networks(localize)), {draws}):
        errors = " / ".join(f"{{outcome.quantile(share):.4f}}" for share in (0.5, 0.95))
        print(f"{{outcome.name:18}} median / 95 %: {{errors}} px, {{outcome.failed}} failed")
'''

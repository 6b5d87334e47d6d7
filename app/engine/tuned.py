"""What a fine-tuning is asked and what it gives: the job, the result, and their files."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.checkpoint import TrainingError, checkpoint_folder, write_whole
from braggscope.app.engine.trained import write_trained
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.version import VERSION
from braggscope.models.finetune import Distribution, Spread
from braggscope.models.paired import Change
from braggscope.models.parameters import Parameters
from braggscope.models.tuning import Basis, Example, LearningPoint, Verdict

if TYPE_CHECKING:
    from torch import nn

    from braggscope.app.engine.lessons import Lessons
    from braggscope.app.engine.trainable import Trainable

JOB = "job.json"
HEADER = "step,seconds,loss,held_out_loss,held_out_median_px,simulated_median_px"


@dataclass(frozen=True, slots=True)
class FineTuning:
    """What to train on what. ``base``: weights to start from, by default those the parameters name.

    ``steps``: how long to train, instead of ``minutes`` for everything.
    """

    location: str
    parameters: Parameters
    out: Path
    network: str = "braggnn"
    base: str = ""
    frame_axis: int | None = None
    minutes: float = 5.0
    seed: int = 0
    steps: int | None = None

    @property
    def weights(self) -> str:
        """Name or file of the weights to start from."""
        return self.base or str(getattr(self.parameters.localize, self.network))


@dataclass(frozen=True, slots=True)
class FineTuned:
    """Outcome. Nothing was written unless ``verdict`` accepts. ``examples``: none if read from a file."""

    job: FineTuning
    verdict: Verdict
    basis: Basis
    measured: Change
    simulated: Change
    steps: int
    seconds: float
    curve: tuple[LearningPoint, ...]
    examples: tuple[Example, ...]


def write_job(job: FineTuning) -> None:
    """Keep the job beside its checkpoint, so that it can be found and continued later."""
    text = json.dumps(_plain(job), indent=1)
    write_whole(checkpoint_folder(job.out) / JOB, lambda path: path.write_text(text, encoding="utf-8"))


def unfinished(folder: Path) -> Iterator[FineTuning]:
    """Trainings in a folder that were interrupted, the newest first; what cannot be read is left out."""
    found = []
    for path in folder.glob(f"*.checkpoint/{JOB}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if (path.parent / "state.pt").exists():
                found.append((path.stat().st_mtime, _job(json.loads(path.read_text("utf-8")))))
    yield from (job for _, job in sorted(found, key=lambda pair: -pair[0]))


def deliver(
    tuned: FineTuned, identity: str, network: "nn.Module", subject: "Trainable", lessons: "Lessons",
    info: SourceInfo,
) -> None:  # fmt: skip
    """Write weights, their record and the learning curve, if they are accepted."""
    if not tuned.verdict.accepted:
        return
    record = {
        "program": f"Braggscope {VERSION}",
        "job": _plain(tuned.job),
        "base_sha256": subject.provenance.sha256,
        "source": {"location": info.location, "identity": info.identity},
        "frames": lessons.frames,
        "frames_held_out": lessons.frames_held_out,
        "basis": [asdict(tuned.basis.distribution), *tuned.basis[1:]],
        "verdict": asdict(tuned.verdict),
        "measured": tuned.measured,
        "simulated": tuned.simulated,
        "steps": tuned.steps,
        "seconds": round(tuned.seconds, 1),
        "curve": tuned.curve,
    }
    rows = [",".join(f"{value:.6g}" for value in point) for point in tuned.curve]
    state = network.state_dict()
    write_trained(tuned.job.out, state, subject.metadata, identity, record, rows, HEADER)


def read_tuned(out: Path, identity: str = "") -> FineTuned:
    """The result that a weight file records. Raises TrainingError if it is of another training, or none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(out, "pt") as file:
            metadata = file.metadata() or {}
        if identity and metadata.get("identity") != identity:
            raise TrainingError(
                f"{out} was trained on another series or with other parameters, base weights, time or seed;"
                " give another name, or start anew."
            )
        record = json.loads(metadata["training"])
        like, *numbers = record["basis"]
        return FineTuned(
            _job(record["job"]), Verdict(**record["verdict"]), Basis(_distribution(like), *numbers),
            _change(record["measured"]), _change(record["simulated"]), record["steps"], record["seconds"],
            tuple(LearningPoint(*point) for point in record["curve"]), (),
        )  # fmt: skip
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise TrainingError(f"{out} holds no fine-tuned weights; give another name.") from error


def _plain(job: FineTuning) -> dict[str, Any]:
    plain = {name: getattr(job, name) for name in FineTuning.__slots__}
    return plain | {"parameters": job.parameters.model_dump(mode="json"), "out": str(job.out.absolute())}


def _job(plain: dict[str, Any]) -> FineTuning:
    parameters = Parameters.model_validate(plain["parameters"])
    return FineTuning(**(plain | {"parameters": parameters, "out": Path(plain["out"])}))


def _distribution(plain: dict[str, Any]) -> Distribution:
    values: dict[str, Any] = {k: Spread(*v) if isinstance(v, list) else v for k, v in plain.items()}
    return Distribution(**values)


def _change(plain: list[Any]) -> Change:
    peaks, *pairs = plain
    return Change(peaks, *((float(a), float(b)) for a, b in pairs))

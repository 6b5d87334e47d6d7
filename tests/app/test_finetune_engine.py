import json
import threading
import time

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from braggscope.app.engine import trainable
from braggscope.app.engine.checkpoint import TrainingError, checkpoint_folder
from braggscope.app.engine.finetune import _identity, fine_tune
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.lessons import _order, collect
from braggscope.app.engine.localizers import open_localizer
from braggscope.app.engine.trained import curve_path
from braggscope.app.engine.tuned import HEADER, FineTuning, read_tuned, unfinished
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.models import profiles
from braggscope.models.finetune import measure
from braggscope.models.parameters import Parameters
from braggscope.models.tuning import Live
from braggscope.resources.loader import WeightsError, load_weights, weights_hash

torch.set_num_threads(1)
SHAPE = (96, 96)
NARROW = Parameters().with_detect(minval=100, minscore=150).with_localize(model="pseudovoigt")
FRAMES = 40


def narrow_frames(frames=FRAMES):
    """(frames, 96, 96) uint16: 25 spots of FWHM 1.2 px with Lorentzian tails, far from what is trained on."""
    random = np.random.default_rng(0)
    images = np.full((frames, *SHAPE), 20.0)
    for image in images:
        for k in range(25):
            x, y = np.array([k % 5, k // 5]) * 19 + 9 + random.uniform(-0.5, 0.5, 2)
            image += profiles.peak(SHAPE, x, y, 600.0, 1.2, eta=0.9)
    return random.poisson(images).astype(np.uint16)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    path = tmp_path_factory.mktemp("narrow") / "narrow.h5"
    with h5py.File(path, "w") as file:
        file["data"] = narrow_frames()
    return path


def job(narrow, out, steps=80, **options):
    return FineTuning(str(narrow), options.pop("parameters", NARROW), out, steps=steps, **options)


@pytest.fixture(scope="module")
def tuned(narrow, tmp_path_factory):
    """A fine-tuning that helps, and all that it reported."""
    seen = []
    out = tmp_path_factory.mktemp("tuned") / "mine.safetensors"
    result = fine_tune(job(narrow, out), context=Context(Ticket(0), seen.append))
    return result, seen


def test_peaks_far_from_the_training_are_learned(tuned):
    result, _ = tuned
    assert result.verdict.accepted
    assert result.verdict.sentence.startswith("Better")
    for change in (result.measured, result.simulated):
        assert change.after[0] < 0.9 * change.before[0]
    basis = result.basis
    assert basis.frames == FRAMES
    assert basis.frames_held_out == 8
    assert basis.held_out == pytest.approx(200, abs=5)
    assert basis.labels == pytest.approx(800, abs=20)
    assert 0.02 < basis.label_error_px < 0.06
    assert basis.distribution.eta.middle == pytest.approx(0.9, abs=0.15)


def test_what_is_written_says_how_it_was_made(tuned, narrow):
    result, _ = tuned
    out = result.job.out
    assert sorted(path.name for path in out.parent.iterdir()) == ["mine.safetensors", "mine_curve.csv"]
    assert open_localizer(str(out)).window == 11
    assert curve_path(out).read_text().splitlines()[0] == HEADER
    record = json.loads(load_weights(out)[1].metadata["training"])
    assert record["base_sha256"] == weights_hash("braggnn")
    assert record["source"]["location"] == f"{narrow}::/data"
    assert len(record["frames"]) == FRAMES
    assert set(record["frames_held_out"]) < set(record["frames"])
    assert record["job"]["parameters"]["detect"]["minval"] == 100
    again = read_tuned(out)
    assert (again.job, again.verdict, again.basis) == (result.job, result.verdict, result.basis)
    assert (again.measured, again.simulated) == (result.measured, result.simulated)


def test_progress_shows_losses_and_errors(tuned):
    _, seen = tuned
    lives = [progress.payload for progress in seen if isinstance(progress.payload, Live)]
    assert lives[0].basis is not None
    assert lives[-1].steps == lives[-1].of_steps == 80
    curve = lives[-1].curve
    assert [point.step for point in curve] == sorted({point.step for point in curve})
    assert curve[0].step == 0
    assert curve[-1].held_out_loss < curve[0].held_out_loss
    assert len(curve) >= 30
    notes = {progress.note for progress in seen}
    assert "reading frames" in notes


def test_examples_are_held_out_patches_from_easy_to_hard(tuned):
    result, _ = tuned
    away = [np.hypot(*np.subtract(e.before, e.fit)) for e in result.examples]
    assert len(away) == 6
    assert away == sorted(away)
    record = json.loads(load_weights(result.job.out)[1].metadata["training"])
    for example in result.examples:
        assert example.frame in record["frames_held_out"]
        assert example.image.shape == (11, 11)
        row, col = np.unravel_index(example.image.argmax(), example.image.shape)
        assert np.hypot(col - example.fit[0], row - example.fit[1]) < 1.5


def test_a_finished_fine_tuning_is_not_done_again(tuned):
    result, _ = tuned
    before = result.job.out.stat().st_mtime_ns
    assert fine_tune(result.job, context=silent_context(), resume=True).measured == result.measured
    assert result.job.out.stat().st_mtime_ns == before


def test_without_gain_nothing_is_written(narrow, tmp_path):
    out = tmp_path / "w.safetensors"
    result = fine_tune(job(narrow, out, steps=1), context=silent_context())
    assert not result.verdict.accepted
    assert result.verdict.sentence.startswith("Refused: ")
    assert list(tmp_path.iterdir()) == []


def stop_at(step):
    ticket = Ticket(0)

    def report(progress):
        if isinstance(progress.payload, Live) and progress.payload.of_steps and progress.done == step:
            ticket.cancel()

    return Context(ticket, report)


def test_a_cancelled_fine_tuning_resumes_identically(narrow, tmp_path):
    whole = fine_tune(job(narrow, tmp_path / "a.safetensors", 8), context=silent_context())
    halved = job(narrow, tmp_path / "b.safetensors", 8)
    with pytest.raises(Cancelled):
        fine_tune(halved, context=stop_at(5))
    assert list(unfinished(tmp_path)) == [halved]
    resumed = fine_tune(halved, context=silent_context(), resume=True)
    assert (resumed.measured, resumed.simulated) == (whole.measured, whole.simulated)
    assert [point[3:] for point in resumed.curve] == [point[3:] for point in whole.curve]
    assert list(unfinished(tmp_path)) == []


def test_another_trainings_checkpoint_is_not_continued(narrow, tmp_path):
    out = tmp_path / "w.safetensors"
    with pytest.raises(Cancelled):
        fine_tune(job(narrow, out, 6), context=stop_at(3))
    with pytest.raises(TrainingError, match="belongs to a training with another series"):
        fine_tune(job(narrow, out, 6, seed=1), context=silent_context(), resume=True)


@pytest.mark.parametrize(("network", "module"), [("braggnn", "braggnn"), ("net", "localizer")])
def test_a_checkpoint_of_another_simulation_is_not_continued(narrow, tmp_path, monkeypatch, network, module):
    asked = job(narrow, tmp_path / "w.safetensors", network=network)
    subject = trainable.open_trainable(network, network)
    with Reader() as reader:
        info = reader.open(str(narrow))
    now = _identity(asked, subject, info)
    monkeypatch.setattr(f"braggscope.models.{module}.simulate.SIMULATION_VERSION", 10**6)
    assert _identity(asked, subject, info) != now


def test_frames_that_are_held_out_are_not_simulated_from(narrow):
    with Reader() as reader:
        info = reader.open(str(narrow))
        lessons = collect(reader, info, NARROW, 13, 0, silent_context())
    learned = ~lessons.held
    parts = lessons.table.take(learned), lessons.counts[learned], lessons.valid[learned]
    assert 0 < lessons.held.sum() < learned.sum()
    assert lessons.distribution == measure(*parts)


def test_a_damaged_job_is_left_out(narrow, tmp_path):
    for name in ("a", "b"):
        folder = checkpoint_folder(tmp_path / f"{name}.safetensors")
        folder.mkdir()
        (folder / "job.json").write_text("{" if name == "a" else "{}")
        (folder / "state.pt").write_bytes(b"")
    assert list(unfinished(tmp_path)) == []
    assert list(unfinished(tmp_path / "nowhere")) == []


def test_cancelling_takes_less_than_a_fifth_of_a_second(narrow, tmp_path):
    ticket, started, ended = Ticket(0), threading.Event(), []

    def report(progress):
        if isinstance(progress.payload, Live) and progress.payload.steps > 2:
            started.set()

    def run():
        with pytest.raises(Cancelled):
            fine_tune(job(narrow, tmp_path / "w.safetensors", 3000), context=Context(ticket, report))
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(60)
    asked = time.monotonic()
    ticket.cancel()
    thread.join(10)
    assert ended[0] - asked < 0.2 + 0.3  # and what a busy machine adds
    assert (checkpoint_folder(tmp_path / "w.safetensors") / "state.pt").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"minval": 50_000}, "no peak in 40 frames"),
        ({"minscore": 640}, r"Only \d+ of \d+ peaks in 40 frames"),
    ],
)
def test_too_few_peaks_are_named(narrow, tmp_path, change, words):
    parameters = NARROW.with_detect(**change)
    with pytest.raises(TrainingError, match=words):
        fine_tune(job(narrow, tmp_path / "w.safetensors", parameters=parameters), context=silent_context())
    assert list(tmp_path.iterdir()) == []


def test_frames_are_needed_to_hold_out(tmp_path):
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.tile(narrow_frames(2), (1, 2, 2))
    with pytest.raises(TrainingError, match=r"lie in 2 of 2 frames .* at least 3"):
        fine_tune(job(path, tmp_path / "w.safetensors"), context=silent_context())


def test_odd_requests_are_refused(narrow, tmp_path):
    out = tmp_path / "w.safetensors"
    with pytest.raises(TrainingError, match="positive time"):
        fine_tune(job(narrow, out, steps=None, minutes=0), context=silent_context())
    with pytest.raises(TrainingError, match="no network called"):
        fine_tune(job(narrow, out, network="disks", base="braggnn"), context=silent_context())
    with pytest.raises(WeightsError, match="is not there"):
        fine_tune(job(narrow, out, base=str(tmp_path / "no.pth")), context=silent_context())
    with pytest.raises(TrainingError, match="holds no localiser network"):
        fine_tune(job(narrow, out, network="net", base="braggnn"), context=silent_context())
    with pytest.raises(SourceError, match=r"no\.h5"):
        fine_tune(job(tmp_path / "no.h5", out), context=silent_context())
    assert list(tmp_path.iterdir()) == []


def test_sums_of_frames_share_no_raw_frame(narrow):
    with Reader() as reader:
        info = reader.open(str(narrow))
    order = np.sort(_order(info, NARROW.with_prepare(sum_frames=3), 0))
    assert np.diff(order).min() >= 3


def test_the_localiser_network_is_fine_tuned_too(narrow, tmp_path, monkeypatch):
    from braggscope.models.localizer.network import LocalizerConfig, LocalizerNet, initialise
    from braggscope.models.weights import build_localizer

    config = LocalizerConfig(channels=(8, 8, 8, 8), hidden=(16, 16))
    network = LocalizerNet(config)
    initialise(network, 0)
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "raw.safetensors")
    out = tmp_path / "w.safetensors"
    base = str(tmp_path / "raw.safetensors")
    monkeypatch.setattr(trainable, "CALIBRATION", 2000)
    result = fine_tune(job(narrow, out, 60, network="net", base=base), context=silent_context())
    assert result.verdict.accepted, result
    state, provenance = load_weights(out)
    assert provenance.metadata["network"] == "Localizer"
    assert build_localizer(state).config == config
    assert result.measured.after[0] < result.measured.before[0]


def test_thresholded_patches_are_learned_as_they_will_be_seen(narrow, tmp_path):
    parameters = NARROW.with_localize(patch="thresholded")
    low = parameters.detect.minval
    result = fine_tune(
        job(narrow, tmp_path / "w.safetensors", 1, parameters=parameters), context=silent_context()
    )
    assert result.basis.distribution.threshold.middle == pytest.approx((low - 20) / 600, abs=0.05)
    for example in result.examples:
        assert np.mean(example.image == 0) > 0.5

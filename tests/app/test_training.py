import os
import signal
import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from braggscope.app.engine.checkpoint import TrainingError, checkpoint_folder
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.trained import curve_path
from braggscope.app.engine.training import train_braggnn
from braggscope.models.weights import build_braggnn, detect_axis_order, swap_axes
from braggscope.resources.loader import load_weights

torch.set_num_threads(1)
STEPS = 8


def stop_at(step, ticket=None):
    """A context that is cancelled once ``step`` steps are done."""
    ticket = ticket or Ticket(0)

    def report(progress):
        if progress.done == step:
            ticket.cancel()

    return Context(ticket, report)


def train(out, *, resume=False, context=None, **options):
    options = {"seed": 4, "steps": STEPS, **options}
    return train_braggnn(out, resume=resume, context=context or silent_context(), **options)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "w.safetensors"
    return train(out), load_file(out)


def timeless(curve):
    """The rows of a learning curve without the seconds."""
    return [line.split(",")[:2] + line.split(",")[3:] for line in curve.read_text().splitlines()]


def test_a_training_leaves_weights_and_curve_and_nothing_else(uninterrupted):
    report, state = uninterrupted
    assert sorted(path.name for path in report.out.parent.iterdir()) == ["w.safetensors", "w_curve.csv"]
    assert report.steps == STEPS
    assert report.samples == STEPS * 256
    assert report.curve == curve_path(report.out)
    assert report.after_px[0] < report.before_px[0]  # even a few steps beat a random network
    assert report.curve.read_text().splitlines()[-1].startswith(f"{STEPS},")
    loaded, provenance = load_weights(report.out)
    assert provenance.axis_order == "xy"
    assert provenance.sha256 == report.sha256
    assert build_braggnn(loaded).config.window == 11
    assert state["dense_layers.8.weight"].shape == (2, 2)


def test_a_cancelled_training_resumes_identically(tmp_path, uninterrupted):
    out = tmp_path / "w.safetensors"
    with pytest.raises(Cancelled):
        train(out, context=stop_at(5))
    assert not out.exists()
    assert (checkpoint_folder(out) / "state.pt").exists()
    report = train(out, resume=True)
    assert report.steps == STEPS
    state = load_file(out)
    assert all(torch.equal(state[name], array) for name, array in uninterrupted[1].items())
    assert timeless(report.curve) == timeless(uninterrupted[0].curve)
    assert not checkpoint_folder(out).exists()


def test_resuming_a_finished_training_does_nothing(uninterrupted):
    report, _ = uninterrupted
    before = report.out.stat().st_mtime_ns
    assert train(report.out, resume=True) == report
    assert report.out.stat().st_mtime_ns == before


def test_resuming_without_a_checkpoint_starts_fresh(tmp_path, uninterrupted):
    train(tmp_path / "new.safetensors", resume=True)
    state = load_file(tmp_path / "new.safetensors")
    assert all(torch.equal(state[name], array) for name, array in uninterrupted[1].items())


def test_the_seed_matters(tmp_path, uninterrupted):
    train(tmp_path / "other.safetensors", seed=5)
    state = load_file(tmp_path / "other.safetensors")
    name = "cnn_layers.2.weight"
    assert not torch.equal(state[name], uninterrupted[1][name])


def test_another_trainings_checkpoint_is_not_continued(tmp_path, uninterrupted):
    out = tmp_path / "w.safetensors"
    with pytest.raises(Cancelled):
        train(out, context=stop_at(3))
    with pytest.raises(TrainingError, match="belongs to a training with other"):
        train(out, resume=True, seed=5)
    with pytest.raises(TrainingError, match="was trained with other"):
        train(uninterrupted[0].out, resume=True, seed=5)


def test_a_broken_checkpoint_is_named(tmp_path):
    out = tmp_path / "w.safetensors"
    checkpoint_folder(out).mkdir()
    (checkpoint_folder(out) / "state.pt").write_bytes(b"half")
    with pytest.raises(TrainingError, match=r"state\.pt cannot be read"):
        train(out, resume=True)


def test_a_killed_training_resumes(tmp_path, uninterrupted):
    out = tmp_path / "w.safetensors"
    program = (
        "import sys, time, torch; torch.set_num_threads(1)\n"
        "from pathlib import Path\n"
        "from braggscope.app.engine import training\n"
        "from braggscope.app.engine.jobs import Context, Ticket\n"
        "training.CHECKPOINT_SECONDS = 0.0\n"
        f"training.train_braggnn(Path(sys.argv[1]), seed=4, steps={STEPS},"
        " context=Context(Ticket(0), lambda p: time.sleep(1.0 if p.done > 4 else 0)))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(out)], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    state = checkpoint_folder(out) / "state.pt"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not state.exists():
        time.sleep(0.02)
    time.sleep(0.3)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert state.exists()
    assert not out.exists()
    train(out, resume=True)
    finished = load_file(out)
    assert all(torch.equal(finished[name], array) for name, array in uninterrupted[1].items())


def test_cancelling_takes_less_than_a_fifth_of_a_second(tmp_path):
    ticket, started = Ticket(0), threading.Event()
    ended = []

    def run():
        context = Context(ticket, lambda p: started.set() if p.done > 2 else None)
        with pytest.raises(Cancelled):
            train(tmp_path / "w.safetensors", steps=100_000, context=context)
        ended.append(time.monotonic())

    worker = threading.Thread(target=run)
    worker.start()
    assert started.wait(30)
    asked = time.monotonic()
    ticket.cancel()
    worker.join(5)
    assert ended[0] - asked < 1.0


def test_minutes_become_steps(tmp_path):
    start = time.monotonic()
    report = train(tmp_path / "w.safetensors", steps=None, minutes=0.02)
    assert report.steps >= 1
    assert time.monotonic() - start < 20
    with pytest.raises(TrainingError, match="positive time"):
        train(tmp_path / "w.safetensors", steps=None, minutes=0)


# --- measured peaks ------------------------------------------------------------------------------------


def write_peaks(path, *, frame_count=6, per_frame=16, **replaced):
    """Frames of clean Gaussian peaks with their positions, in the published format."""
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:64, :64]
    images, found = [], []
    for frame in range(frame_count):
        image = rng.normal(10, 0.5, (64, 64))
        for number in range(per_frame):
            row, col = 8 + 16 * (number // 4) + rng.uniform(-2, 2), 8 + 16 * (number % 4) + rng.uniform(-2, 2)
            image += 100 * np.exp(-((xx - col) ** 2 + (yy - row) ** 2) / (2 * 1.3**2))
            found.append((frame, row, col))
        images.append(image)
    table = np.array(found)
    content = {
        "frames": np.array(images, np.float32),
        "peak_fidx": table[:, 0].astype(np.int64),
        "peak_row": table[:, 1],
        "peak_col": table[:, 2],
        "npeaks": np.ones(len(table), np.int64),
        "deviations": np.full(len(table), 0.1),
        **replaced,
    }
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            if values is not None:
                file[name] = values
    return path


def test_fine_tuning_repairs_a_base_on_measured_peaks(tmp_path):
    """Weights that are a third of a pixel off are put right by peaks whose positions are known."""
    state, _ = load_weights("braggnn")
    state["dense_layers.8.bias"] = state["dense_layers.8.bias"] + 0.03
    base = tmp_path / "off.safetensors"
    save_file(state, base, {"axis_order": "xy"})
    data = write_peaks(tmp_path / "peaks.h5")
    report = train(tmp_path / "w.safetensors", data=data, base=base, steps=60)
    assert report.held_out == 16  # one of six frames
    assert report.before_px[0] > 0.3
    assert report.after_px[0] < report.before_px[0] / 2
    assert report.improved


def test_measured_peaks_alone_start_from_the_shipped_weights(tmp_path):
    report = train(tmp_path / "w.safetensors", data=write_peaks(tmp_path / "peaks.h5"), steps=1)
    assert report.before_px[0] < 0.1


def test_worse_weights_are_not_written(tmp_path, monkeypatch):
    from braggscope.app.engine import recipes

    monkeypatch.setattr(recipes, "FINE_TUNE_RATE", 0.3)  # ruins any network
    data = write_peaks(tmp_path / "peaks.h5")
    report = train(tmp_path / "w.safetensors", data=data, steps=5)
    assert not report.improved
    assert report.after_px[0] > report.before_px[0]
    shipped, _ = load_weights("braggnn")
    written = load_file(report.out)
    assert all(torch.equal(written[name], array) for name, array in shipped.items())


def test_a_base_with_rows_first_is_turned_round(tmp_path):
    network = swap_axes(build_braggnn(load_weights("braggnn")[0]))
    base = tmp_path / "rows-first.safetensors"
    save_file(network.state_dict(), base)
    assert detect_axis_order(network) == "yx"
    report = train(tmp_path / "w.safetensors", base=base, steps=2)
    assert report.before_px[0] < 0.3
    assert detect_axis_order(build_braggnn(load_file(report.out))) == "xy"


def test_frames_may_lie_in_a_file_beside(tmp_path):
    data = write_peaks(tmp_path / "peaks-psz11.hdf5")
    with h5py.File(data, "r+") as file, h5py.File(tmp_path / "frames-exp.hdf5", "w") as other:
        other["frames"] = file["frames"][()]
        del file["frames"]
    assert train(tmp_path / "w.safetensors", data=data, steps=1).held_out == 16


@pytest.mark.parametrize(
    ("replaced", "says"),
    [
        ({"peak_row": None, "peak_col": None}, "lacks the datasets peak_row, peak_col"),
        ({"frames": None}, "no dataset 'frames'"),
        ({"peak_row": np.zeros(3)}, "lists of one length"),
        ({"peak_fidx": np.full(96, 9)}, "lies outside"),
        ({"peak_col": np.full(96, 64.2)}, "lies outside"),
        ({"frames": np.zeros((64, 64))}, "must be a stack"),
        ({"frames": np.zeros((6, 64, 64))}, "0 usable peaks"),
        ({"npeaks": np.full(96, 2)}, "0 usable peaks"),
        ({"deviations": np.full(96, 1.5)}, "0 usable peaks"),
    ],
)
def test_bad_data_is_refused_in_one_sentence(tmp_path, replaced, says):
    data = write_peaks(tmp_path / "peaks.h5", **replaced)
    with pytest.raises(TrainingError, match=says) as caught:
        train(tmp_path / "w.safetensors", data=data)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "w.safetensors").exists()


def test_files_that_are_not_there_or_no_hdf5(tmp_path):
    with pytest.raises(TrainingError, match="There is no file"):
        train(tmp_path / "w.safetensors", data=tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(TrainingError, match="not a readable HDF5"):
        train(tmp_path / "w.safetensors", data=tmp_path / "text.h5")
    with pytest.raises(TrainingError, match="cannot be written"):
        train(tmp_path / "text.h5" / "w.safetensors", steps=1)

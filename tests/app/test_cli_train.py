"""Training on a series from the command line: what is said, what is written, how it ends."""

import h5py
import numpy as np
import pytest

from braggscope.app.engine import finetune
from braggscope.app.engine.checkpoint import checkpoint_folder
from braggscope.app.engine.jobs import Cancelled
from braggscope.app.engine.measured import is_published
from braggscope.app.engine.tuned import read_tuned, unfinished
from braggscope.models.tuning import Verdict

SPOTS, SIDE = 6, 120


@pytest.fixture(scope="module")
def spots(tmp_path_factory):
    """Twelve frames of 36 Gaussian spots."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    frames = np.full((12, SIDE, SIDE), 30.0)
    for frame in frames:
        for k in range(SPOTS**2):
            cx, cy = np.array([k % SPOTS, k // SPOTS]) * 20 + 10 + random.uniform(-0.5, 0.5, 2)
            frame += 500 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.5**2))
    path = tmp_path_factory.mktemp("spots") / "spots.h5"
    with h5py.File(path, "w") as file:
        file["/entry/data/data"] = random.poisson(frames).astype(np.uint16)
    return path


@pytest.fixture
def one_step(monkeypatch):
    """However many minutes are asked for, one step is done."""
    monkeypatch.setattr(finetune, "steps_for", lambda *_: 1)


@pytest.fixture
def accepted(one_step, monkeypatch):
    """Whatever comes out is called better."""
    monkeypatch.setattr(finetune, "judge", lambda *_: Verdict(True, "Better."))


def test_accepted_weights_are_written_and_their_errors_said(run, spots, tmp_path, accepted):
    out = tmp_path / "w.safetensors"
    code, stdout, err = run("train", "braggnn", "-o", out, "--data", spots, "--minutes", "0.2")
    assert code == 0
    assert stdout == ""
    assert "Thresholds: minval" in err
    said = err.splitlines()[-1]
    assert said.startswith(f"{out}: 1 steps on ")
    assert "of 12 frames" in said
    assert "held-out frames" in said
    tuned = read_tuned(out)
    assert tuned.job.minutes == 0.2
    assert tuned.basis.frames == 12
    assert run("train", "braggnn", "-o", out, "--data", spots, "--minutes", "0.2", "--resume")[0] == 0


def test_a_refusal_is_one_sentence_and_code_1(run, spots, tmp_path, one_step):
    words = ["--data", f"{spots}::/entry/data/data", "--minval", "80", "--minscore", "200"]
    code, stdout, err = run("train", "braggnn", "-o", tmp_path / "w.safetensors", *words)
    assert code == 1
    assert stdout == ""
    (said,) = err.splitlines()
    assert said.startswith("Refused: ")
    assert said.endswith(".")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_training_goes_on(run, spots, tmp_path, accepted, monkeypatch):
    out = tmp_path / "w.safetensors"
    words = ["train", "braggnn", "-o", out, "--data", spots, "--minval", "80", "--minscore", "200"]

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finetune, "_look", interrupt)
        code, _, err = run(*words)
    assert code == 130
    assert "--resume goes on" in err
    assert not out.exists()
    assert checkpoint_folder(out).exists()
    assert [job.out for job in unfinished(tmp_path)] == [out]
    assert run(*words, "--resume")[0] == 0
    assert out.exists()
    assert not checkpoint_folder(out).exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--minval", "60000", "--minscore", "1"), "There is no peak in 12 frames"),
        (("--minval", "80", "--minscore", "560"), "have a fit to learn from"),
        (("--minutes", "0"), "positive time"),
        (("--base", "nothing.safetensors"), "is not there"),
    ],
)
def test_what_cannot_be_learned_from_is_said(fails, spots, tmp_path, words, sentence):
    assert sentence in fails("train", "braggnn", "-o", tmp_path / "w.safetensors", "--data", spots, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_series_that_is_missing_is_named(fails, tmp_path):
    said = fails("train", "braggnn", "-o", tmp_path / "w.safetensors", "--data", tmp_path / "no.h5")
    assert "no.h5" in said


def test_the_series_is_not_replaced(fails, spots, tmp_path):
    series = tmp_path / "series.safetensors"
    series.write_bytes(spots.read_bytes())
    assert "read here" in fails("train", "braggnn", "-o", series, "--data", series)


def test_thresholds_belong_to_a_series(fails, tmp_path):
    said = fails("train", "braggnn", "-o", tmp_path / "w.safetensors", "--minval", "3")
    assert "--minval belongs to training on a series" in said


def test_the_published_format_is_told_from_a_series_by_content(fails, spots, tmp_path):
    assert not is_published(str(spots))
    assert not is_published(f"{spots}::/entry/data/data")
    assert not is_published(str(tmp_path))
    published = tmp_path / "peaks.dat"
    with h5py.File(published, "w") as file:
        file["peak_fidx"] = np.zeros(3, int)
    assert is_published(str(published))
    out = tmp_path / "w.safetensors"
    assert "lacks the datasets" in fails("train", "braggnn", "-o", out, "--data", published)


def test_cancelled_is_no_result(spots, tmp_path, one_step):
    from braggscope.app.engine.jobs import Context, Ticket
    from braggscope.app.engine.tuned import FineTuning
    from braggscope.models.parameters import Parameters

    ticket = Ticket(0)
    ticket.cancel()
    job = FineTuning(
        str(spots), Parameters().with_detect(minval=80, minscore=200), tmp_path / "w.safetensors"
    )
    with pytest.raises(Cancelled):
        finetune.fine_tune(job, context=Context(ticket, lambda _: None))
    assert list(tmp_path.iterdir()) == []

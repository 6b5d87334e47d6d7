"""What the Coherent workspace computes behind the window."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from braggscope.app.engine.cdi import Stack, phase_stack
from braggscope.app.engine.coherent_geometry import geometry_note, known_geometry, rocking_step, step_problem
from braggscope.app.engine.coherent_live import PERIOD_S, SHARE, Glimpse, LiveContext
from braggscope.app.engine.coherent_look import frame_for, geometry_of, look_at
from braggscope.app.engine.coherent_parameters import fresh, preparation_key
from braggscope.app.engine.coherent_results import as_phased, candidates, extent
from braggscope.app.engine.coherent_views import frames_of, particle_of, scene
from braggscope.app.engine.coherent_volume import prepared
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.sources.protocol import SourceInfo
from braggscope.models.cdi.average import ensemble
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.geometry import BraggGeometry, scattering_vector
from braggscope.models.cdi.metrics import Transfer
from braggscope.models.cdi.outcome import Live, Outcome
from braggscope.models.cdi.parameters import Phasing, Stroke
from braggscope.models.cdi.scene import Clip

SPEC = CoherentSpec(seed=5, shape=(32, 32, 32), peak_counts=1e5)
QUICK = Phasing(coarse_iterations="30*RAAR+10*ER", iterations="20*RAAR+10*ER", refinement=10)
ANGLES = BraggGeometry(
    energy_keV=9, distance_m=1, pixel_um=(55, 55), delta_deg=20, gamma_deg=15, step_deg=0.02
)


@pytest.fixture(scope="module")
def crystal():
    return grow(SPEC)


@pytest.fixture(scope="module")
def stack(crystal):
    counts = measure(crystal, SPEC).counts
    return Stack(counts, np.zeros(counts.shape, bool), "scan.npy", "identity")


@pytest.fixture(scope="module")
def phased(stack):
    return phase_stack(stack, QUICK.model_copy(update={"starts": 3, "runs": 2}), silent_context())


def info(**changes):
    values = {"location": "scan.h5", "format": "HDF5", "frames": 32, "shape": (32, 32), "dtype": "float32",
              "identity": "identity"}  # fmt: skip
    return SourceInfo(**{**values, **changes})


# ---- live ----


def live(k, total=10_000):
    obj = np.full((64, 48, 40), 1 + 1j, np.complex64)
    return Live(k, total, "run 1, RAAR", 0.5 / k, obj, np.ones(obj.shape, bool), 0.7 / k)


def test_glimpses_are_few_small_and_lose_no_point():
    seen = []
    context = LiveContext(Context(Ticket(0), seen.append))
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.7:
        k = len(seen) + 1
        for _ in range(20):
            context.progress(k, 10_000, "run 1, RAAR, chi 0.1", live(k))
    context.progress(10_000, 10_000, "done", live(10_000))
    assert 2 <= len(seen) <= 0.7 / PERIOD_S + 2
    shown = seen[0].payload
    assert isinstance(shown, Glimpse)
    assert max(shown.modulus.index.shape) <= 40
    assert shown.points[0].stage == "run 1"
    assert sum(len(progress.payload.points) for progress in seen) % 20 == 1
    assert pytest.approx(0.7) == shown.points[0].R


def test_making_glimpses_takes_its_share_at_most(monkeypatch):
    seen, spent = [], [0.0]
    context = LiveContext(Context(Ticket(0), seen.append))
    original = context._glimpse

    def slow(payload):
        start = time.perf_counter()
        time.sleep(0.02)
        made = original(payload)
        spent[0] += time.perf_counter() - start
        return made

    monkeypatch.setattr(context, "_glimpse", slow)
    begin, state = time.perf_counter(), live(1)
    while time.perf_counter() - begin < 2.2:
        context.progress(1, 10_000, "", state)
        time.sleep(0.002)
    assert 2 <= len(seen) <= 4
    assert spent[0] <= 2.2 * SHARE + 0.06


def test_a_cancelled_job_ends_in_the_next_call():
    ticket = Ticket(0)
    context = LiveContext(Context(ticket, lambda _: None))
    context.progress(1, 10)
    ticket.cancel()
    for call in (lambda: context.progress(2, 10), context.check):
        with pytest.raises(Cancelled):
            call()
    assert context.cancelled.is_set()


# ---- views ----


def test_orthogonal_voxels_give_size_displacement_and_strain_of_the_truth(crystal):
    known = Phasing(voxel_nm=tuple(crystal.voxel_nm), q_inv_angstrom=tuple(crystal.q_inv_angstrom))
    particle = particle_of(crystal.obj, crystal.support, known)
    sign = -1 if particle.twin else 1
    inner = np.isfinite(particle.strain.strain) & ~particle.strain.surface
    truth = crystal.strain[crystal.support]
    assert particle.strain.strain[inner].std() == pytest.approx(truth.std(), rel=0.6)
    assert sign in (-1, 1)
    sides = [np.ptp(axis) + 1 for axis in np.nonzero(crystal.support)]
    np.testing.assert_allclose(extent(particle), np.array(sides) * crystal.voxel_nm, rtol=1e-6)
    assert set(particle.layers) == {"modulus", "phase", "displacement", "strain"}


@pytest.mark.parametrize("frame", ["laboratory", "crystal", "measured"])
def test_angles_give_every_frame(crystal, frame):
    parameters = Phasing(geometry=ANGLES)
    particle = particle_of(crystal.obj, crystal.support, parameters, frame)
    assert frames_of(parameters) == ("laboratory", "crystal", "measured")
    if frame == "measured":
        assert particle.strain is None
        return
    assert len(set(particle.voxel_nm)) == 1
    length = np.linalg.norm(scattering_vector(ANGLES))
    assert np.linalg.norm(particle.q_inv_angstrom) == pytest.approx(length)
    if frame == "crystal":
        assert particle.q_inv_angstrom[0] == pytest.approx(length)
    assert np.isfinite(particle.strain.strain[particle.support & ~particle.strain.surface]).all()


def test_a_frame_without_geometry_is_refused_or_gives_way(crystal):
    with pytest.raises(ValueError, match="needs the geometry"):
        particle_of(crystal.obj, crystal.support, Phasing(), "crystal")
    assert frame_for(Phasing(), "crystal") == "measured"
    assert frame_for(Phasing(geometry=ANGLES), "crystal") == "crystal"


def test_surfaces_are_cut_and_coloured(crystal):
    particle = particle_of(crystal.obj, crystal.support, Phasing())
    whole, cut = scene(particle, "phase"), scene(particle, "phase", clip=Clip(2, 0.4))
    assert np.ptp(cut.vertices[:, 0]) < 0.6 * np.ptp(whole.vertices[:, 0])
    assert cut.radius == whole.radius  # the eye stays where it is
    grey = scene(particle, "modulus")
    assert len(np.unique(grey.colours, axis=0)) == 1


# ---- results ----


def test_candidates_are_ranked_with_their_spread(phased):
    rows = candidates(phased)
    assert [row.free for row in rows] == sorted((row.free for row in rows), reverse=True)
    assert rows[0].spread == 0
    assert 0 < rows[1].spread < 2
    assert math.isfinite(rows[0].chi_model)
    assert math.isnan(rows[1].chi_model)
    assert rows[0].obj is phased.outcome.refined.obj


def test_a_look_says_what_is_known(phased):
    row = candidates(phased)[0]
    plain = look_at(row, QUICK, "measured", "strain")
    said = dict(plain.facts)
    assert said["Voxel z, y, x"] == "unknown"
    assert not len(plain.counts)
    assert plain.twin.endswith(".")
    typed = QUICK.model_copy(update={"voxel_nm": (6.0, 7.0, 8.0), "q_inv_angstrom": (0.0, 0.0, 2.6)})
    known = look_at(row, typed, "measured", "strain")
    assert dict(known.facts)["Voxel z, y, x"] == "6 × 7 × 8 nm"
    assert known.counts.sum() > 100
    assert known.resolution.endswith("nm")


def test_another_start_can_be_written_as_the_result(phased):
    second = candidates(phased)[1]
    made = as_phased(second, geometry_of(second, QUICK))
    assert made.outcome.best.obj is second.obj
    assert made.outcome.refined is None
    assert len(made.outcome.runs) == 2
    first = candidates(phased)[0]
    assert as_phased(first, geometry_of(first, QUICK)).outcome.refined is phased.outcome.refined


def test_a_run_that_was_left_out_is_shown_and_written_without_the_others_spread(phased):
    runs = phased.outcome.runs
    alien = replace(
        runs[1], obj=np.roll(runs[1].obj, 7, 2)[::-1] * np.exp(1j * np.indices((32,) * 3)[2] ** 2)
    )
    curve = Transfer(np.linspace(0, 0.5, 8), np.ones(8), 4.0, True)
    group = ensemble([runs[0].obj, runs[0].obj, alien.obj])
    assert group.kept == (0, 1)
    outcome = Outcome([runs[0], runs[0], alien], phased.outcome.refined)
    mixed = replace(phased, outcome=outcome, spread=group, transfer=curve)
    first, _, last = candidates(mixed)
    told = dict(look_at(first, QUICK, "measured", "strain").facts)
    assert told["Averaged"] == "2 of 3 runs"
    assert "Resolution at 1/e" in told
    alone = look_at(last, QUICK, "measured", "strain")
    assert dict(alone.facts)["Averaged"] == "no, the runs are too unlike"
    assert "Resolution at 1/e" not in dict(alone.facts)
    assert alone.resolution == ""
    made = as_phased(last, geometry_of(last, QUICK))
    assert (made.spread, made.transfer) == (None, None)
    assert as_phased(first, geometry_of(first, QUICK)).spread is group


# ---- volume ----


def test_what_cannot_be_prepared_is_still_shown(stack):
    flat = Stack(np.ones((16, 16, 16), np.float32), np.zeros((16, 16, 16), bool), "flat.npy", "flat")
    volume = prepared(flat, (None, None, None), info(), Phasing())
    assert volume.pattern is None
    assert "no Bragg peak" in volume.problem
    assert volume.layer.index.shape == (16, 16, 16)
    good = prepared(stack, (None, None, None), info(), Phasing())
    assert good.problem == ""
    assert good.key != volume.key


def test_strokes_on_the_screen_are_strokes_on_the_stack(stack):
    moved = np.pad(stack.values, ((0, 0), (8, 0), (0, 6)))
    wide = Stack(moved, np.zeros(moved.shape, bool), "wide.npy", "wide")
    volume = prepared(wide, (None, None, None), info(), Phasing(crop=32))
    top = np.unravel_index(volume.pattern.amplitude.argmax(), (32, 32, 32))
    stroke = volume.strokes((tuple(int(k) for k in top),), 1.5, False)
    assert stroke.places[0] == tuple(int(k) for k in np.unravel_index(moved.argmax(), moved.shape))
    assert stroke.radius == 1.5


def test_keys_follow_what_decides_the_pattern_only():
    stroke = Stroke(places=((1, 1, 1),), radius=1)
    base = preparation_key(Phasing())
    assert preparation_key(Phasing(seed=3, iterations="5*ER")) == base
    assert preparation_key(Phasing(brushed=(stroke,))) != base
    kept = fresh(Phasing(seed=3, brushed=(stroke,), crop=32, input="amplitude", geometry=ANGLES))
    assert kept == Phasing(seed=3)


def test_the_geometry_of_a_file_is_found_and_compared():
    axes = {"omega_deg": 10 - 0.02 * np.arange(32), "time_s": np.arange(32.0)}
    quantities = {
        "wavelength_angstrom": 1.5,
        "distance_m": 0.8,
        "pixel_size_x_m": 75e-6,
        "pixel_size_y_m": 55e-6,
    }
    known = known_geometry(info(axes=axes, quantities=quantities))
    assert known == pytest.approx(
        {"energy_keV": 8.2656, "distance_m": 0.8, "pixel_row": 55, "pixel_column": 75, "step_deg": -0.02},
        rel=1e-4,
    )
    assert "wrong sign" in step_problem(info(axes=axes), ANGLES)
    right = ANGLES.model_copy(update={"step_deg": -0.02})
    assert step_problem(info(axes=axes), right) == ""
    assert step_problem(info(axes=axes), right.model_copy(update={"step_deg": -0.04}), 2) == ""
    assert "does not agree" in step_problem(info(axes=axes), right.model_copy(update={"step_deg": -0.03}))
    assert rocking_step(info(axes={"theta_rad": np.deg2rad(0.1 * np.arange(8))})) == pytest.approx(0.1)
    assert rocking_step(info(axes={"theta_deg": np.array([0, 1, 5, 5.0])})) is None
    assert step_problem(info(), ANGLES) == ""


def test_the_note_says_what_follows_from_the_angles(stack):
    assert geometry_note(None, Phasing()) == ""
    parameters = Phasing(geometry=ANGLES)
    assert geometry_note(None, parameters).startswith("|Q| = 1.95")
    volume = prepared(stack, (None, None, None), info(), parameters)
    assert "cubes of" in geometry_note(volume, parameters)

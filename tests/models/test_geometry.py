"""Directions of pixels: Bragg's law, other views of the same geometry, errors, incomplete metadata."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from braggscope.models.geometry import (
    HC_KEV_ANGSTROM,
    Beam,
    Instrument,
    directions,
    q_of,
    rotation_angles,
    two_theta_of,
)

STRAIGHT = Instrument.from_beam(1.5, (1e-4, 1e-4), Beam((100.0, 50.0), 0.5))
angles = st.floats(-0.7, 0.7)
instruments = st.builds(
    lambda wavelength, distance, sizes, poni, rot: Instrument(
        wavelength_angstrom=wavelength, distance_m=distance, pixel_size_m=sizes, poni_m=poni, rot_rad=rot
    ),
    st.floats(0.05, 3),
    st.floats(0.02, 3),
    st.tuples(st.floats(2e-5, 3e-4), st.floats(2e-5, 3e-4)),
    st.tuples(st.floats(-0.1, 0.3), st.floats(-0.1, 0.3)),
    st.tuples(angles, angles, st.floats(-3, 3)),
)
pixels = st.floats(-10, 3000)


def test_beam_centre_is_forward_direction():
    found = directions(STRAIGHT, 100.0, 50.0)
    assert found.two_theta == pytest.approx(0, abs=1e-15)
    assert found.q_inv_angstrom == pytest.approx(0, abs=1e-14)
    assert found.d_angstrom > 1e13
    assert STRAIGHT.energy_keV == pytest.approx(HC_KEV_ANGSTROM / 1.5)


def test_forty_five_degrees_and_the_sense_of_the_azimuth():
    assert STRAIGHT.two_theta(5100.0, 50.0) == pytest.approx(math.pi / 4)
    assert STRAIGHT.d_angstrom(5100.0, 50.0) == pytest.approx(1.5 / (2 * math.sin(math.pi / 8)))
    assert STRAIGHT.azimuth([200.0, 100.0, 0.0], [50.0, 150.0, 50.0]) == pytest.approx(
        [0, math.pi / 2, math.pi]
    )


@given(instruments, pixels, pixels)
def test_bragg_law_and_scattering_vector(instrument, x, y):
    q = float(instrument.q_inv_angstrom(x, y))
    vector = instrument.scattering_vector(x, y)
    assert np.linalg.norm(vector) == pytest.approx(q, rel=1e-6, abs=1e-9)
    if q > 1e-6:
        spacing, angle = instrument.d_angstrom(x, y), instrument.two_theta(x, y)
        assert 2 * spacing * math.sin(angle / 2) == pytest.approx(instrument.wavelength_angstrom)
        assert q_of(
            two_theta_of(spacing, instrument.wavelength_angstrom), instrument.wavelength_angstrom
        ) == (pytest.approx(q, rel=1e-6))


@given(instruments)
def test_the_view_from_the_beam_is_the_same_geometry(instrument):
    beam = instrument.beam
    assert beam is not None
    assert instrument.two_theta(*beam.centre_px) == pytest.approx(0, abs=1e-7)
    assert np.linalg.norm(instrument.position_m(*beam.centre_px)) == pytest.approx(beam.distance_m)
    again = Instrument.from_beam(instrument.wavelength_angstrom, instrument.pixel_size_m, beam)
    assert again.rotation() == pytest.approx(instrument.rotation(), abs=1e-7)
    assert again.poni_m == pytest.approx(instrument.poni_m, abs=1e-7 * beam.distance_m)


@given(st.tuples(st.floats(-3, 3), st.floats(-1.5, 1.5), st.floats(-3, 3)))
def test_angles_of_a_rotation(rot):
    turned = STRAIGHT.model_copy(update={"rot_rad": rot})
    assert rotation_angles(turned.rotation()) == pytest.approx(rot, abs=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_angles_where_two_axes_fall_together(sign):
    rotation = STRAIGHT.model_copy(update={"rot_rad": (0.3, sign * math.pi / 2, 0.4)}).rotation()
    again = STRAIGHT.model_copy(update={"rot_rad": rotation_angles(rotation)})
    assert again.rotation() == pytest.approx(rotation, abs=1e-9)


@given(instruments, pixels, pixels)
def test_pixel_of_a_direction_is_the_way_back(instrument, x, y):
    there = instrument.position_m(x, y)
    assert instrument.pixel_of(there / np.linalg.norm(there)) == pytest.approx((x, y), abs=1e-5)
    assert np.isnan(instrument.pixel_of(-there)).all()


@given(instruments, pixels, pixels)
def test_jacobians_are_derivatives(instrument, x, y):
    step = 1e-3
    if instrument.two_theta(x, y) < 0.02:
        return
    radial, around = instrument.jacobians(x, y)
    for i, (dx, dy) in enumerate(((step, 0), (0, step))):
        ends = (x + dx, y + dy), (x - dx, y - dy)
        change = instrument.two_theta(*ends[0]) - instrument.two_theta(*ends[1])
        assert radial[i] == pytest.approx(change / 2 / step, rel=1e-4, abs=1e-9)
        turn = instrument.azimuth(*ends[0]) - instrument.azimuth(*ends[1])
        turn = math.remainder(float(turn), 2 * math.pi)
        assert around[i] == pytest.approx(turn / 2 / step, rel=1e-4, abs=1e-7)


def test_errors_are_the_scatter_of_noisy_positions():
    instrument = STRAIGHT.model_copy(update={"rot_rad": (0.1, -0.2, 0.3)})
    random = np.random.default_rng(3)
    covariance = np.array([[0.04, 0.025], [0.025, 0.09]])
    x, y = random.multivariate_normal([900, 700], covariance, 40_000).T
    found = directions(instrument, 900.0, 700.0, 0.2, 0.3, 0.025)
    for value, error in (
        (instrument.two_theta(x, y), found.two_theta_err),
        (instrument.azimuth(x, y), found.azimuth_err),
        (instrument.q_inv_angstrom(x, y), found.q_err),
        (instrument.d_angstrom(x, y), found.d_err),
    ):
        assert error == pytest.approx(np.std(value), rel=0.02)
    without = directions(instrument, 900.0, 700.0, 0.2, 0.3, np.nan)
    assert without.d_err == directions(instrument, 900.0, 700.0, 0.2, 0.3).d_err


def test_wavelength_from_energy_and_incomplete_metadata():
    full = {
        "energy_keV": 10.0,
        "distance_m": 0.2,
        "pixel_size_x_m": 75e-6,
        "beam_x_px": 3.0,
        "beam_y_px": 4.0,
    }
    instrument = Instrument.from_quantities(full)
    assert instrument is not None
    assert instrument.wavelength_angstrom == pytest.approx(HC_KEV_ANGSTROM / 10)
    assert instrument.pixel_size_m == (75e-6, 75e-6)
    assert instrument.beam is not None
    assert instrument.beam.centre_px == pytest.approx((3.0, 4.0))
    for name in full:
        assert Instrument.from_quantities({k: v for k, v in full.items() if k != name}) is None
    assert Instrument.from_quantities({**full, "distance_m": 0.0}) is None


def test_what_is_no_instrument():
    with pytest.raises(ValidationError):
        Instrument(wavelength_angstrom=0, distance_m=1, pixel_size_m=(1e-4, 1e-4), poni_m=(0, 0))
    with pytest.raises(ValueError, match="tilt"):
        Instrument.from_beam(1, (1e-4, 1e-4), Beam((0, 0), 1, math.pi / 2))
    beside = STRAIGHT.model_copy(update={"rot_rad": (math.pi / 2 + 0.1, 0.0, 0.0)})
    assert beside.beam is None
    assert np.isnan(two_theta_of(0.5, 1.5))

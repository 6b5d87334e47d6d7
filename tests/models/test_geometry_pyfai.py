"""The same numbers as pyFAI, which counts positions from the corner of the first pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.geometry import Instrument

pytest.importorskip("pyFAI", reason="pyFAI is not installed")
from pyFAI.detectors import Detector
from pyFAI.geometry import Geometry

SHAPE = (1000, 900)
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.uniform(0, 899, 40), RANDOM.uniform(0, 999, 40)


def as_pyfai(instrument: Instrument) -> Geometry:
    detector = Detector(instrument.pixel_size_m[1], instrument.pixel_size_m[0], max_shape=SHAPE)
    return Geometry(
        instrument.distance_m,
        instrument.poni_m[1],
        instrument.poni_m[0],
        *instrument.rot_rad,
        detector=detector,
        wavelength=instrument.wavelength_angstrom * 1e-10,
    )


instruments = st.builds(
    lambda wavelength, distance, sizes, poni, rot: Instrument(
        wavelength_angstrom=wavelength, distance_m=distance, pixel_size_m=sizes, poni_m=poni, rot_rad=rot
    ),
    st.floats(0.1, 2),
    st.floats(0.05, 2),
    st.tuples(st.floats(5e-5, 2e-4), st.floats(5e-5, 2e-4)),
    st.tuples(st.floats(-0.05, 0.15), st.floats(-0.05, 0.15)),
    st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6), st.floats(-3, 3)),
)


@given(instruments)
def test_two_theta_azimuth_q(instrument):
    theirs = as_pyfai(instrument)
    assert instrument.two_theta(X, Y) == pytest.approx(theirs.tth(Y, X), rel=1e-6)
    assert instrument.q_inv_angstrom(X, Y) == pytest.approx(theirs.qFunction(Y, X) / 10, rel=1e-6)
    turn = np.exp(1j * (instrument.azimuth(X, Y) - theirs.chi(Y, X)))
    assert np.abs(np.angle(turn)).max() < 1e-6
    along, down, across = theirs.calc_pos_zyx(d1=Y, d2=X)
    assert instrument.position_m(X, Y) == pytest.approx(
        np.stack([across, down, along], -1), rel=1e-6, abs=1e-9
    )


@given(instruments)
def test_beam_centre_and_tilt_are_those_of_fit2d(instrument):
    theirs, beam = as_pyfai(instrument).getFit2D(), instrument.beam
    assert beam is not None
    assert beam.distance_m * 1e3 == pytest.approx(theirs["directDist"], rel=1e-6)
    assert np.degrees(beam.tilt) == pytest.approx(theirs["tilt"], abs=1e-4)
    scale = beam.distance_m / min(instrument.pixel_size_m)
    centre = np.array([theirs["centerX"], theirs["centerY"]]) - 0.5  # corners to centres
    assert np.abs(np.array(beam.centre_px) - centre).max() < 1e-6 * scale
    if beam.tilt > 1e-3:
        turn = beam.tilt_direction - np.radians(theirs["tiltPlanRotation"])
        assert abs(np.angle(np.exp(1j * turn))) < 1e-4


def test_a_pixel_centre_is_half_a_pixel_from_the_corner():
    instrument = Instrument(
        wavelength_angstrom=1, distance_m=0.1, pixel_size_m=(1e-4, 2e-4), poni_m=(0.5e-4, 1e-4)
    )
    assert instrument.beam is not None
    assert instrument.beam.centre_px == pytest.approx((0, 0), abs=1e-12)
    assert as_pyfai(instrument).tth(np.zeros(1), np.zeros(1))[0] == pytest.approx(0, abs=1e-12)

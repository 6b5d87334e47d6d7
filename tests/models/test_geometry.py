import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.geometry import HC_KEV_ANGSTROM, Geometry

GEOMETRY = Geometry((100.0, 50.0), 0.5, (1e-4, 1e-4), 1.5)


def test_beam_centre_is_forward_direction():
    direction = GEOMETRY.direction(100.0, 50.0)
    assert direction.two_theta == 0
    assert direction.q_inv_angstrom == 0
    assert direction.d_angstrom == math.inf


def test_forty_five_degrees():
    direction = GEOMETRY.direction(100.0 + 5000, 50.0)
    assert direction.two_theta == pytest.approx(math.pi / 4)
    assert direction.d_angstrom == pytest.approx(1.5 / (2 * math.sin(math.pi / 8)))


@given(st.floats(-5000, 5000), st.floats(-5000, 5000))
def test_bragg_law_holds_everywhere(dx, dy):
    direction = GEOMETRY.direction(100 + dx, 50 + dy)
    if direction.q_inv_angstrom > 1e-9:
        assert 2 * direction.d_angstrom * math.sin(direction.two_theta / 2) == pytest.approx(1.5)


def test_wavelength_from_energy_and_incomplete_metadata():
    full = {
        "energy_keV": 10.0,
        "distance_m": 0.2,
        "pixel_size_x_m": 75e-6,
        "beam_x_px": 3.0,
        "beam_y_px": 4.0,
    }
    geometry = Geometry.from_quantities(full)
    assert geometry is not None
    assert geometry.wavelength_angstrom == pytest.approx(HC_KEV_ANGSTROM / 10)
    assert geometry.pixel_size_m == (75e-6, 75e-6)
    for name in full:
        assert Geometry.from_quantities({k: v for k, v in full.items() if k != name}) is None
    assert Geometry.from_quantities({**full, "distance_m": 0.0}) is None

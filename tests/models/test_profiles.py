import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models import profiles

widths = st.floats(0.5, 10.0)
angles = st.floats(-1.5, 1.5)


def test_fwhm_is_the_full_width_at_half_the_height() -> None:
    for eta in (0.0, 0.3, 1.0):
        row = profiles.peak((1, 21), 10.0, 0.0, 8.0, 6.0, eta=eta)[0]
        assert row[10] == pytest.approx(8.0)
        assert row[[7, 13]] == pytest.approx([4.0, 4.0])


def test_sigma_and_fwhm_are_inverse() -> None:
    assert float(profiles.sigma_from_fwhm(profiles.fwhm_from_sigma(1.7))) == pytest.approx(1.7)
    assert float(profiles.fwhm_from_sigma(1.0)) == pytest.approx(2.3548200450309493)


@given(widths, st.floats(1.05, 4.0), angles)
def test_axes_survive_the_quadratic_form(minor: float, ratio: float, angle: float) -> None:
    major, small, turned = profiles.axes_from_form(*profiles.form_from_axes(minor * ratio, minor, angle))
    assert float(major) == pytest.approx(minor * ratio, rel=1e-9)
    assert float(small) == pytest.approx(minor, rel=1e-9)
    assert float(turned) == pytest.approx(angle, abs=1e-6)


def test_the_angle_runs_from_x_towards_y() -> None:
    image = profiles.peak((21, 21), 10, 10, 1.0, 8.0, 2.0, np.pi / 4)
    assert image[13, 13] > 0.2  # down and to the right
    assert image[7, 13] < 0.01


def test_an_upright_ellipse_has_the_angle_plus_half_pi() -> None:
    for angle in (np.pi / 2, -np.pi / 2):
        _, _, turned = profiles.axes_from_form(*profiles.form_from_axes(6.0, 2.0, angle))
        assert abs(float(turned)) == pytest.approx(np.pi / 2)
    assert float(profiles.axes_from_form(1.0, -0.0, 0.5)[2]) == pytest.approx(np.pi / 2)
    assert float(profiles.axes_from_form(1.0, 0.0, 0.5)[2]) == pytest.approx(np.pi / 2)


def test_a_form_that_is_no_ellipse_is_nan() -> None:
    major, minor, angle = profiles.axes_from_form([1.0, 0.0, -1.0], [2.0, 0.0, 0.0], [1.0, 0.0, -1.0])
    assert np.isnan(major).all()
    assert np.isnan(minor).all()
    assert np.isnan(angle).all()


def test_a_pseudo_voigt_mixes_a_gaussian_and_a_lorentzian() -> None:
    q = np.linspace(0.0, 20.0, 50)
    assert profiles.profile(q, 0.0) == pytest.approx(np.exp(-q / 2))
    assert profiles.profile(q, 1.0) == pytest.approx(1 / (1 + q / (2 * np.log(2))))
    mixed = 0.25 * profiles.profile(q, 1.0) + 0.75 * profiles.profile(q, 0.0)
    assert profiles.profile(q, 0.25) == pytest.approx(mixed)

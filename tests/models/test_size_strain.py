"""Strain, size and microstrain against truth that was put in."""

import numpy as np
import pytest
from scipy.special import voigt_profile

from braggscope.models.geometry import Beam, Instrument, directions
from braggscope.models.size_strain import (
    K_INTEGRAL,
    angular_widths,
    breadth,
    scherrer,
    strain,
    voigt_fwhm,
    voigt_parts,
    weighted_mean,
    williamson_hall,
    without_instrument,
)

INSTRUMENT = Instrument.from_beam(0.5, (1e-4, 1.5e-4), Beam((500, 400), 0.3, 0.1, 0.7))


def test_strain_of_a_moved_peak_and_its_error():
    random = np.random.default_rng(0)
    x, y = 900 + random.normal(0, 0.03, 20_000), 700 + random.normal(0, 0.05, 20_000)
    reference = float(INSTRUMENT.d_angstrom(900, 700))
    found = directions(INSTRUMENT, 900.0, 700.0, 0.03, 0.05)
    epsilon = strain(INSTRUMENT.d_angstrom(x, y), found.d_err, reference, 0.0)
    assert np.mean(epsilon.value) == pytest.approx(0, abs=3 * epsilon.error.max() / np.sqrt(20_000) + 1e-8)
    assert np.std(epsilon.value) == pytest.approx(epsilon.error.mean(), rel=0.02)
    stretched = strain(2.002, 0.0003, 2.0, 0.0004)
    assert stretched.value == pytest.approx(1e-3)
    assert stretched.error == pytest.approx(np.hypot(0.00015, 0.0002), rel=2e-3)


def test_reference_from_several_frames():
    mean = weighted_mean([2.0, 2.1, np.nan, 5.0], [0.01, 0.02, 0.1, np.nan])
    assert mean.value == pytest.approx((2.0 / 1e-4 + 2.1 / 4e-4) / (1 / 1e-4 + 1 / 4e-4))
    assert mean.error > 0.01  # they disagree
    assert weighted_mean([2.0, 2.0], [0.01, 0.01]).error == pytest.approx(0.01 / np.sqrt(2))
    assert np.isnan(weighted_mean([np.nan], [1.0]).value)


def test_an_ellipse_is_projected_on_both_directions():
    straight = Instrument.from_beam(0.5, (1e-4, 1e-4), Beam((0, 0), 0.5))
    for angle in (0.3, 1.2, -0.8):  # the long axis along the radius
        x, y = 1000 * np.cos(angle), 1000 * np.sin(angle)
        radial, around = angular_widths(straight, x, y, 4.0, 2.0, angle)
        per_px = 1e-4 / 0.5 / (1 + (0.1 / 0.5) ** 2)
        assert radial == pytest.approx(4 * per_px)
        assert around == pytest.approx(2 / 1000)
        across, along = angular_widths(straight, x, y, 4.0, 2.0, angle + np.pi / 2)
        assert across == pytest.approx(2 * per_px)
        assert along == pytest.approx(4 / 1000)


def test_widths_are_those_of_positions_drawn_from_the_ellipse():
    random = np.random.default_rng(1)
    major, minor, angle = 3.0, 1.2, 0.9
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    sigma = np.array([major, minor]) / np.sqrt(8 * np.log(2))
    x, y = np.array([[800.0], [650.0]]) + axes @ (sigma[:, None] * random.normal(size=(2, 60_000)))
    radial, around = angular_widths(INSTRUMENT, 800.0, 650.0, major, minor, angle)
    to_fwhm = np.sqrt(8 * np.log(2))
    assert np.std(INSTRUMENT.two_theta(x, y)) * to_fwhm == pytest.approx(radial, rel=0.02)
    assert np.std(INSTRUMENT.azimuth(x, y)) * to_fwhm == pytest.approx(around, rel=0.02)


@pytest.mark.parametrize("gauss", [0.2, 1.0, 3.0])
def test_voigt_width_and_breadth_are_those_of_the_profile(gauss):
    lorentz = 1.0
    sigma = gauss / np.sqrt(8 * np.log(2))
    x = np.linspace(-400, 400, 800_001)
    profile = voigt_profile(x, sigma, lorentz / 2)
    half = x[profile >= profile.max() / 2]
    assert voigt_fwhm(gauss, lorentz) == pytest.approx(np.ptp(half), rel=5e-3)
    assert breadth(gauss, lorentz, "integral") == pytest.approx(1 / profile.max())
    assert breadth(gauss, lorentz) == voigt_fwhm(gauss, lorentz)


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.7, 1.0])
def test_parts_of_a_pseudo_voigt_give_its_width_back(eta):
    gauss, lorentz = voigt_parts(2.0, eta)
    assert voigt_fwhm(gauss, lorentz) == pytest.approx(2.0, rel=5e-3)
    assert (lorentz == 0) == (eta == 0)
    assert (gauss < 0.05) == (eta == 1)


def test_the_width_of_the_instrument_is_subtracted():
    assert without_instrument(5.0, 3.0) == pytest.approx((4.0, 0.0))
    gauss, lorentz = without_instrument(5.0, 3.0, 1.0, 1.0)
    assert breadth(gauss, lorentz) == pytest.approx(2.0, rel=1e-2)
    assert np.isnan(without_instrument(2.9, 3.0)).all()


def test_scherrer_gives_the_size_back():
    size, two_theta, wavelength = 250.0, 0.4, 0.5
    width = 0.9 * wavelength / (size * np.cos(two_theta / 2))
    found = scherrer(width, 0.02 * width, two_theta, wavelength)
    assert found.value == pytest.approx(size)
    assert found.error == pytest.approx(0.02 * size)


def test_williamson_hall_separates_size_and_strain_within_its_errors():
    size, micro, wavelength = 400.0, 2e-3, 0.5
    two_theta = np.array([0.16, 0.32, 0.49, 0.66])
    theta = two_theta / 2
    true = K_INTEGRAL * wavelength / (size * np.cos(theta)) + 4 * micro * np.tan(theta)
    random = np.random.default_rng(5)
    pulls = []
    for _ in range(300):
        noise = 0.02 * true
        found = williamson_hall(
            true + noise * random.normal(size=4), noise, two_theta, wavelength, K_INTEGRAL
        )
        pulls.append(
            [
                (found.size_angstrom - size) / found.size_err,
                (found.microstrain - micro) / found.microstrain_err,
            ]
        )
    spread = np.std(pulls, axis=0)  # errors of lines that scatter by chance are widened
    assert (spread > 0.65).all()
    assert (spread < 1.1).all()
    wild = true * np.array([1.2, 0.8, 1.2, 0.8])
    widened = williamson_hall(wild, 0.01 * true, two_theta, wavelength, K_INTEGRAL)
    calm = williamson_hall(true, 0.01 * true, two_theta, wavelength, K_INTEGRAL)
    assert widened.microstrain_err == pytest.approx(calm.microstrain_err * np.sqrt(widened.chi2))
    exact = williamson_hall(true, 0.01 * true, two_theta, wavelength, K_INTEGRAL)
    assert exact.size_angstrom == pytest.approx(size)
    assert exact.microstrain == pytest.approx(micro)
    assert exact.chi2 == pytest.approx(0, abs=1e-12)


def test_williamson_hall_without_size_or_orders():
    two_theta = np.array([0.2, 0.4])
    found = williamson_hall(np.array([1e-4, 9e-4]), 1e-5, two_theta, 0.5)
    assert found.size_angstrom == np.inf
    assert np.isnan(found.chi2)
    with pytest.raises(ValueError, match="two orders"):
        williamson_hall([1e-3, np.nan], 1e-5, two_theta, 0.5)
    with pytest.raises(ValueError, match="two orders"):
        williamson_hall([1e-3, 2e-3], 1e-5, [0.2, 0.2], 0.5)

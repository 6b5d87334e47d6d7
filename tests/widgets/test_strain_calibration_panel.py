"""Dock Calibration: every step is shown before it is applied."""

import numpy as np
import pytest
from strain_hands import heard, shown, type_in

from braggscope.models.disks.parameters import Strain
from braggscope.widgets.strain_calibration import CalibrationPanel


@pytest.fixture
def calibration(qtbot):
    return shown(qtbot, CalibrationPanel(), 320, 700)


@pytest.mark.parametrize("key", ["origin", "ellipse", "lattice", "pixel", "rotation"])
def test_a_step_is_shown_before_it_is_applied(calibration, key):
    said = [heard(s) for s in (calibration.requested, calibration.applied, calibration.discarded)]
    section = calibration.sections[key]
    section.set_open(True)
    ask, apply, discard = section.buttons
    assert not apply.isVisible()
    ask.click()
    calibration.set_result(key, [("Found", "12.3")])
    assert apply.isVisible()
    assert section.outcome.items() == [("Found", "12.3")]
    apply.click()
    discard.click()
    calibration.set_result(key, [])
    assert not apply.isVisible()
    assert said == [[key], [key], [key]]


def test_typed_calibrations_are_fields_of_the_parameters(calibration):
    said = heard(calibration.changed)
    calibration.set_strain(Strain(ellipse=(1.1, 0.5), lattice=(20.0, 1.0, -1.0, 22.0)))
    assert said == []
    type_in(calibration.angle, "90")
    type_in(calibration.rotation, "-30")
    type_in(calibration.pixel, "0.012")
    type_in(calibration.vectors["bx"], "-2.5")
    type_in(calibration.fewest, "7")
    calibration.forget.click()
    assert said[0]["ellipse"] == pytest.approx((1.1, np.pi / 2))
    assert said[1]["rotation"] == pytest.approx(-np.pi / 6)
    assert said[2:] == [{"pixel_inv_angstrom": 0.012}, {"lattice": (20.0, 1.0, -2.5, 22.0)}, {"fewest": 7},
                        {"lattice": None}]  # fmt: skip
    for changes in said:
        Strain.model_validate({**dict(Strain()), **changes})


def test_vectors_wait_until_all_four_numbers_are_typed(calibration):
    said = heard(calibration.changed)
    for name, text in (("ax", "20"), ("ay", "0"), ("bx", "0")):
        type_in(calibration.vectors[name], text)
    assert said == []
    type_in(calibration.vectors["by"], "21")
    assert said == [{"lattice": (20.0, 0.0, 0.0, 21.0)}]


def test_pictures_of_proposals(calibration):
    calibration.set_origin_maps(np.array([[0.0, 0.4]]), np.array([[0.1, -0.2]]))
    assert calibration.origin_maps.cells[0].picture.high == pytest.approx(0.4)
    calibration.set_curl(np.array([-1.0, 0, 1]), np.array([1.0, 0, 1]), 0.2)
    assert calibration.curl_found.value() == pytest.approx(0.2)
    assert calibration.known_spacing() is None
    calibration.spacing.setText("3.135")
    assert calibration.known_spacing() == 3.135


def test_a_pixel_size_that_the_file_knows_is_shown_until_one_is_typed(calibration):
    summary = calibration.sections["pixel"].header
    assert summary.summary == "unknown"
    calibration.set_file_pixel(0.04)
    assert summary.summary == "0.04 Å⁻¹, of the file"
    assert "0.04" in calibration.pixel.placeholderText()
    assert calibration.pixel.text() == ""
    calibration.set_strain(Strain(pixel_inv_angstrom=0.05))
    assert summary.summary == "0.05 Å⁻¹"
    calibration.set_strain(Strain())
    calibration.set_file_pixel(None)
    assert summary.summary == "unknown"

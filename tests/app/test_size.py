"""Size, microstrain and strain of simulated peaks with all three put in."""

import numpy as np
import pytest

from braggscope.app.engine.size import SizeError, size_and_strain
from braggscope.models.calibrants import CALIBRANTS
from braggscope.models.geometry import Beam, Instrument, two_theta_of
from braggscope.models.results import PeakTable, Status

SHAPE = (900, 1000)
INSTRUMENT = Instrument.from_beam(0.4, (1e-4, 1e-4), Beam((500.0, 440.0), 0.15, 0.05, 0.4))
SIZE, MICRO, STRAIN, OWN = 180.0, 1.5e-3, 4e-4, 1e-3


def peaks(binning: int = 1) -> PeakTable:
    """Peaks whose radial FWHM follows size, microstrain and the instrument; stretched by STRAIN."""
    random = np.random.default_rng(2)
    rows = []
    for ring in CALIBRANTS["CeO2"].rings(7.0):
        two_theta = float(two_theta_of(ring.d_angstrom * (1 + STRAIN), 0.4))
        theta = two_theta / 2
        own = 0.9 * 0.4 / (SIZE * np.cos(theta)) + 4 * MICRO * np.tan(theta)
        for azimuth in random.uniform(-np.pi, np.pi, 25):
            ray = [
                np.sin(two_theta) * np.cos(azimuth),
                np.sin(two_theta) * np.sin(azimuth),
                np.cos(two_theta),
            ]
            x, y = INSTRUMENT.pixel_of(np.array(ray))
            if not (0 < x < SHAPE[1] and 0 < y < SHAPE[0]):
                continue
            radial = INSTRUMENT.jacobians(x, y)[0]
            width = np.hypot(own, OWN) / np.linalg.norm(radial) * (1 + random.normal(0, 0.02))
            rows.append((x, y, width, 0.7 * width, np.arctan2(radial[1], radial[0])))
    x, y, major, minor, angle = np.array(rows).T
    x, y = ((v + random.normal(0, 0.02, len(v)) + 0.5) / binning - 0.5 for v in (x, y))
    return PeakTable.blank(
        len(x), x=x, y=y, x_err=0.02 / binning, y_err=0.02 / binning, fwhm_major=major / binning,
        fwhm_minor=minor / binning, angle=angle, status=int(Status.OK),
    )  # fmt: skip


@pytest.mark.parametrize("binning", [1, 2])
def test_what_was_put_in_comes_out(binning):
    found = size_and_strain(
        INSTRUMENT, CALIBRANTS["CeO2"], [peaks(binning)], binning, SHAPE, OWN, lambda: None
    )
    assert abs(found.line.size_angstrom - SIZE) < 3 * found.line.size_err
    assert found.line.size_err < 0.03 * SIZE
    assert abs(found.line.microstrain - MICRO) < 3 * found.line.microstrain_err
    assert found.line.microstrain_err < 0.1 * MICRO
    assert abs(found.strain.value - STRAIN) < 3 * found.strain.error
    assert found.strain.error < 1e-5
    assert found.labels[:3] == ("111", "200", "220")
    assert len(found.two_theta) == len(found.breadths.value) == len(found.labels)


def test_what_tells_nothing_is_said():
    table = peaks()
    with pytest.raises(SizeError, match="no fitted peaks"):
        size_and_strain(INSTRUMENT, CALIBRANTS["CeO2"], [PeakTable.blank(4)], 1, SHAPE, 0.0, lambda: None)
    with pytest.raises(SizeError, match=r"Only \d rings? "):
        size_and_strain(INSTRUMENT, CALIBRANTS["CeO2"], [table], 1, SHAPE, 0.1, lambda: None)
    failed = table.with_columns(status=np.full(len(table), int(Status.FAILED), np.uint8))
    with pytest.raises(SizeError):
        size_and_strain(INSTRUMENT, CALIBRANTS["CeO2"], [failed], 1, SHAPE, 0.0, lambda: None)

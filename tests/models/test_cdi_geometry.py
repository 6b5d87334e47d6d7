"""Voxels of the object from the geometry of the measurement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from braggscope.models.cdi.geometry import (
    BraggGeometry,
    frame_axes,
    object_steps,
    reciprocal_steps,
    resampled,
    scattering_vector,
)

GOLD = BraggGeometry(
    energy_keV=9.0, distance_m=1.2, pixel_um=(55, 75), delta_deg=21, gamma_deg=14, step_deg=0.008
)


def turned(vector, axis, angle):
    """A vector (z, y, x) turned right-handed about an axis (z, y, x)."""
    return Rotation.from_rotvec(angle * np.array(axis, float)[::-1]).apply(np.array(vector)[::-1])[::-1]


def test_the_scattering_vector_of_a_vertical_arm():
    g = GOLD.model_copy(update={"delta_deg": 30.0, "gamma_deg": 0.0})
    k = 2 * np.pi * 9 / 12.398419843
    q = scattering_vector(g)
    np.testing.assert_allclose(q, k * np.array([np.cos(np.pi / 6) - 1, 0.5, 0]), atol=1e-12)
    assert np.linalg.norm(q) == pytest.approx(2 * k * np.sin(np.pi / 12))


@pytest.mark.parametrize(("axis", "vector"), [("y", (0, 1, 0)), ("x", (0, 0, 1))])
def test_steps_are_those_of_detector_and_sample(axis, vector):
    g = GOLD.model_copy(update={"axis": axis})
    frame, row, column = reciprocal_steps(g)
    q, turn = scattering_vector(g), np.deg2rad(g.step_deg)
    np.testing.assert_allclose(frame, turned(q, vector, -turn) - q, atol=1e-7)
    k_out = q + [2 * np.pi * 9 / 12.398419843, 0, 0]
    assert abs(row @ k_out) < 1e-12  # the detector stands across the scattered beam
    assert abs(column @ k_out) < 1e-12
    assert np.linalg.norm(column) / np.linalg.norm(row) == pytest.approx(75 / 55)
    assert row[1] < 0  # rows count downwards


@given(
    st.floats(3, 60), st.floats(-40, -4), st.floats(-0.05, 0.05).filter(lambda s: abs(s) > 1e-3),
    st.sampled_from("yx"),
)  # fmt: skip
def test_voxels_are_dual_to_the_pattern(delta, gamma, step, axis):
    g = BraggGeometry(
        energy_keV=8, distance_m=1, pixel_um=(55, 55), delta_deg=delta, gamma_deg=gamma, step_deg=step,
        axis=axis,
    )  # fmt: skip
    extent = (40, 64, 48)
    product = 10 * object_steps(g, extent) @ (reciprocal_steps(g) * np.array(extent)[:, None]).T
    np.testing.assert_allclose(product, 2 * np.pi * np.eye(3), atol=1e-8)


def test_points_come_back_where_they_were_in_the_laboratory():
    """Three scatterers at known places, their pattern on the measured grid, and back."""
    shape = (32, 32, 32)
    steps, dq = object_steps(GOLD, shape), reciprocal_steps(GOLD)
    cells = np.array([[0, 0, 0], [5, -3, 2], [-4, 6, -7]])
    places = 10 * cells @ steps  # angstrom, laboratory
    index = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij"), -1)
    field = np.exp(-1j * (index @ dq) @ places.T).sum(-1)
    obj = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(field)))
    found = np.argwhere(np.abs(obj) > 0.5) - 16
    np.testing.assert_allclose(np.sort(found @ steps, axis=0), np.sort(places / 10, axis=0), atol=1e-9)


@pytest.mark.parametrize("frame", ["laboratory", "crystal"])
def test_an_oblique_object_gets_its_true_shape_and_strain_back(frame):
    """An ellipsoid with a linear displacement, on the oblique grid: size, volume and slope survive."""
    shape = (64, 64, 64)
    steps, q = object_steps(GOLD, shape), scattering_vector(GOLD)
    axes = frame_axes(frame, q)
    radii = np.array([380.0, 290.0, 330.0])
    index = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij"), -1)
    place = index @ steps @ axes.T  # in the frame
    support = ((place / radii) ** 2).sum(-1) < 1
    obj = support * np.exp(1j * place @ np.array([0.004, 0.002, -0.003]))
    out = resampled(obj, support, steps, axes)
    assert out.obj.dtype == np.complex64
    volume = out.support.sum() * out.voxel_nm**3
    assert volume == pytest.approx(4 / 3 * np.pi * radii.prod(), rel=0.02)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        extent = out.support.any(axis=others).sum() * out.voxel_nm
        assert extent == pytest.approx(2 * radii[axis], abs=1.5 * out.voxel_nm)
    core = tuple(slice(n // 2 - 3, n // 2 + 4) for n in out.obj.shape)
    slopes = [np.diff(np.angle(out.obj[core]), axis=a).mean() / out.voxel_nm for a in range(3)]
    np.testing.assert_allclose(slopes, [0.004, 0.002, -0.003], atol=2e-5)


def test_the_frames_are_orthogonal_and_right_handed():
    q = scattering_vector(GOLD)
    axes = frame_axes("crystal", q)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    np.testing.assert_allclose(axes[0] * np.linalg.norm(q), q)
    np.testing.assert_array_equal(frame_axes("laboratory", q), np.eye(3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"step_deg": 0.0}, "rocking step is 0"),
        ({"delta_deg": 0.0, "gamma_deg": 0.0}, "direct beam"),
        ({"pixel_um": (0.0, 55.0)}, "pixel size"),
        ({"delta_deg": 0.0, "gamma_deg": 14.0, "axis": "x"}, "choose the other axis"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        BraggGeometry.model_validate({**GOLD.model_dump(), **change})

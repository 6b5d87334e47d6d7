"""What volumes and surfaces look like, without a screen."""

import numpy as np
import pytest

from braggscope.models.cdi.layers import EMPTY, data_layer, object_layer
from braggscope.models.cdi.raster import View, picture
from braggscope.models.cdi.scene import Clip, scene_of

SIDE = np.indices((24, 24, 24)) - 12.0


def test_data_are_logarithmic_and_what_is_masked_is_empty():
    counts = np.array([0.0, 1, 10, 100, 1e6, -1, np.nan]).reshape(1, 1, 7)
    layer = data_layer(counts)
    index = layer.index.ravel()
    assert index[-2:].tolist() == [EMPTY, EMPTY]
    assert index[0] == 0
    assert index[4] == 254
    steps = np.diff(index[1:4].astype(int))
    assert abs(steps[0] - steps[1]) <= 1
    masked = data_layer(counts, np.arange(7).reshape(1, 1, 7) == 4)
    assert masked.index[0, 0, 4] == EMPTY
    assert masked.high == pytest.approx(2)


def test_phases_are_on_a_circle_and_strain_is_around_zero():
    phase = np.array([-np.pi + 1e-3, 0, np.pi - 1e-3, 3 * np.pi - 1e-3, np.nan]).reshape(1, 1, 5)
    layer = object_layer("phase", phase)
    assert layer.index.ravel().tolist() == [0, 127, 254, 254, EMPTY]
    strain = object_layer("strain", np.linspace(-2e-3, 1e-3, 5).reshape(1, 1, 5))
    assert (strain.low, strain.high) == (-strain.high, strain.high)
    flat = object_layer("displacement", np.zeros((1, 1, 3)))
    assert (flat.index == 127).all()
    assert object_layer("strain", np.full((1, 1, 2), np.nan)).index.tolist() == [[[EMPTY, EMPTY]]]


PALETTE = np.stack([np.arange(255), np.zeros(255), 254 - np.arange(255)], 1).astype(np.uint8)


def test_a_ball_is_a_disk_from_everywhere_with_light_from_above():
    ball = scene_of(np.maximum(16.0 - np.sqrt((SIDE**2).sum(0)), 0), 0.5, None, PALETTE)
    assert ball.radius == pytest.approx(9, abs=1)
    for azimuth, elevation in ((0, 0), (1, 0.4), (-2, -1)):
        seen = picture(ball, View(azimuth, elevation, 12.0, (80, 60)), (0, 0, 0))
        assert seen.shape == (60, 80, 3)
        disk = seen[..., 0] > 0
        assert disk.sum() == pytest.approx(np.pi * (8 * 60 / 24) ** 2, rel=0.03)
        rows, columns = np.nonzero(disk)
        assert (rows.mean(), columns.mean()) == pytest.approx((29.5, 39.5), abs=0.6)
        assert seen[:30][disk[:30]].mean() > seen[30:][disk[30:]].mean()


@pytest.mark.parametrize("down", [False, True])
def test_what_is_nearer_covers_what_is_behind_and_nothing_is_mirrored(down):
    """Two plates along z, coloured by z. With y up the eye at +z sees the one with large z, with y down the
    eye at -z, to whom x then grows leftwards.
    """
    plates = np.zeros(SIDE[0].shape)
    plates[4:6, 6:18, 6:18] = plates[18:20, 6:18, 6:12] = 1
    field = object_layer("strain", SIDE[0])
    scene = scene_of(plates, 0.5, field, PALETTE, down=down)
    front = picture(scene, View(0, 0, 12, (48, 48)), (9, 9, 9))
    back = picture(scene, View(np.pi, 0, 12, (48, 48)), (9, 9, 9))
    near, far = (back, front) if down else (front, back)
    assert not (far[..., 0] > 120).any()  # the large plate hides the other one
    red, blue = (near[..., 0] > 120).nonzero()[1], (near[..., 2] > 120).nonzero()[1]
    assert (red.mean() < blue.mean()) is not down
    assert front[0, 0].tolist() == [9, 9, 9]


def test_a_clip_opens_the_crystal_with_a_flat_face_coloured_from_inside():
    ball = np.maximum(16.0 - np.sqrt((SIDE**2).sum(0)), 0)
    field = object_layer("strain", np.where(ball > 8, np.sqrt((SIDE**2).sum(0)), np.nan))
    cut = scene_of(ball, 0.5, field, PALETTE, clip=Clip(2, 0.5))
    assert cut.vertices[:, 0].max() < 0.6
    face = cut.vertices[:, 0] > -0.2
    assert np.ptp(cut.vertices[face, 0]) < 0.5
    inner = face & (np.linalg.norm(cut.vertices, axis=1) < 2)
    rim = face & (np.linalg.norm(cut.vertices, axis=1) > 7)
    assert cut.colours[inner, 0].mean() < cut.colours[rim, 0].mean()
    other = scene_of(ball, 0.5, field, PALETTE, clip=Clip(2, 0.5, flipped=True))
    assert other.vertices[:, 0].min() > -0.6


def test_nothing_gives_an_empty_picture():
    empty = scene_of(np.zeros((8, 8, 8)), 0.5, None, PALETTE)
    assert len(empty.faces) == 0
    assert (picture(empty, View(0, 0, 1, (8, 8)), (1, 2, 3)) == (1, 2, 3)).all()

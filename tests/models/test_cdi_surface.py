"""Triangles of a surface."""

import numpy as np
import pytest

from braggscope.models.cdi.surface import sampled, surface_of


def ball(n=40, radius=13.0, middle=(20.0, 18.0, 21.0)):
    away = np.sqrt(sum((k - m) ** 2 for k, m in zip(np.indices((n, n, n)), middle, strict=True)))
    return radius - away


def test_a_ball_has_its_radius_volume_and_no_holes():
    surface = surface_of(ball(), 0.0)
    away = surface.vertices - (20, 18, 21)
    assert np.abs(np.linalg.norm(away, axis=1) - 13).max() < 0.05
    a, b, c = (away[surface.faces[:, k]] for k in range(3))
    volume = (np.cross(a, b) * c).sum() / 6  # positive: all triangles look outwards
    assert volume == pytest.approx(4 / 3 * np.pi * 13**3, rel=0.01)
    edges = np.concatenate([surface.faces[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))])
    forth, back = {tuple(e) for e in edges.tolist()}, {tuple(e[::-1]) for e in edges.tolist()}
    assert forth == back  # closed, and every edge is used once each way
    assert ((away / 13 * surface.normals).sum(1) > 0.98).all()


def test_a_body_at_the_edge_is_closed_and_nothing_gives_nothing():
    whole = surface_of(np.ones((4, 4, 4)), 0.5)
    edges = np.concatenate([whole.faces[:, [i, j]] for i, j in ((0, 1), (1, 2), (2, 0))])
    assert {tuple(e) for e in edges.tolist()} == {tuple(e[::-1]) for e in edges.tolist()}
    for level in (5.0, -9.0):
        assert len(surface_of(np.full((4, 4, 4), -1.0) if level > 0 else np.zeros((0, 4, 4)), 2.0).faces) == 0


def test_colours_come_from_under_the_surface():
    volume = ball()
    surface = surface_of(volume, 0.0)
    field = np.where(volume > 0, np.indices(volume.shape)[2].astype(float), np.nan)
    found = sampled(field, surface)
    assert np.isfinite(found).all()
    expected = (surface.vertices - surface.normals)[:, 2]
    assert np.abs(found - expected).max() < 1.2
    assert np.isnan(sampled(np.full(volume.shape, np.nan), surface)).all()

import numpy as np
import pytest
import torch

from braggscope.models.disks.simulation.optics import (
    Optics,
    aperture,
    cone,
    insert,
    integrate,
    probe_image,
    refine,
    render,
)

SQUEEZED = (1.02, 0.01, 0.01, (1 + 0.01**2) / 1.02)
ALL = [
    Optics(5.0),
    Optics(2.6, edge=0.25, blur=0.25),
    Optics(6.5, edge=1.5, blur=0.6),
    Optics(8.0, edge=0.25, kind="bullseye", bars=(2, 0.1, 0.4)),
    Optics(6.0, shape=SQUEEZED),
]


def disk(optics: Optics, centre: tuple[float, float], size: int = 64) -> np.ndarray:
    transmission = aperture(optics, torch.tensor([optics.radius]))
    drawn = integrate(optics, transmission, torch.tensor([centre]))
    return insert(drawn, torch.zeros(1, dtype=torch.int64), 1, size)[0].double().numpy()


@pytest.mark.parametrize("optics", ALL)
def test_the_centroid_of_a_disk_is_where_it_was_put(optics: Optics) -> None:
    for centre in ((31.0, 30.0), (31.37, 29.11), (30.5, 32.5), (28.93, 31.74)):
        image = disk(optics, centre)
        rows, columns = np.indices(image.shape)
        assert image.sum() == pytest.approx(1, abs=2e-4)
        assert (image * columns).sum() / image.sum() == pytest.approx(centre[0], abs=2e-3)
        assert (image * rows).sum() / image.sum() == pytest.approx(centre[1], abs=2e-3)


def test_a_disk_is_the_probe_moved() -> None:
    optics = ALL[2]  # soft enough for pixels to hold all of it
    probe = probe_image(optics, aperture(optics, torch.tensor([optics.radius])), 64)[0].double().numpy()
    assert np.allclose(disk(optics, (32.0, 32.0)), probe, atol=1e-9)
    frequency = np.fft.fftfreq(64)
    ramp = np.exp(-2j * np.pi * (frequency * 0.37 + frequency[:, None] * -0.81))
    moved = np.fft.ifft2(np.fft.fft2(probe) * ramp).real
    assert np.abs(disk(optics, (32.37, 31.19)) - moved).max() < 0.02 * probe.max()


def test_the_edge_of_a_disk_stands_at_its_radius() -> None:
    image = disk(Optics(10.0, edge=0.2, blur=0.3), (40.0, 40.0), 80)
    profile = image[40, 40:] / image[38:43, 38:43].mean()
    crossing = np.interp(-0.5, -profile, np.arange(40.0))
    assert crossing == pytest.approx(10.0, abs=0.05)


def test_the_cone_covers_what_the_aperture_lets_through() -> None:
    for optics in ALL:
        tilts = cone(optics)
        assert np.linalg.norm(tilts.inside, axis=1).max() >= optics.radius
        assert int(tilts.source.max()) == len(tilts.inside) - 1
        assert np.diff(optics.nodes().numpy()).max() <= 0.7 + 1e-6


def test_refinement_reproduces_a_parabola() -> None:
    optics = Optics(6.0)
    scale = torch.tensor([1.0, 0.9])
    weights = refine(optics, scale)
    nodes, fine = optics.nodes(), optics.fine()
    for row, factor in enumerate(scale):
        inner = (fine / factor).abs() < nodes.max() - 1.5
        got = weights[row] @ (0.3 * nodes**2 - nodes + 2)
        wanted = 0.3 * (fine / factor) ** 2 - fine / factor + 2
        assert torch.allclose(got[inner], wanted[inner], atol=2e-4)


def test_the_sum_of_a_pattern_is_the_sum_of_its_disks() -> None:
    optics = Optics(4.0)
    side = len(optics.nodes())
    nodes = torch.tensor([0.5, 0.2, 0.1]).reshape(1, 3, 1, 1).expand(1, 3, side, side)
    xy = torch.tensor([[[32.2, 30.1], [50.7, 31.4], [90.0, 31.4]]])  # the last lies outside
    scattered = render(
        optics, nodes, aperture(optics, torch.tensor([4.0])), refine(optics, torch.ones(1)), xy, 64
    )
    assert scattered.patterns.sum().item() == pytest.approx(0.7, abs=1e-3)
    assert scattered.share[0].tolist() == pytest.approx([0.5, 0.2, 0.1], abs=1e-4)

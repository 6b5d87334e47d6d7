import numpy as np
import pytest

from braggscope.app.presenters.strain_steps import find_rotation


def field_of(noise):
    """Centres of mass of a field without curl, with noise, (40, 50, 2)."""
    y, x = np.mgrid[:40, :50] / 6.0
    down, along = np.gradient(np.sin(x) * np.cos(0.7 * y))
    com = np.stack((along, down), axis=-1)
    return com + np.random.default_rng(0).normal(0, noise, com.shape)


@pytest.mark.parametrize(("noise", "trusted"), [(0.005, True), (5.0, False)])
def test_a_rotation_that_only_noise_tells_is_not_to_be_trusted(noise, trusted):
    said = dict(find_rotation(field_of(noise)).items)["Curl"]
    assert said.startswith("falls by")
    assert ("too little to trust" not in said) == trusted

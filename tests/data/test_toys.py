import numpy as np
import pytest

from gan_jax.data import toys


def test_ring_centres_are_eight_even_points_of_the_unit_circle() -> None:
    z = toys.RING.centres[:, 0] + 1j * toys.RING.centres[:, 1]
    np.testing.assert_allclose(z**8, np.ones(8), atol=1e-6)
    np.testing.assert_allclose(z[0], 1)
    np.testing.assert_allclose(z[2], 1j, atol=1e-7)
    assert len(np.unique(z.round(3))) == 8


def test_grid_centres_are_all_pairs() -> None:
    pairs = {(float(a), float(b)) for a, b in toys.GRID.centres}
    ticks = (-4.0, -2.0, 0.0, 2.0, 4.0)
    assert pairs == {(a, b) for a in ticks for b in ticks}


@pytest.mark.parametrize(("name", "modes", "sigma"), [("ring", 8, 0.01), ("grid", 25, 0.05)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_moments_of_each_mode(name: str, modes: int, sigma: float, split: str) -> None:
    dataset = toys.load(name, split)  # type: ignore[arg-type]
    assert dataset.name == name
    assert dataset.x.shape == (100_000, 2)
    assert dataset.x.dtype == np.float32
    assert dataset.num_classes == modes
    assert toys.MIXTURES[name].sigma == sigma
    assert dataset.labels is not None
    counts = np.bincount(dataset.labels, minlength=modes)
    # 5 standard deviations of the binomial, of the mean, of the (co)variance, of the tail.
    p = 1 / modes
    assert np.abs(counts - 1e5 * p).max() < 5 * np.sqrt(1e5 * p * (1 - p))
    for mode, centre in enumerate(toys.MIXTURES[name].centres):
        z = (dataset.x[dataset.labels == mode].astype(np.float64) - centre) / sigma
        n = len(z)
        assert np.abs(z.mean(0)).max() < 5 / np.sqrt(n)
        assert np.abs(z.T @ z / n - np.eye(2)).max() < 5 * np.sqrt(2 / n)
        assert np.abs(z).max() < 6
        within = (np.abs(z) < 1).mean()
        assert abs(within - 0.682689) < 5 * np.sqrt(0.683 * 0.317 / (2 * n))


def test_always_the_same_points_and_other_ones_in_the_test_split() -> None:
    first, again, test = toys.load("ring"), toys.load("ring"), toys.load("ring", "test")
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not (first.x == test.x).any()

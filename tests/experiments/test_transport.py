import numpy as np
import pytest
import scipy.stats

from experiments.reproduce import transport

RNG = np.random.default_rng(0)


def test_a_shifted_sample_is_as_far_as_it_was_shifted() -> None:
    x = RNG.normal(size=(20, 3))
    assert transport.exact(x, RNG.permutation(x)) == pytest.approx(0, abs=1e-12)
    assert transport.exact(x, RNG.permutation(x) + np.array([3, 4, 0])) == pytest.approx(5)


def test_on_the_line_it_is_a_public_implementation() -> None:
    x, y = RNG.normal(size=30), RNG.normal(1, 2, 30)
    assert transport.exact(x[:, None], y[:, None]) == pytest.approx(scipy.stats.wasserstein_distance(x, y))


def test_the_best_assignment_is_not_that_of_nearest_neighbours() -> None:
    # 0 -> 1 and 2 -> 5, or 0 -> 5 and 2 -> 1: (1 + 3) / 2 against (5 + 1) / 2. Nearest neighbours would give 1.
    assert transport.exact(np.array([[0.0], [2.0]]), np.array([[1.0], [5.0]])) == 2


def test_images_are_flattened() -> None:
    assert transport.exact(np.zeros((2, 2, 2, 1)), np.ones((2, 2, 2, 1))) == 2

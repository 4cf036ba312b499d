import itertools

import numpy as np
import pytest

from gan_jax.metrics import clusters


def test_by_hand() -> None:
    # Cluster 1 is label 0 (twice), cluster 0 label 1 (twice), and cluster 2 is left over.
    assert clusters.matched_error(np.array([1, 1, 0, 0, 2]), np.array([0, 0, 1, 1, 1])) == pytest.approx(0.2)
    # Two labels share the only cluster.
    assert clusters.matched_error(np.array([0, 0, 0, 0]), np.array([0, 1, 1, 1])) == pytest.approx(0.25)


def test_names_of_clusters_do_not_matter() -> None:
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    assert clusters.matched_error((labels + 3) % 10, labels) == 0


def test_no_other_matching_makes_fewer_errors() -> None:
    rng = np.random.default_rng(0)
    labels, found = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    every = [np.mean(np.array(matching)[found] != labels) for matching in itertools.permutations(range(4))]
    assert clusters.matched_error(found, labels) == pytest.approx(min(every))

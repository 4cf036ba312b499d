import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import kernel
from tests.helpers import jit


def _by_hand(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    within = [np.mean([k(a, b) for a, b in itertools.permutations(s, 2)]) for s in (x, y)]
    return float(sum(within) - 2 * np.mean([k(a, b) for a in x for b in y]))


def test_mmd2_is_the_mean_over_distinct_pairs() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((7, 3)), rng.standard_normal((5, 3)) + 0.5
    assert float(kernel.mmd2(jnp.asarray(x), jnp.asarray(y))) == pytest.approx(_by_hand(x, y), rel=1e-4)


def test_distance_is_the_mean_over_blocks_and_its_error() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((13, 2)), rng.standard_normal((12, 2)) + 1
    blocks = [_by_hand(x[i : i + 4], y[i : i + 4]) for i in (0, 4, 8)]
    estimate = kernel.distance(jnp.asarray(x), jnp.asarray(y), block=4)
    assert float(estimate.mean) == pytest.approx(np.mean(blocks), rel=1e-4)
    assert float(estimate.error) == pytest.approx(np.std(blocks, ddof=1) / np.sqrt(3), rel=1e-4)


def test_unbiased_with_an_honest_error() -> None:
    """One dimension, x ~ N(0, 1), y ~ N(1, 1): E (xy + 1)^3 from the moments 1, m, m^2 + 1, m^3 + 3 m."""
    # E(ab + 1)^3 = sum of binom(3, j) E[a^j] E[b^j]: 1 + 0 + 3 + 0; 1 + 3 + 12 + 16; 1 + 0 + 6 + 0.
    expected = 4 + 32 - 2 * 7
    rng = np.random.default_rng(2)
    run = jit(lambda x, y: kernel.distance(x, y, block=20))
    draws = [run(rng.standard_normal((400, 1)), rng.standard_normal((400, 1)) + 1) for _ in range(100)]
    scores = [(float(d.mean) - expected) / float(d.error) for d in draws]
    mean, error = np.mean([d.mean for d in draws]), np.std([d.mean for d in draws]) / 10
    assert abs(mean - expected) < 4 * error
    assert 0.7 < np.std(scores) < 1.6


def test_one_sample_has_no_pair() -> None:
    with pytest.raises(ValueError, match="got 1 and 4 samples"):
        kernel.mmd2(jnp.zeros((1, 2)), jnp.zeros((4, 2)))


def test_one_block_has_no_error() -> None:
    with pytest.raises(ValueError, match="two blocks of 10 samples"):
        kernel.distance(jnp.zeros((19, 2)), jnp.zeros((50, 2)), block=10)

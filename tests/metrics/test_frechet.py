import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from gan_jax.metrics import frechet
from tests.helpers import assert_close, jit


def _features(seed: int, n: int, f: int) -> np.ndarray:
    """Correlated, off-centre, of very different scales, as ReLU features are."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((f, f)) * np.logspace(0, -3, f)
    return np.maximum(rng.standard_normal((n, f)) @ mixing + rng.standard_normal(f), 0).astype(np.float32)


def _reference(a: np.ndarray, b: np.ndarray) -> float:
    """As published: float64, the square root of the product of the covariances."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    left, right = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(left @ right + 1e-12 * np.eye(a.shape[1])).real
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(left + right - 2 * root))


@pytest.mark.parametrize(("n", "m", "f"), [(500, 700, 3), (400, 300, 32)])
def test_as_the_square_root_of_the_product_in_float64(n: int, m: int, f: int) -> None:
    a, b = _features(0, n, f), _features(1, m, f)
    distance = jit(lambda a, b: frechet.distance(frechet.moments(a), frechet.moments(b)))(a, b)
    assert float(distance) == pytest.approx(_reference(a, b), rel=1e-4)


def test_two_draws_of_one_distribution_keep_their_digits() -> None:
    features = _features(0, 4000, 32)
    a, b = features[:2000], features[2000:]
    distance = jit(lambda a, b: frechet.distance(frechet.moments(a), frechet.moments(b)))
    assert float(distance(a, b)) == pytest.approx(_reference(a, b), rel=1e-3)
    assert 0 <= float(distance(a, a)) < 1e-6


def test_the_closed_form_of_gaussians_whose_covariances_commute() -> None:
    # (1 - 4)^2 + (2 - 2)^2 for the means; (3 - 1)^2 + (1 - 5)^2 for the deviations.
    a = frechet.Moments(jnp.array(11.0), jnp.array([1.0, 2.0]), 10 * jnp.diag(jnp.array([9.0, 1.0])))
    b = frechet.Moments(jnp.array(6.0), jnp.array([4.0, 2.0]), 5 * jnp.diag(jnp.array([1.0, 25.0])))
    assert float(frechet.distance(a, b)) == pytest.approx(9 + 4 + 16, rel=1e-5)


def test_features_without_spread_are_as_far_apart_as_their_means() -> None:
    a, b = jnp.zeros((5, 3)), jnp.ones((5, 3))
    assert float(frechet.distance(frechet.moments(a), frechet.moments(b))) == pytest.approx(3)


def test_a_population_at_once() -> None:
    stacked = jnp.stack([_features(seed, 50, 4) for seed in range(3)])
    real = frechet.moments(jnp.asarray(_features(9, 50, 4)))
    together = jit(jax.vmap(lambda f: frechet.distance(frechet.moments(f), real)))(stacked)
    alone = jnp.stack([frechet.distance(frechet.moments(f), real) for f in stacked])
    assert_close(together, alone, rtol=1e-3)

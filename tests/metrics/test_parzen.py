import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.cluster.vq
import scipy.ndimage
import scipy.special
import scipy.stats

from gan_jax.metrics import parzen
from tests.helpers import jit


def test_one_sample_is_one_gaussian() -> None:
    rng = np.random.default_rng(0)
    sample, points = rng.random((1, 784)), rng.random((4, 784))
    expected = scipy.stats.norm(sample, 0.2).logpdf(points).sum(axis=1)
    np.testing.assert_allclose(
        parzen.log_likelihoods(jnp.asarray(sample), jnp.asarray(points), 0.2), expected, rtol=1e-5
    )


def test_many_samples_by_brute_force() -> None:
    rng = np.random.default_rng(1)
    samples, points = rng.random((300, 50)), rng.random((601, 50))
    for sigma in (0.1, 1.0):
        logs = scipy.stats.norm(samples[None], sigma).logpdf(points[:, None]).sum(axis=-1)
        expected = scipy.special.logsumexp(logs, axis=1) - math.log(300)
        found = jit(parzen.log_likelihoods)(samples, points, sigma)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_the_candidates_are_the_protocols() -> None:
    assert len(parzen.SIGMAS) == 10
    assert parzen.SIGMAS[0] == np.float32(0.1)
    assert parzen.SIGMAS[-1] == 1
    np.testing.assert_allclose(parzen.SIGMAS[1:] / parzen.SIGMAS[:-1], 10 ** (1 / 9), rtol=1e-5)


def test_sigma_is_the_validation_sets_and_the_error_the_test_sets() -> None:
    """One sample at the origin: the likeliest sigma is the points' own root mean square."""
    rng = np.random.default_rng(2)
    validation, test = (rng.standard_normal((500, 20)) * s for s in (parzen.SIGMAS[3], 0.5))
    found = jit(parzen.protocol)(np.zeros((1, 20)), validation, test)
    assert found.sigma == parzen.SIGMAS[3]
    values = scipy.stats.norm(0, parzen.SIGMAS[3]).logpdf(test).sum(axis=1)
    assert float(found.mean) == pytest.approx(values.mean(), rel=1e-4)
    assert float(found.error) == pytest.approx(values.std() / math.sqrt(500), rel=1e-3)


def test_blur_is_scipys_and_keeps_grey_up_to_the_edges() -> None:
    rng = np.random.default_rng(5)
    inner = np.pad(rng.random((3, 8, 6, 2)), ((0, 0), (6, 6), (6, 6), (0, 0)))
    expected = scipy.ndimage.gaussian_filter(inner, (0, 0.7, 0.7, 0), truncate=8)
    np.testing.assert_allclose(jit(parzen.blur)(inner, 0.7), expected, atol=1e-6)
    np.testing.assert_allclose(jit(parzen.blur)(np.full((1, 5, 4, 1), 0.3), 2.0), 0.3, rtol=1e-6)


def test_kmeans_finds_clusters_and_no_iteration_makes_it_worse() -> None:
    rng = np.random.default_rng(3)
    truth = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    x = jnp.asarray(truth[np.arange(600) % 3] + 0.1 * rng.standard_normal((600, 2)))
    run = jit(parzen.kmeans, static_argnums=(2, 3))

    def cost(iterations: int) -> float:
        centres = np.asarray(run(jax.random.key(4), x, 6, iterations))
        return float(np.mean(np.min(np.sum((np.asarray(x)[:, None] - centres[None]) ** 2, -1), axis=1)))

    costs = [cost(iterations) for iterations in (0, 1, 3, 10)]
    assert costs == sorted(costs, reverse=True)
    start = np.asarray(run(jax.random.key(4), x, 6, 0))
    expected, _ = scipy.cluster.vq.kmeans2(np.asarray(x), start, iter=10, minit="matrix")
    np.testing.assert_allclose(run(jax.random.key(4), x, 6, 10), expected, rtol=1e-4, atol=1e-5)


def test_an_empty_cluster_stays_as_it_is() -> None:
    x = jnp.zeros((4, 2))
    np.testing.assert_array_equal(parzen.kmeans(jax.random.key(0), x, 3), np.zeros((3, 2)))

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import pairs

A = jax.random.uniform(jax.random.key(0), (2, 13, 14, 3))
B = jax.random.uniform(jax.random.key(1), (2, 13, 14, 3))


def test_equal_images() -> None:
    np.testing.assert_array_equal(pairs.l1(A, A), 0)
    np.testing.assert_allclose(pairs.psnr(A, A), -10 * math.log10(1 / 12 / 255**2), rtol=1e-6)
    np.testing.assert_allclose(pairs.ssim(A, A), 1, rtol=1e-5)


def test_by_hand_of_two_pixels() -> None:
    a, b = jnp.array([0.0, 0.5]).reshape(1, 1, 2, 1), jnp.array([0.1, 0.2]).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(pairs.l1(a, b), [0.2], rtol=1e-6)
    np.testing.assert_allclose(pairs.psnr(a, b), [-10 * math.log10((0.01 + 0.09) / 2)], rtol=1e-6)


def test_ssim_of_constant_images_is_that_of_their_means() -> None:
    """Without variance the second factor is 1."""
    a, b = jnp.full((1, 12, 12, 1), 0.25), jnp.full((1, 12, 12, 1), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    np.testing.assert_allclose(pairs.ssim(a, b), [expected], rtol=1e-4)


def test_ssim_by_the_formula_window_by_window() -> None:
    taps = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    weights = np.outer(taps, taps) / taps.sum() ** 2
    a, b = (np.asarray(x[0], np.float64) for x in (A, B))
    found = []
    for row in range(13 - 10):
        for column in range(14 - 10):
            for channel in range(3):
                p, q = (x[row : row + 11, column : column + 11, channel] for x in (a, b))
                mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
                var_p, var_q = (weights * (p - mean_p) ** 2).sum(), (weights * (q - mean_q) ** 2).sum()
                covariance = (weights * (p - mean_p) * (q - mean_q)).sum()
                brightness = (2 * mean_p * mean_q + 1e-4) / (mean_p**2 + mean_q**2 + 1e-4)
                found.append(brightness * (2 * covariance + 9e-4) / (var_p + var_q + 9e-4))
    np.testing.assert_allclose(pairs.ssim(A, B)[0], np.mean(found), rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 8, 1), (1, 5, 20, 3)])
def test_images_smaller_than_the_window_have_a_smaller_one(shape: tuple[int, ...]) -> None:
    x = jax.random.uniform(jax.random.key(2), shape)
    assert pairs.ssim(x, x).shape == (1,)
    np.testing.assert_allclose(pairs.ssim(x, x), 1, rtol=1e-4)
    assert pairs.ssim(x, 1 - x)[0] < 0

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gan_jax.metrics import wasserstein
from tests.helpers import jit


@pytest.mark.parametrize(("n", "m"), [(1, 1), (50, 50), (50, 31), (1, 40), (7, 6)])
def test_as_scipy(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal(n), 2 * rng.standard_normal(m) + 1
    expected = scipy.stats.wasserstein_distance(x, y)
    assert float(jit(wasserstein.distance)(x, y)) == pytest.approx(expected, rel=1e-5)


def test_ties() -> None:
    # Mass 1/3 travels from 0 to 1.
    assert float(wasserstein.distance(jnp.array([0.0, 0, 1]), jnp.array([0.0, 1, 1]))) == pytest.approx(1 / 3)
    assert float(wasserstein.distance(jnp.array([0.0, 0, 1, 1]), jnp.array([0.0, 1]))) == 0


def test_a_shift_in_the_plane() -> None:
    x = np.random.default_rng(0).standard_normal((40, 2)).astype(np.float32)
    run = jit(wasserstein.sliced, static_argnums=3)
    found = run(jax.random.key(0), x, x + np.array([[3.0, 4.0]], np.float32), 4000)
    assert float(found) == pytest.approx(5 * 2 / np.pi, rel=0.03)
    assert float(run(jax.random.key(0), x, x[::-1], 64)) == pytest.approx(0, abs=1e-6)


def test_in_one_dimension_slices_are_the_distance_itself() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((30, 1)), rng.standard_normal((20, 1))
    expected = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
    assert float(jit(wasserstein.sliced, static_argnums=3)(jax.random.key(0), x, y, 3)) == pytest.approx(
        expected, rel=1e-5
    )


def test_along_lines_it_is_the_mean_over_them() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((30, 3)).astype(np.float32), rng.standard_normal((20, 3)).astype(np.float32)
    expected = np.mean([scipy.stats.wasserstein_distance(x[:, k], y[:, k]) for k in range(3)])
    assert float(jit(wasserstein.along)(x, y)) == pytest.approx(expected, rel=1e-5)
    lines = jit(wasserstein.directions, static_argnums=(1, 2))(jax.random.key(0), 5, 7)
    assert lines.shape == (7, 5)
    np.testing.assert_allclose(np.linalg.norm(lines, axis=1), 1, rtol=1e-6)

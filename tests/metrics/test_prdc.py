import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import prdc
from tests.helpers import jit


def _by_definition(real: np.ndarray, fake: np.ndarray, k: int) -> list[float]:
    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a[:, None] - b[None], axis=-1)

    real_radii = np.sort(distances(real, real), axis=1)[:, k]
    fake_radii = np.sort(distances(fake, fake), axis=1)[:, k]
    cross = distances(real, fake)
    in_real, in_fake = cross <= real_radii[:, None], cross <= fake_radii[None]
    return [in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum(0).mean() / k, in_real.any(1).mean()]


@pytest.mark.parametrize("k", [1, 3, 5])
def test_by_definition(k: int) -> None:
    rng = np.random.default_rng(k)
    real = rng.standard_normal((301, 4)).astype(np.float32) + 50
    fake = (0.7 * rng.standard_normal((257, 4)) + 50.5).astype(np.float32)
    found = jit(prdc.prdc, static_argnums=2)(real, fake, k)
    np.testing.assert_allclose(found, _by_definition(real, fake, k), rtol=1e-6)


@pytest.mark.parametrize(("n", "m", "k"), [(5, 9, 5), (9, 5, 5), (9, 9, 0)])
def test_too_few_features_have_no_such_neighbour(n: int, m: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"{n} real and {m} fake features don't all have a neighbour number {k}"):
        prdc.prdc(jnp.zeros((n, 2)), jnp.zeros((m, 2)), k)


def test_two_draws_of_one_distribution() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 2000, 8)).astype(np.float32)
    found = jit(prdc.prdc)(real, fake)
    assert float(found.density) == pytest.approx(1, abs=0.05)
    i = np.arange(1, 6)
    assert float(found.coverage) == pytest.approx(1 - np.prod((2000 - i) / (4000 - i)), abs=0.02)


def test_what_each_one_sees() -> None:
    rng = np.random.default_rng(1)
    modes = np.array([[0.0, 0.0], [10.0, 0.0]], np.float32)
    real = (modes[np.arange(400) % 2] + rng.standard_normal((400, 2))).astype(np.float32)
    collapsed = rng.standard_normal((400, 2)).astype(np.float32)
    astray = real + np.float32(100)
    run = jit(prdc.prdc)
    one_mode, nowhere = run(real, collapsed), run(real, astray)
    assert one_mode.precision > 0.95
    assert 0.4 < one_mode.recall < 0.6
    assert 0.3 < one_mode.coverage < 0.6
    np.testing.assert_array_equal(nowhere, [0, 0, 0, 0])

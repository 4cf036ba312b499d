import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reproduce import averages
from gan_jax import recipes
from gan_jax.gan import Batch
from tests.helpers import assert_same


def _running(values: np.ndarray, exponent: float) -> np.ndarray:
    """The average after every step, in double precision, by the definition of its decay."""
    average, found = values[0], []
    for step, value in enumerate(values, 1):
        keep = (1 - 1 / step) ** (exponent + 1)
        average = keep * average + (1 - keep) * value
        found.append(average)
    return np.array(found)


@pytest.mark.parametrize(("length", "exponent"), [(0.05, 16.97), (0.10, 6.94)])
def test_exponents_are_those_of_the_paper(length: float, exponent: float) -> None:
    assert averages.exponent_of(length) == pytest.approx(exponent, abs=0.005)


def test_a_length_is_the_standard_deviation_of_the_profile() -> None:
    t = (np.arange(10**6) + 0.5) / 10**6
    weight = t ** averages.exponent_of(0.2)
    weight /= weight.sum()
    mean = np.sum(weight * t)
    assert np.sqrt(np.sum(weight * (t - mean) ** 2)) == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize("length", [0.0, 0.289])
def test_lengths_without_a_profile_are_refused(length: float) -> None:
    with pytest.raises(ValueError, match=r"is in \(0, .28\]"):
        averages.exponent_of(length)


def test_products_of_profiles_are_integrals() -> None:
    t = (np.arange(10**5) + 0.5) / 10**5 * 3
    first = np.where(t < 2, 5 * t**4 / 2**5, 0)
    second = 2.5 * t**1.5 / 3**2.5
    assert averages._product((4, 2), (1.5, 3)) == pytest.approx(np.sum(first * second) * 3e-5, rel=1e-4)
    assert averages._product((1.5, 3), (4, 2)) == pytest.approx(averages._product((4, 2), (1.5, 3)))


@pytest.mark.parametrize(("length", "stop"), [(0.05, 64), (0.10, 40), (0.075, 64), (0.15, 64), (0.15, 48)])
def test_an_average_made_afterwards_is_the_one_that_would_have_run(length: float, stop: int) -> None:
    every = 50
    values = np.cumsum(np.random.default_rng(0).normal(size=every * 64))
    exponents = [averages.exponent_of(0.05), averages.exponent_of(0.1)]
    running = [_running(values, exponent) for exponent in exponents]
    stored = [(exponent, end) for end in range(1, stop + 1) for exponent in exponents]
    kept = [average[end * every - 1] for end in range(1, stop + 1) for average in running]
    found = averages.coefficients(stored, (averages.exponent_of(length), stop)) @ np.array(kept)
    wanted = _running(values, averages.exponent_of(length))[stop * every - 1]
    assert found == pytest.approx(wanted, abs=0.01 * np.std(values))


def test_a_stored_average_is_made_of_itself_alone() -> None:
    stored = [(g, end) for end in (1, 2, 3) for g in (16.97, 6.94)]
    np.testing.assert_allclose(averages.coefficients(stored, (6.94, 2)), [0, 0, 0, 1, 0, 0], atol=1e-6)


@pytest.mark.slow
def test_training_is_that_of_the_gan_and_the_averages_are_of_its_generators() -> None:
    gan = recipes.wgan((2,), width=4, latent=3, n_critic=1, lr=0.1)
    fields = {field.name: getattr(gan, field.name) for field in dataclasses.fields(gan)}
    averaging = averages.PowerAverages(**fields, exponents=(16.97, 6.94))
    batch = Batch(jnp.ones((1, 4, 2)))
    one, both = (each.init(jax.random.key(0), batch) for each in (gan, averaging))
    steps = jax.jit(gan.train_step), jax.jit(averaging.train_step)
    generators = []
    for step in range(3):
        one, metrics = steps[0](one, batch, jax.random.key(step))
        both, same = steps[1](both, batch, jax.random.key(step))
        assert_same(metrics, same)
        generators.append(np.asarray(jax.tree.leaves(one.generator.params)[1], np.float64))
    assert_same(one, dataclasses.replace(both, ema=None))
    for exponent, average in zip(averaging.exponents, both.ema, strict=True):
        expected = _running(np.array(generators), exponent)[-1]
        np.testing.assert_allclose(jax.tree.leaves(average["params"])[1], expected, rtol=1e-5)

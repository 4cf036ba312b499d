import math
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from gan_jax import penalties
from tests.helpers import jit

KEY, STEP = jax.random.key(0), jnp.int32(0)
REAL = jnp.array([[3.0, 4.0], [0.0, 1.0]])
FAKE = jnp.array([[6.0, 8.0], [2.0, 0.0]])

ALL = {"wgan_gp": penalties.wgan_gp, "dragan": penalties.dragan, "r1": penalties.r1, "r2": penalties.r2}
every_penalty = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())


def linear(x: jax.Array) -> jax.Array:
    """D(x) = 3 x_0 + 4 x_1, whose gradient norm is 5 everywhere."""
    return x.reshape(len(x), 2) @ jnp.array([3.0, 4.0])


def quadratic(x: jax.Array) -> jax.Array:
    """D(x) = ||x||^2 / 2, whose gradient is x."""
    return jnp.sum(jnp.square(x), axis=tuple(range(1, x.ndim))) / 2


def constant(x: jax.Array) -> jax.Array:
    return jnp.zeros(len(x))


def points_seen_by_critic(penalty: Any, real: jax.Array, fake: jax.Array, rng: jax.Array) -> np.ndarray:
    seen = []

    def critic(x: jax.Array) -> jax.Array:
        jax.debug.callback(lambda x: seen.append(np.array(x)), x)
        return quadratic(x)

    penalty(critic, real, fake, rng, STEP)
    jax.effects_barrier()
    (points,) = seen
    return points


@pytest.mark.parametrize("shape", [(2,), (1, 2, 1)])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (penalties.wgan_gp, 32.0),  # 2 (5 - 1)^2
        (penalties.dragan, 32.0),
        (penalties.r1, 25.0),  # 2 / 2 * 5^2
        (penalties.r2, 25.0),
    ],
)
def test_linear_critic(make: Callable, expected: float, shape: tuple[int, ...]) -> None:
    penalty = make(2.0)(linear, REAL.reshape(2, *shape), FAKE.reshape(2, *shape), KEY, STEP)
    np.testing.assert_allclose(penalty, expected, rtol=1e-6)


def test_r1_is_taken_at_the_data_and_r2_at_the_fakes() -> None:
    # 3 / 2 * ((9 + 16) + (0 + 1)) / 2 and 3 / 2 * ((36 + 64) + (4 + 0)) / 2.
    np.testing.assert_allclose(penalties.r1(3.0)(quadratic, REAL, FAKE, KEY, STEP), 19.5, rtol=1e-6)
    np.testing.assert_allclose(penalties.r2(3.0)(quadratic, REAL, FAKE, KEY, STEP), 78.0, rtol=1e-6)


def test_wgan_gp_where_real_and_fake_coincide() -> None:
    # 10 ((5 - 1)^2 + (1 - 1)^2) / 2.
    np.testing.assert_allclose(penalties.wgan_gp(10.0)(quadratic, REAL, REAL, KEY, STEP), 80.0, rtol=1e-6)


def test_dragan_without_noise_is_taken_at_the_data() -> None:
    penalty = penalties.dragan(10.0, radius=0.0)
    np.testing.assert_allclose(penalty(quadratic, REAL, FAKE, KEY, STEP), 80.0, rtol=1e-6)


def test_wgan_gp_expectation_over_uniform_interpolates() -> None:
    n = 100_000
    real, fake = jnp.full((n, 4), 1.5), jnp.zeros((n, 4))
    # ||x|| = 3 e with e ~ U(0, 1): E (3 e - 1)^2 = 9/3 - 6/2 + 1 = 1, and its variance, of v = 3 e - 1 ~ U(-1, 2),
    # E v^4 - 1 = (2^5 + 1) / 15 - 1 = 1.2. Five standard errors.
    penalty = penalties.wgan_gp(1.0)(quadratic, real, fake, KEY, STEP)
    np.testing.assert_allclose(penalty, 1.0, atol=5 * math.sqrt(1.2 / n))


@given(seed=st.integers(0, 2**31 - 1))
@settings(deadline=None, max_examples=20)
def test_interpolates_lie_between_real_and_fake(seed: int) -> None:
    real_rng, fake_rng, rng = jax.random.split(jax.random.key(seed), 3)
    real, fake = (jax.random.normal(rng, (6, 2, 3, 1)) for rng in (real_rng, fake_rng))
    points = points_seen_by_critic(penalties.wgan_gp(), real, fake, rng)
    fractions = ((points - fake) / (real - fake)).reshape(6, -1)
    assert ((fractions > -1e-3) & (fractions < 1 + 1e-3)).all()
    along = ((points - fake) * (real - fake)).sum((1, 2, 3)) / ((real - fake) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(points, fake + along.reshape(6, 1, 1, 1) * (real - fake), atol=1e-5)
    assert np.ptp(along) > 1e-2


def test_dragan_noise_has_the_moments_of_the_authors_code() -> None:
    n = 100_000
    # std 2 over the whole batch.
    real = jnp.stack([jnp.full(n, 1.0), jnp.full(n, 5.0)], axis=1)
    noise = (points_seen_by_critic(penalties.dragan(radius=0.25), real, real, KEY) - real) / (0.25 * 2)
    assert noise.min() >= -1e-5
    assert noise.max() <= 1 + 1e-5
    # Of a u with independent a, u ~ U(0, 1): E = 1/4, E^2 = 1/9; of two pixels, which share a: E a^2 (E u)^2 = 1/12.
    np.testing.assert_allclose(noise.mean(0), 1 / 4, atol=5 / math.sqrt(n))
    np.testing.assert_allclose((noise**2).mean(0), 1 / 9, atol=5 / math.sqrt(n))
    np.testing.assert_allclose((noise[:, 0] * noise[:, 1]).mean(), 1 / 12, atol=5 * 0.1 / math.sqrt(n))


@every_penalty
def test_gradient_is_finite_at_a_critic_without_slope(make: Callable) -> None:
    def penalty(theta: jax.Array) -> jax.Array:
        return make(1.0)(lambda x: x @ theta, REAL, FAKE, KEY, STEP)

    value, gradient = jax.value_and_grad(penalty)(jnp.zeros(2))
    # The one-centred penalties are (0 - 1)^2, the zero-centred ones 0.
    np.testing.assert_array_equal(value, 1.0 if make in (penalties.wgan_gp, penalties.dragan) else 0.0)
    np.testing.assert_array_equal(gradient, jnp.zeros(2))
    np.testing.assert_array_equal(make(1.0)(constant, REAL, FAKE, KEY, STEP), value)


def test_gradient_of_r1_in_closed_form() -> None:
    theta = jnp.array([0.5, -2.0])
    # R1 of theta . x is gamma / 2 ||theta||^2.
    gradient = jax.grad(lambda theta: penalties.r1(3.0)(lambda x: x @ theta, REAL, FAKE, KEY, STEP))(theta)
    np.testing.assert_allclose(gradient, 3 * theta, rtol=1e-6)


def test_gradient_of_wgan_gp_in_closed_form() -> None:
    theta = jnp.array([3.0, -4.0])
    # Of (||theta|| - 1)^2: 2 (||theta|| - 1) theta / ||theta|| = 2 * 4 / 5 theta.
    gradient = jax.grad(lambda theta: penalties.wgan_gp(1.0)(lambda x: x @ theta, REAL, FAKE, KEY, STEP))(theta)
    np.testing.assert_allclose(gradient, 1.6 * theta, rtol=1e-6)


@every_penalty
def test_gradient_in_parameters_matches_finite_differences(make: Callable) -> None:
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        w, v, real, fake = (jnp.asarray(rng.normal(size=shape)) for shape in [(3, 4), (4,), (5, 3), (5, 3)])

        def penalty(w: jax.Array, v: jax.Array) -> jax.Array:
            return make(0.7)(lambda x: jnp.tanh(x @ w) @ v, real, fake, KEY, STEP)

        assert penalty(w, v).dtype == jnp.float64
        check_grads(jax.jit(penalty), (w, v), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_total_is_the_sum() -> None:
    both = penalties.total(penalties.r1(3.0), penalties.r2(2.0))
    # 19.5 + 2 / 2 * ((36 + 64) + (4 + 0)) / 2.
    np.testing.assert_allclose(both(quadratic, REAL, FAKE, KEY, STEP), 71.5, rtol=1e-6)
    np.testing.assert_array_equal(penalties.total()(quadratic, REAL, FAKE, KEY, STEP), 0.0)


def test_total_gives_each_term_a_key_of_its_own() -> None:
    keys = []

    def term(critic: Any, real: jax.Array, fake: jax.Array, rng: jax.Array, step: Any) -> jax.Array:
        keys.append(jax.random.key_data(rng))
        return jnp.zeros(())

    penalties.total(term, term, term)(linear, REAL, FAKE, KEY, STEP)
    assert len(np.unique(np.stack(keys), axis=0)) == 3


@every_penalty
def test_weight_may_be_traced(make: Callable) -> None:
    def penalty(weight: jax.Array) -> jax.Array:
        return make(weight)(quadratic, REAL, FAKE, KEY, STEP)

    weights = jnp.array([0.0, 1.0, 2.5])
    np.testing.assert_allclose(jax.vmap(penalty)(weights), weights * penalty(jnp.ones(())), rtol=1e-6)


@every_penalty
def test_weight_may_be_a_schedule(make: Callable) -> None:
    scheduled, one = make(lambda step: 0.5 * step), make(1.0)(quadratic, REAL, FAKE, KEY, STEP)
    for step in (0, 1, 6):
        value = scheduled(quadratic, REAL, FAKE, KEY, jnp.int32(step))
        np.testing.assert_allclose(value, 0.5 * step * one, rtol=1e-6)


@every_penalty
def test_lazy_penalty_is_k_times_the_penalty_at_every_kth_step(make: Callable) -> None:
    lazy = penalties.lazy(make(0.7), every=4)
    run = jax.jit(lambda theta, step: lazy(lambda x: jnp.tanh(x @ theta), REAL, FAKE, KEY, step))
    theta = jnp.array([0.2, -0.3])
    whole, slope = jax.value_and_grad(lambda t: make(0.7)(lambda x: jnp.tanh(x @ t), REAL, FAKE, KEY, STEP))(theta)
    for step in range(9):
        value, gradient = jax.value_and_grad(run)(theta, jnp.int32(step))
        np.testing.assert_allclose(value, 4 * whole if step % 4 == 0 else 0.0, rtol=1e-6)
        np.testing.assert_allclose(gradient, 4 * slope if step % 4 == 0 else 0 * slope, rtol=1e-6)


def test_lazy_penalty_computes_nothing_in_between() -> None:
    seen = []

    def penalty(critic: Any, real: jax.Array, fake: jax.Array, rng: jax.Array, step: Any) -> jax.Array:
        jax.debug.callback(lambda step: seen.append(int(step)), step)
        return jnp.ones(())

    lazy = jax.jit(lambda step: penalties.lazy(penalty, every=3)(linear, REAL, FAKE, KEY, step))
    for step in range(7):
        lazy(jnp.int32(step))
    jax.effects_barrier()
    assert seen == [0, 3, 6]


@pytest.mark.parametrize("every", [0, -3])
def test_lazy_below_one_is_refused(every: int) -> None:
    with pytest.raises(ValueError, match=f"every={every}"):
        penalties.lazy(penalties.r1(), every=every)


def test_penalties_can_be_pickled() -> None:
    whole = penalties.total(penalties.lazy(penalties.r1(lambda_free), every=2), *(make(2.0) for make in ALL.values()))
    again = pickle.loads(pickle.dumps(whole))
    np.testing.assert_array_equal(again(quadratic, REAL, FAKE, KEY, STEP), whole(quadratic, REAL, FAKE, KEY, STEP))


def lambda_free(step: Any) -> float:
    return 0.5


def test_dragan_over_devices_has_the_deviation_of_the_whole_batch() -> None:
    """Two devices with one number each, 1 and 5: apart they have no spread, together a deviation of 2."""
    real = jnp.array([[[1.0]], [[5.0]]])

    def noise(axis_name: str | None) -> np.ndarray:
        """What is added to each number x: of the critic x^2 / 2 the penalty is (x + noise - 1)^2."""
        penalty = penalties.dragan(1.0, axis_name=axis_name)
        found = jit(jax.vmap(lambda x: penalty(quadratic, x, x, KEY, STEP), axis_name="device"))(real)
        return np.sqrt(found) + 1 - np.array([1.0, 5.0])

    np.testing.assert_array_equal(noise(None), 0.0)
    # Both devices have one key here, so one noise: two uniform numbers times .5 * 2.
    together = noise("device")
    assert 0 < together[0] < 1
    np.testing.assert_allclose(together[1], together[0], atol=1e-5)
    noise_rng, length_rng = jax.random.split(KEY)
    expected = jax.random.uniform(noise_rng, (1, 1)) * jax.random.uniform(length_rng, (1, 1))
    np.testing.assert_allclose(together[0], expected[0, 0], atol=1e-5)

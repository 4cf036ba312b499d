"""What a step is made of: minibatches, noise, losses, gradients, averages, numbers of the step."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from gan_jax import GAN, Batch, GANState, Loss, losses, penalties, scheduled, schedules
from gan_jax.gan import Inputs
from tests.gan.helpers import KEY, METRICS, MINIBATCH, POINTS, Echo, dirac, normed, normed_state, positions, real, run
from tests.helpers import assert_close, assert_same, differ, jit

DIGITS = Loss(
    d=lambda real_logits, fake_logits: -jnp.mean(real_logits),
    g=lambda real_logits, fake_logits: jnp.mean(real_logits) + 0 * jnp.mean(fake_logits),
    score=lambda logits: logits,
    estimate=lambda d_loss: d_loss,
)


def test_each_minibatch_is_used_once_in_order_and_the_last_one_by_the_generator() -> None:
    # With D = psi x, the loss -D and rates 1, 1/10, 1/100, ... the minibatches stand in psi as digits in their order.
    gan = dirac(DIGITS, psi=0.0, n_critic=4).replace(d_optimizer=optax.sgd(lambda count: 10.0**-count))
    batch = Batch(jnp.array([3.0, 1.0, 4.0, 2.0]).reshape(4, 1, 1))
    state, metrics = jit(gan.train_step)(gan.init(KEY, batch), batch, KEY)
    theta, psi = positions(state)
    np.testing.assert_allclose(psi, 3.142, rtol=1e-6)
    np.testing.assert_allclose(metrics["d_real"], 3.14 * 2, rtol=1e-6)
    np.testing.assert_allclose(metrics["g_loss"], 3.142 * 2, rtol=1e-6)
    np.testing.assert_array_equal(theta, 1.0)
    np.testing.assert_array_equal(state.step, 1)


def test_every_update_meets_fresh_noise() -> None:
    # D = psi x, d_loss = D(G(z)), m the means of the fakes: psi becomes -m_1 - m_2, and the last d_fake was -m_1 m_2.
    loss = losses.wasserstein()._replace(d=lambda real_logits, fake_logits: jnp.mean(fake_logits))
    gan = dirac(loss, psi=0.0, lr=1.0, n_critic=2, generator=Echo())
    batch = real(0.0, 0.0, n_critic=2)
    state, metrics = jit(gan.train_step)(gan.init(KEY, batch), batch, KEY)
    total, product = -positions(state)[1], -metrics["d_fake"]
    first, second = np.sort(np.roots([1.0, -total, product]).real)
    assert second - first > 1e-2
    # d_fake_after is psi m_3.
    third = metrics["d_fake_after"] / -total
    assert min(abs(third - first), abs(third - second)) > 1e-2


def test_average_of_the_generator_by_hand() -> None:
    gan = dirac(losses.wasserstein(), theta=1.0, psi=1.0, lr=1.0, ema_decay=0.15).replace(d_optimizer=optax.sgd(0.0))
    state = jit(gan.init)(KEY, real(0.0))
    averages = []
    for _ in range(3):
        state, _ = gan.train_step(state, real(0.0), KEY)
        averages.append(float(state.ema["params"]["theta"]))
    # theta = 1, 2, 3, 4; decay min(.15, 1/10), min(.15, 2/11), min(.15, 3/12):
    # .1 * 1 + .9 * 2 = 1.9; .15 * 1.9 + .85 * 3 = 2.835; .15 * 2.835 + .85 * 4 = 3.82525.
    np.testing.assert_allclose(averages, [1.9, 2.835, 3.82525], rtol=1e-6)
    np.testing.assert_allclose(gan.sample(state, KEY, 1), [[3.82525]], rtol=1e-6)
    np.testing.assert_allclose(gan.generate(state.replace(ema=None), jnp.zeros((1, 1))), [[4.0]], rtol=1e-6)


def test_d_step_changes_the_discriminator_alone() -> None:
    gan, before = normed(), normed_state()
    after, metrics = jit(gan.d_step)(before, MINIBATCH, KEY)
    assert metrics.keys() == METRICS - {"g_loss", "d_fake_after", "g_grad"}
    assert_same((after.step, after.generator, after.ema), (before.step, before.generator, before.ema))
    for field in ("params", "collections", "opt_state"):
        assert differ(getattr(after.discriminator, field), getattr(before.discriminator, field))


def test_g_step_changes_the_generator_and_its_average_alone() -> None:
    gan, before = normed(), normed_state()
    after, metrics = jit(gan.g_step)(before, MINIBATCH, KEY)
    assert metrics.keys() == {"g_loss", "d_fake_after", "g_grad"}
    assert_same(after.discriminator, before.discriminator)
    assert (int(before.step), int(after.step)) == (0, 1)
    assert differ(after.ema, before.ema)
    for field in ("params", "collections", "opt_state"):
        assert differ(getattr(after.generator, field), getattr(before.generator, field))


def test_a_step_is_a_function_of_its_key() -> None:
    gan, state = normed(), normed_state()
    train_step = jit(gan.train_step)
    assert_same(train_step(state, POINTS, KEY), train_step(state, POINTS, KEY))
    assert differ(train_step(state, POINTS, KEY), train_step(state, POINTS, jax.random.key(1)))


def test_init_looks_at_shapes_only() -> None:
    state = jit(normed().init)(KEY, Batch(jnp.full_like(POINTS.x, jnp.nan)))
    assert_same(state, normed_state())
    assert state.step.dtype == jnp.int32
    assert jax.eval_shape(normed().replace(ema_decay=None).init, KEY, POINTS).ema is None


def test_average_starts_at_the_generator() -> None:
    state = normed_state()
    assert_same(state.ema, state.generator.variables)


@pytest.mark.slow
def test_a_step_by_hand_has_the_bits_of_train_step() -> None:
    """Momenta, batch statistics, an average whose warm-up counts steps, and a schedule: all follow `g_step`."""
    n_critic = 3
    rate = schedules.linear(0.1, 0.01, 5)
    gan = normed().replace(n_critic=n_critic, g_optimizer=scheduled(optax.sgd, rate), ema_decay=0.99)
    batch = Batch(jnp.asarray(np.random.default_rng(1).normal(size=(n_critic, 8, 2)), jnp.float32))

    def by_hand(state: GANState, rng: jax.Array) -> tuple[GANState, Any]:
        keys = gan.step_keys(rng)
        for i in range(n_critic):
            state, d_metrics = gan.d_step(state, Batch(batch.x[i]), keys.d[i])
        state, g_metrics = gan.g_step(state, Batch(batch.x[-1]), keys.g)
        return state, d_metrics | g_metrics

    ours = theirs = jit(gan.init)(KEY, batch)
    for i in range(2):
        rng = jax.random.fold_in(KEY, i)
        with jax.disable_jit():  # Operation by operation: as one program, XLA would round each in its own way.
            ours, theirs = by_hand(ours, rng), gan.train_step(theirs, batch, rng)
        assert_same(ours, theirs)
        ours, theirs = ours[0], theirs[0]
    assert int(ours.step) == 2


def test_train_step_is_made_of_d_step_and_g_step() -> None:
    """A GAN that overrides a brick trains with its own."""

    @dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
    class Lazy(GAN):
        def d_step(self, state: GANState, *args: Any, **kwargs: Any) -> Any:
            _, metrics = super().d_step(state, *args, **kwargs)
            return state, metrics

    gan = dirac(losses.wasserstein())
    fields = {field.name: getattr(gan, field.name) for field in dataclasses.fields(gan)}
    state = jit(gan.init)(KEY, real(0.0))
    after, _ = Lazy(**fields).train_step(state, real(0.0), KEY)
    assert_same(after.discriminator, state.discriminator)
    assert differ(after.generator, state.generator)


def test_losses_are_those_that_the_steps_minimise() -> None:
    gan, state = normed(penalty=penalties.r1(0.3)), normed_state()
    fakes = jit(gan.fakes)(state, MINIBATCH, KEY)
    (_, (_, metrics)), gradient = jit(jax.value_and_grad(gan.d_loss, has_aux=True))(
        state.discriminator.params, state, MINIBATCH, fakes, KEY
    )
    after, of_step = jit(gan.d_step)(state, MINIBATCH, KEY)
    assert_close(metrics | {"d_grad": optax.tree.norm(gradient)}, of_step)
    # SGD's first step with momentum: p - .1 g.
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.discriminator.params, gradient)
    assert_close(after.discriminator.params, expected)
    (value, (_, metrics)), gradient = jit(jax.value_and_grad(gan.g_loss, has_aux=True))(
        state.generator.params, state, MINIBATCH, KEY
    )
    after, of_step = jit(gan.g_step)(state, MINIBATCH, KEY)
    assert_close(metrics | {"g_grad": optax.tree.norm(gradient)}, of_step)
    assert_close(value, metrics["g_loss"])
    assert_close(after.generator.params, jax.tree.map(lambda p, g: p - 0.05 * g, state.generator.params, gradient))


def test_fakes_are_what_the_generator_makes_of_its_inputs() -> None:
    gan = dirac(losses.wasserstein(), generator=Echo())
    state = jit(gan.init)(KEY, real(0.0, 0.0))
    minibatch = Batch(real(0.0, 0.0).x[0])
    inputs = gan.inputs(minibatch, KEY)
    assert isinstance(inputs, Inputs) and inputs.z.shape == (2, 1) and inputs.y is None
    np.testing.assert_array_equal(gan.fakes(state, minibatch, KEY).x, inputs.z)
    np.testing.assert_array_equal(gan.discriminate(state, inputs.z), inputs.z[:, 0])


class Smooth(nn.Module):
    """Two layers without batch statistics, a generator or a discriminator."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        h = nn.Dense(self.features)(nn.tanh(nn.Dense(5)(x)))
        return h if self.features > 1 else h[:, 0]


@pytest.mark.parametrize(
    ("parts", "optimizer"),
    [
        pytest.param(2, optax.sgd(0.1), id="2-sgd", marks=pytest.mark.slow),
        pytest.param(4, optax.adam(0.01), id="4-adam"),
        pytest.param(8, optax.sgd(0.1), id="8-sgd", marks=pytest.mark.slow),
    ],
)
def test_accumulated_gradients_are_those_of_the_whole_minibatch(
    parts: int, optimizer: optax.GradientTransformation
) -> None:
    gan = normed(penalty=penalties.r1(0.5)).replace(
        generator=Smooth(2), discriminator=Smooth(1), g_optimizer=optimizer, d_optimizer=optimizer
    )
    state = jit(gan.init)(KEY, POINTS)
    whole, accumulating = jit(gan.train_step), jit(gan.replace(accumulate=parts).train_step)
    assert_close(run(accumulating, state, 3), run(whole, state, 3), rtol=1e-4, atol=1e-6)
    metrics = [step(state, POINTS, KEY)[1] for step in (whole, accumulating)]
    assert_close(*metrics, rtol=1e-4, atol=1e-6)


def test_schedules_follow_the_step_of_the_generator() -> None:
    # Slope -1: G moves by its rate each step, D by the mean of fakes times its own, whatever n_critic.
    rates = schedules.stages([1.0, 2.0, 4.0], 3)
    gan = dirac(losses.wasserstein(), theta=0.0, psi=1.0, n_critic=2).replace(
        g_optimizer=scheduled(optax.sgd, rates),
        d_optimizer=scheduled(optax.sgd, lambda step: 0.0 * step),
        ema_decay=schedules.stages([0.0, 0.05, 0.0], 3),
    )
    batch = real(0.0, n_critic=2)
    state, thetas, averages = jit(gan.init)(KEY, batch), [], []
    for _ in range(4):
        state, _ = jit(gan.train_step)(state, batch, KEY)
        thetas.append(float(state.generator.params["theta"]))
        averages.append(float(state.ema["params"]["theta"]))
    np.testing.assert_allclose(thetas, [1.0, 3.0, 7.0, 11.0])
    np.testing.assert_allclose(averages, [1.0, 0.05 * 1 + 0.95 * 3, 7.0, 11.0], rtol=1e-6)


def test_penalties_see_the_step() -> None:
    gan = dirac(losses.wasserstein(), penalty=lambda critic, real, fake, rng, step: 10.0 * step)
    state = jit(gan.init)(KEY, real(0.0))
    for step in range(3):
        state, metrics = jit(gan.train_step)(state, real(0.0), KEY)
        assert float(metrics["penalty"]) == 10.0 * step

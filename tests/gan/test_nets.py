"""What networks may be: conditioned, normalised, without parameters, with noise and collections of their own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax import GAN, Batch, conditioning, losses
from tests.gan.helpers import KEY, POINTS, dirac, normed, real
from tests.helpers import jit


class Fixed(nn.Module):
    """D(x) = 2 x."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return 2 * x[:, 0]


def test_a_player_without_parameters_stays_as_it_is() -> None:
    gan = dirac(losses.wasserstein()).replace(discriminator=Fixed())
    batch = real(0.0)
    state, metrics = gan.train_step(gan.init(KEY, batch), batch, KEY)
    assert float(metrics["estimate"]) == -2.0
    assert float(state.generator.params["theta"]) == pytest.approx(1.2)  # theta + lr d D(theta) / d theta


class Conditional(nn.Module):
    """G(z, y) = theta y."""

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        return self.param("theta", nn.initializers.constant(2.0), ()) * y.reshape(-1, 1)


class Judge(nn.Module):
    """D(x, y) = psi x + 100 y."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return self.param("psi", nn.initializers.ones, ()) * x[:, 0] + 100 * y


def conditional(**changes: Any) -> GAN:
    of_array = conditioning.Conditioning("data", lambda x, labels: labels, lambda rng, y: y, lambda rng, n: None)
    of_array = of_array._replace(**changes)
    return dirac(losses.wasserstein(), lr=0.0, generator=Conditional(), discriminator=Judge(), conditioning=of_array)


CONDITIONED = Batch(jnp.array([[[5.0], [7.0]]]), jnp.array([[1.0, 3.0]]))


def test_players_share_the_condition_of_the_batch() -> None:
    gan = conditional()
    _, metrics = jit(gan.train_step)(gan.init(KEY, CONDITIONED), CONDITIONED, KEY)
    # Real: ((5 + 100) + (7 + 300)) / 2; fake, x = 2 y: ((2 + 100) + (6 + 300)) / 2.
    np.testing.assert_allclose(metrics["d_real"], 206.0)
    np.testing.assert_allclose(metrics["d_fake"], 204.0)
    np.testing.assert_allclose(metrics["d_fake_after"], 204.0)


def test_fakes_may_have_conditions_of_their_own_in_both_steps() -> None:
    gan = conditional(for_fakes=lambda rng, y: y + 10)
    _, metrics = jit(gan.train_step)(gan.init(KEY, CONDITIONED), CONDITIONED, KEY)
    # Fake, y = 11, 13: ((22 + 1100) + (26 + 1300)) / 2.
    np.testing.assert_allclose(metrics["d_real"], 206.0)
    np.testing.assert_allclose(metrics["d_fake"], 1224.0)
    np.testing.assert_allclose(metrics["d_fake_after"], 1224.0)


def test_sample_obeys_the_condition_and_draws_one_when_none_is_given() -> None:
    gan = conditional(draw=lambda rng, n: jnp.arange(n, dtype=jnp.float32))
    state = jit(gan.init)(KEY, CONDITIONED)
    np.testing.assert_array_equal(gan.sample(state, KEY, 2, jnp.array([7.0, 7.0])), [[14.0], [14.0]])
    np.testing.assert_array_equal(gan.sample(state, KEY, 3), [[0.0], [2.0], [4.0]])


class Classifying(nn.Module):
    """D(x) = psi x, and (a x - 1)^2 sown for each example."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        a = self.param("a", nn.initializers.constant(0.5), ())
        self.sow("losses", "fit", jnp.square(a * x[:, 0] - 1))
        return self.param("psi", nn.initializers.zeros, ()) * x[:, 0]


def test_sown_losses_reach_both_players_and_not_the_estimate() -> None:
    gan = dirac(losses.wasserstein(), theta=3.0, lr=0.1, discriminator=Classifying())
    state, metrics = jit(gan.train_step)(gan.init(KEY, real(1.0, 4.0)), real(1.0, 4.0), KEY)
    # Real: ((-.5)^2 + 1^2) / 2 = .625; fake: .5^2 = .25; the adversarial part is 0.
    np.testing.assert_allclose(metrics["d_loss"], 0.875)
    np.testing.assert_allclose(metrics["estimate"], 0.0)
    # da = (2 * -.5 * 1 + 2 * 1 * 4) / 2 + 2 * .5 * 3 = 3.5 + 3; dpsi = 3 - 2.5.
    np.testing.assert_allclose(state.discriminator.params["a"], 0.5 - 0.65, rtol=1e-5)
    np.testing.assert_allclose(state.discriminator.params["psi"], -0.05, rtol=1e-5)
    # g_loss = .05 * 3 + (-.15 * 3 - 1)^2 = .15 + 2.1025; dtheta = .05 + 2 * -1.45 * -.15 = .485.
    np.testing.assert_allclose(metrics["g_loss"], 2.2525, rtol=1e-5)
    np.testing.assert_allclose(state.generator.params["theta"], 3 - 0.0485, rtol=1e-5)


class Pipe(nn.Module):
    """D(x) = BatchNorm(x)."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return nn.BatchNorm(not train, momentum=0.9)(x)[:, 0]


class Fan(nn.Module):
    """G = BatchNorm(0, 1, 2, ...)."""

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        return nn.BatchNorm(not train, momentum=0.9)(jnp.arange(len(z), dtype=jnp.float32).reshape(-1, 1))


def test_discriminator_sees_real_then_fake_each_by_its_own_statistics() -> None:
    gan = dirac(losses.wasserstein(), theta=5.0, lr=0.0, discriminator=Pipe())
    state, metrics = jit(gan.d_step)(gan.init(KEY, real(1.0, 3.0)), Batch(real(1.0, 3.0).x[0]), KEY)
    (stats,) = state.discriminator.collections["batch_stats"].values()
    # Real: mean 2, variance 1. Fake: mean 5, variance 0. .9 (.9 * 0 + .1 * 2) + .1 * 5; .9 (.9 * 1 + .1 * 1) + .1 * 0.
    np.testing.assert_allclose(stats["mean"], [0.68], rtol=1e-6)
    np.testing.assert_allclose(stats["var"], [0.9], rtol=1e-6)
    np.testing.assert_allclose(metrics["d_real"], 0.0, atol=1e-6)
    np.testing.assert_allclose(metrics["d_fake"], 0.0, atol=1e-6)


def test_generator_statistics_count_generator_updates_only() -> None:
    gan = dirac(losses.wasserstein(), lr=0.0, generator=Fan(), n_critic=3)
    batch = real(0.0, 0.0, 0.0, n_critic=3)
    state, _ = jit(gan.train_step)(gan.init(KEY, batch), batch, KEY)
    (stats,) = state.generator.collections["batch_stats"].values()
    # 0, 1, 2 have mean 1 and variance 2/3: .1 * 1 and .9 * 1 + .1 * 2/3.
    np.testing.assert_allclose(stats["mean"], [0.1], rtol=1e-6)
    np.testing.assert_allclose(stats["var"], [0.9666667], rtol=1e-6)


def test_samples_are_made_in_inference_mode() -> None:
    gan = dirac(losses.wasserstein(), generator=Fan())
    state = jit(gan.init)(KEY, real(0.0))
    # Mean 0 and variance 1 to begin with: 0, 1, 2 through 1 / sqrt(1 + 1e-5).
    np.testing.assert_allclose(gan.sample(state, KEY, 3), [[0.0], [1.0], [2.0]], rtol=1e-4)


class Noisy(nn.Module):
    """G(z) = theta + noise of its own, from two named streams and one that nobody declared."""

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        draws = [jax.random.normal(self.make_rng(name), z.shape) for name in ("noise", "dropout", "mine")]
        if not self.is_initializing():
            self.sow("losses", "size", jnp.square(z[:, 0]) * 0 + 7.0)
        return sum(draws) + self.param("theta", nn.initializers.zeros, ())


def test_generators_may_draw_noise_of_their_own_and_sow_losses() -> None:
    gan = dirac(losses.wasserstein(), psi=1.0, generator=Noisy(), n_critic=2, lr=0.0)
    batch = real(*[0.0] * 4000, n_critic=2)
    state, metrics = jit(gan.train_step)(gan.init(KEY, batch), batch, KEY)
    # psi = 1: g_loss = 7 - mean of the fakes, which have mean 0 and variance 3. Five standard errors.
    np.testing.assert_allclose(metrics["g_loss"] + metrics["d_fake_after"], 7.0, rtol=1e-6)
    assert abs(metrics["d_fake"]) < 5 * np.sqrt(3 / 4000)
    assert metrics["d_fake"] != metrics["d_fake_after"]
    samples = gan.sample(state, KEY, 4000)
    assert np.var(samples) == pytest.approx(3.0, rel=0.1)


class Counting(nn.Module):
    """D(x) = psi x, which counts its passes."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        count = self.variable("counters", "passes", lambda: jnp.zeros((), jnp.int32))
        if train:
            count.value += 1
        return self.param("psi", nn.initializers.ones, ()) * x[:, 0]


def test_nets_may_keep_collections_of_their_own() -> None:
    gan = dirac(losses.wasserstein(), discriminator=Counting(), n_critic=3)
    batch = real(0.0, n_critic=3)
    state, _ = jit(gan.train_step)(gan.init(KEY, batch), batch, KEY)
    assert int(state.discriminator.collections["counters"]["passes"]) == 6  # Real and fake of three updates.


class DropoutJudge(nn.Module):
    """D whose gradient depends on its stream "dropout"."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=not train)(nn.relu(nn.Dense(8)(x))))[:, 0]


def test_remat_nets_can_be_trained() -> None:
    gan = normed().replace(discriminator=nn.remat(DropoutJudge, static_argnums=(3,))())
    state, _ = jit(gan.train_step)(gan.init(KEY, POINTS), POINTS, KEY)
    assert int(state.step) == 1

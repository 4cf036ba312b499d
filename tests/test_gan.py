import dataclasses
import functools
import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax import lax

from gan_jax import GAN, Batch, GANState, Loss, conditioning, losses, penalties, priors, recipes, scheduled, schedules
from gan_jax.gan import Inputs
from gan_jax.nets import activations, mlp
from tests.helpers import assert_close, assert_same, differ, few, jit, stack, untyped

KEY = jax.random.key(0)
METRICS = {
    "d_loss", "penalty", "estimate", "d_real", "d_fake", "saturated", "d_grad", "g_loss", "d_fake_after", "g_grad"
}  # fmt: skip


class Position(nn.Module):
    """G(z) = theta: all fakes are one point of the line."""

    start: float = 1.0

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        return jnp.broadcast_to(self.param("theta", nn.initializers.constant(self.start), ()), (len(z), 1))


class Slope(nn.Module):
    """D(x) = psi x."""

    start: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return self.param("psi", nn.initializers.constant(self.start), ()) * x[:, 0]


def dirac(loss: Loss, *, theta: float = 1.0, psi: float = 1.0, lr: float = 0.1, **fields: Any) -> GAN:
    return GAN(
        **{"generator": Position(theta), "discriminator": Slope(psi), "prior": priors.normal(1)} | fields,
        loss=loss,
        g_optimizer=optax.sgd(lr),
        d_optimizer=optax.sgd(lr),
    )


def real(*values: float, n_critic: int = 1) -> Batch:
    """A minibatch of points of the line for each discriminator update."""
    return Batch(jnp.broadcast_to(jnp.array(values).reshape(1, -1, 1), (n_critic, len(values), 1)))


def positions(state: GANState) -> tuple[jax.Array, jax.Array]:
    return state.generator.params["theta"], state.discriminator.params["psi"]


def trajectory(gan: GAN, steps: int, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    def body(state: GANState, rng: jax.Array) -> tuple[GANState, Any]:
        state, _ = gan.train_step(state, batch, rng)
        return state, positions(state)

    _, path = jax.jit(lambda state, keys: lax.scan(body, state, keys))(
        gan.init(KEY, batch), jax.random.split(KEY, steps)
    )
    theta, psi = np.asarray(path, np.float64)
    return theta, psi


def sigmoid(t: float) -> float:
    return 1 / (1 + np.exp(-t))


# With data at 0 and t = psi theta: the derivatives of d_loss and g_loss in t.
DIRAC: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "minimax": (sigmoid, lambda t: -sigmoid(t)),
    "non_saturating": (sigmoid, lambda t: -sigmoid(-t)),
    "least_squares": (lambda t: t, lambda t: t - 1),
    "hinge": (lambda t: float(t > -1), lambda t: -1.0),
    "wasserstein": (lambda t: 1.0, lambda t: -1.0),
    "relativistic_pairing": (sigmoid, lambda t: -sigmoid(-t)),
}
# The derivative in psi of a penalty of weight 1/2: the gradient of psi x is psi everywhere.
PENALTIES: dict[str, Callable[[float], float]] = {
    "r1": lambda psi: psi / 2,
    "r2": lambda psi: psi / 2,
    "wgan_gp": lambda psi: (abs(psi) - 1) * np.sign(psi),
    "dragan": lambda psi: (abs(psi) - 1) * np.sign(psi),
}


@pytest.mark.parametrize(
    ("name", "penalty", "n_critic"),
    [(name, None, 1) for name in DIRAC] + [("non_saturating", penalty, 2) for penalty in PENALTIES],
)
def test_dirac_gan_follows_the_analytic_updates(name: str, penalty: str | None, n_critic: int) -> None:
    lr, theta, psi = 0.2, 0.9, -0.7
    fields = {} if penalty is None else {"penalty": getattr(penalties, penalty)(0.5)}
    gan = dirac(getattr(losses, name)(), theta=theta, psi=psi, lr=lr, n_critic=n_critic, **fields)
    d_slope, g_slope = DIRAC[name]
    expected = []
    for _ in range(20):
        for _ in range(n_critic):
            psi -= lr * (d_slope(psi * theta) * theta + (PENALTIES[penalty](psi) if penalty else 0.0))
        theta -= lr * g_slope(psi * theta) * psi
        expected.append((theta, psi))
    actual = np.stack(trajectory(gan, 20, real(0.0, 0.0, n_critic=n_critic)), axis=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_unpenalised_dirac_wasserstein_gan_circles_for_ever() -> None:
    lr = 0.1
    theta, psi = trajectory(dirac(losses.wasserstein(), theta=1.0, psi=0.0, lr=lr), 5000, real(0.0))
    # psi' = psi - h theta, theta' = theta + h psi' is symplectic: it conserves theta^2 + psi^2 - h theta psi.
    np.testing.assert_allclose(theta**2 + psi**2 - lr * theta * psi, 1.0, rtol=1e-4)
    # cos(angle) = 1 - h^2 / 2 a step: 5000 * .10004 / (2 pi) = 79.6 turns, each of which crosses psi = 0 twice.
    crossings = np.count_nonzero(np.diff(np.sign(psi[psi != 0])))
    assert crossings in (159, 160)


def test_unpenalised_dirac_minimax_gan_does_not_come_closer() -> None:
    theta, psi = trajectory(dirac(losses.minimax(), theta=1.0, psi=0.0, lr=0.1), 5000, real(0.0))
    assert np.hypot(theta, psi)[-200:].min() > 0.8
    assert theta[-200:].min() < -0.5
    assert theta[-200:].max() > 0.5


def test_unpenalised_dirac_non_saturating_gan_comes_closer_ever_more_slowly() -> None:
    lr, steps = 0.1, 5000
    theta, psi = trajectory(dirac(losses.non_saturating(), theta=1.0, psi=0.0, lr=lr), steps, real(0.0))
    # In continuous time (r^2)' = 2 t (sigmoid(-t) - sigmoid(t)) = -t^2 for a small t = psi theta; over a turn t^2 is
    # r^4 / 8 on average, so 1 / r^2 grows by 1/8 per unit of time, here to 1 + 500 / 8.
    last_turn = slice(-126, None)
    np.testing.assert_allclose((1 / (theta**2 + psi**2))[last_turn].mean(), 1 + lr * steps / 8, rtol=0.03)


def test_r1_makes_the_dirac_wasserstein_gan_converge_at_the_linear_rate() -> None:
    lr, gamma, steps = 0.1, 0.5, 200
    gan = dirac(losses.wasserstein(), theta=1.0, psi=0.5, lr=lr, penalty=penalties.r1(gamma))
    theta, psi = trajectory(gan, steps, real(0.0))
    # psi' = (1 - h gamma) psi - h theta; theta' = theta + h psi': determinant 1 - h gamma, so |lambda|^2 = .95.
    d_step = np.array([[1, 0], [-lr, 1 - lr * gamma]])
    g_step = np.array([[1, lr], [0, 1]])
    assert np.linalg.det(g_step @ d_step) == pytest.approx(0.95)
    expected = [np.linalg.matrix_power(g_step @ d_step, t) @ [1.0, 0.5] for t in range(1, steps + 1)]
    np.testing.assert_allclose(np.stack([theta, psi], axis=1), expected, atol=1e-5)
    # .95^100 = .0059.
    assert np.hypot(theta, psi)[-1] < 0.01


@pytest.mark.parametrize("name", ["minimax", "non_saturating"])
def test_r1_makes_the_dirac_gan_converge(name: str) -> None:
    gan = dirac(getattr(losses, name)(), theta=1.0, psi=0.0, lr=0.1, penalty=penalties.r1(1.0))
    theta, psi = trajectory(gan, 2000, real(0.0))
    assert np.hypot(theta, psi)[-1] < 1e-4


def test_metrics_by_hand() -> None:
    gan = dirac(losses.non_saturating(), theta=1.0, psi=np.log(3), lr=0.5, penalty=penalties.r1(2.0))
    state, metrics = jit(gan.train_step)(gan.init(KEY, real(0.0, 0.0)), real(0.0, 0.0), KEY)
    # D(x) = 1/2, D(G(z)) = sigmoid(log 3) = 3/4; d_loss = log 2 + log 4 = 3 log 2; R1 = 2/2 (log 3)^2.
    # psi' = log 3 - .5 (3/4 + 2 log 3) = -3/8; D(G(z)) afterwards sigmoid(-3/8); g_loss = log(1 + e^(3/8)).
    # The gradients are 3/4 + 2 log 3 and -3/8 sigmoid(3/8).
    expected = {
        "d_loss": 2.0794415,
        "penalty": 1.2069490,
        "estimate": -0.3465736,
        "d_real": 0.5,
        "d_fake": 0.75,
        "saturated": 0.0,
        "d_grad": 2.9472246,
        "g_loss": 0.8981233,
        "d_fake_after": 0.4073334,
        "g_grad": 0.2222500,
    }
    np.testing.assert_allclose(positions(state)[1], -0.375, rtol=1e-6)
    assert metrics.keys() == expected.keys() == METRICS
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("loss", "theta", "expected"),
    [
        # Probabilities .993, .982, .007 and 1/2 of the real examples, sigmoid(theta) of all generated ones.
        (losses.non_saturating(), 1.0, 1 / 8),
        (losses.non_saturating(), -5.0, 5 / 8),
        # Beyond the margin: 5 and 4 of the real ones.
        (losses.hinge(), 1.0, 2 / 8),
        (losses.hinge(), -1.5, 6 / 8),
        (losses.wasserstein(), -5.0, 0.0),
        # Each pair by itself: u = 5 - theta, 4 - theta, -5 - theta, -theta, and both derivatives are sigmoid(-u).
        (losses.relativistic_pairing(), -5.0, 3 / 4),
    ],
)
def test_outputs_on_which_d_s_loss_hardly_depends_are_saturated(loss: Loss, theta: float, expected: float) -> None:
    gan, batch = dirac(loss, theta=theta, psi=1.0), real(5.0, 4.0, -5.0, 0.0)
    for accumulate in (1, 2):
        _, metrics = jit(gan.replace(accumulate=accumulate).train_step)(gan.init(KEY, batch), batch, KEY)
        assert float(metrics["saturated"]) == expected


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


class Echo(nn.Module):
    """G(z) = theta + z."""

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        return z + self.param("theta", nn.initializers.zeros, (1, 1))


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
    state = gan.init(KEY, CONDITIONED)
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


def test_average_of_the_generator_by_hand() -> None:
    gan = dirac(losses.wasserstein(), theta=1.0, psi=1.0, lr=1.0, ema_decay=0.15).replace(d_optimizer=optax.sgd(0.0))
    state = gan.init(KEY, real(0.0))
    averages = []
    for _ in range(3):
        state, _ = gan.train_step(state, real(0.0), KEY)
        averages.append(float(state.ema["params"]["theta"]))
    # theta = 1, 2, 3, 4; decay min(.15, 1/10), min(.15, 2/11), min(.15, 3/12):
    # .1 * 1 + .9 * 2 = 1.9; .15 * 1.9 + .85 * 3 = 2.835; .15 * 2.835 + .85 * 4 = 3.82525.
    np.testing.assert_allclose(averages, [1.9, 2.835, 3.82525], rtol=1e-6)
    np.testing.assert_allclose(gan.sample(state, KEY, 1), [[3.82525]], rtol=1e-6)
    np.testing.assert_allclose(gan.generate(state.replace(ema=None), jnp.zeros((1, 1))), [[4.0]], rtol=1e-6)


class NormedGenerator(nn.Module):
    """x = w . BatchNorm(v . z)."""

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        return nn.Dense(2)(nn.tanh(nn.BatchNorm(not train, momentum=0.9)(nn.Dense(4)(z))))


class NormedDiscriminator(nn.Module):
    """D(x) = w . BatchNorm(x)."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return nn.Dense(1)(nn.tanh(nn.BatchNorm(not train, momentum=0.9)(x)))[:, 0]


def normed(**fields: Any) -> GAN:
    """A GAN with everything that a state can hold: momenta, batch statistics, an average."""
    return GAN(
        generator=NormedGenerator(),
        discriminator=NormedDiscriminator(),
        loss=losses.non_saturating(),
        g_optimizer=optax.sgd(0.05, momentum=0.9),
        d_optimizer=optax.sgd(0.1, momentum=0.5),
        prior=priors.normal(3),
        n_critic=2,
        ema_decay=0.9,
        **fields,
    )


POINTS = Batch(jnp.asarray(np.random.default_rng(0).normal(2, 3, size=(2, 8, 2)), jnp.float32))
MINIBATCH = Batch(POINTS.x[0])


@functools.cache
def normed_state(seed: int = 0) -> GANState:
    return jit(normed().init)(jax.random.key(seed), POINTS)


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
    state = gan.init(KEY, real(0.0))
    # Mean 0 and variance 1 to begin with: 0, 1, 2 through 1 / sqrt(1 + 1e-5).
    np.testing.assert_allclose(gan.sample(state, KEY, 3), [[0.0], [1.0], [2.0]], rtol=1e-4)


def run(train_step: Callable[..., Any], state: GANState, n: int) -> GANState:
    for i in range(n):
        state, _ = train_step(state, POINTS, jax.random.fold_in(KEY, i))
    return state


def test_jit_changes_nothing() -> None:
    gan = dirac(losses.non_saturating(), n_critic=2, generator=Echo(), penalty=penalties.wgan_gp(), ema_decay=0.9)
    batch = real(1.0, 2.0, n_critic=2)
    state = gan.init(KEY, batch)
    assert_close(jax.jit(gan.train_step)(state, batch, KEY), gan.train_step(state, batch, KEY))


def test_scan_gives_what_a_loop_gives() -> None:
    gan, state = normed(), normed_state()

    def body(state: GANState, i: jax.Array) -> tuple[GANState, Any]:
        return gan.train_step(state, POINTS, jax.random.fold_in(KEY, i))

    scanned, metrics = jit(lambda state: lax.scan(body, state, jnp.arange(4)))(state)
    assert_close(scanned, run(jit(gan.train_step), state, 4))
    assert {leaf.shape for leaf in jax.tree.leaves(metrics)} == {(4,)}


def test_vmap_over_seeds_gives_each_member_what_it_gets_alone() -> None:
    gan = normed()

    def member(rng: jax.Array) -> tuple[GANState, Any]:
        return gan.train_step(gan.init(rng, POINTS), POINTS, rng)

    keys = jax.random.split(KEY, 3)
    single = jit(member)
    alone = [single(rng) for rng in keys]
    assert_close(jit(jax.vmap(member))(keys), stack(*alone), rtol=1e-4, atol=1e-5)
    assert differ(alone[0], alone[1])


def test_traces_once_whatever_the_step_and_the_initial_state() -> None:
    gan = normed()
    traces = []

    @jit
    def train_step(state: GANState, batch: Batch, rng: jax.Array) -> Any:
        traces.append(None)
        return gan.train_step(state, batch, rng)

    run(train_step, normed_state(0), 3)
    run(train_step, normed_state(1), 2)
    assert len(traces) == 1


def test_state_may_be_donated() -> None:
    gan = normed()
    donating = jit(gan.train_step, donate_argnums=0)
    assert_close(run(donating, gan.init(KEY, POINTS), 2), run(jit(gan.train_step), normed_state(), 2))


def test_inputs_are_left_unchanged() -> None:
    gan = dirac(losses.wasserstein(), generator=Echo(), ema_decay=0.9)
    inputs = gan.init(KEY, real(1.0)), real(1.0), jax.random.key_data(KEY)
    copies = jax.tree.map(np.array, inputs)
    gan.train_step(inputs[0], inputs[1], jax.random.wrap_key_data(inputs[2]))
    assert_same(jax.tree.map(np.array, inputs), copies)


def test_a_step_is_a_function_of_its_key() -> None:
    gan, state = normed(), normed_state()
    train_step = jit(gan.train_step)
    assert_same(train_step(state, POINTS, KEY), train_step(state, POINTS, KEY))
    assert differ(train_step(state, POINTS, KEY), train_step(state, POINTS, jax.random.key(1)))


def test_state_is_arrays_only_and_states_of_two_gans_stack() -> None:
    first, second = normed_state(0), normed_state(1)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(first))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second)
    assert_same(jax.tree.map(lambda leaf: leaf[1], stacked), second)
    assert differ(first, second)


def test_init_looks_at_shapes_only() -> None:
    state = jit(normed().init)(KEY, Batch(jnp.full_like(POINTS.x, jnp.nan)))
    assert_same(state, normed_state())
    assert state.step.dtype == jnp.int32
    assert jax.eval_shape(normed().replace(ema_decay=None).init, KEY, POINTS).ema is None


def test_average_starts_at_the_generator() -> None:
    state = normed_state()
    assert_same(state.ema, state.generator.variables)


def test_numbers_may_be_traced_and_differ_per_member() -> None:
    def member(lr: jax.Array, gamma: jax.Array, decay: jax.Array) -> Any:
        gan = dirac(losses.wasserstein(), lr=lr, penalty=penalties.r1(gamma), ema_decay=decay)
        state, _ = gan.train_step(gan.init(KEY, real(0.0)), real(0.0), KEY)
        return (*positions(state), state.ema["params"]["theta"])

    theta, psi, average = jit(jax.vmap(member))(jnp.array([0.1, 0.5]), jnp.array([0.0, 2.0]), jnp.array([0.0, 0.9]))
    # psi' = 1 - lr (1 + gamma): .9, -.5; theta' = 1 + lr psi': 1.09, .75; averages theta' and .1 * 1 + .9 * .75.
    np.testing.assert_allclose(psi, [0.9, -0.5], rtol=1e-6)
    np.testing.assert_allclose(theta, [1.09, 0.75], rtol=1e-6)
    np.testing.assert_allclose(average, [1.09, 0.775], rtol=1e-6)


@pytest.mark.parametrize("method", ["init", "train_step"])
def test_batch_without_a_minibatch_per_critic_update_is_refused(method: str) -> None:
    gan = dirac(losses.wasserstein(), n_critic=2)
    state = gan.init(KEY, real(0.0, n_critic=2))
    calls = {"train_step": lambda batch: gan.train_step(state, batch, KEY), "init": lambda batch: gan.init(KEY, batch)}
    with pytest.raises(ValueError, match=r"n_critic=2.*\(3, 1, 1\)"):
        calls[method](real(0.0, n_critic=3))
    with pytest.raises(ValueError, match=r"n_critic=2"):
        calls[method](Batch(jnp.zeros((2, 4, 1)), jnp.zeros(4)))


@pytest.mark.parametrize("n_critic", [0, -1])
def test_n_critic_below_one_is_refused(n_critic: int) -> None:
    with pytest.raises(ValueError, match=f"n_critic must be at least 1, got {n_critic}"):
        dirac(losses.wasserstein(), n_critic=n_critic)
    with pytest.raises(ValueError, match="n_critic must be at least 1"):
        dirac(losses.wasserstein()).replace(n_critic=n_critic)


class Column(nn.Module):
    """The usual slip: logits [B, 1]."""

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        return nn.Dense(1)(x)


@pytest.mark.parametrize("step", ["d_step", "g_step"])
def test_logits_in_a_column_are_refused(step: str) -> None:
    gan = dirac(losses.wasserstein(), discriminator=Column())
    state = gan.init(KEY, real(0.0, 0.0))
    with pytest.raises(ValueError, match=r"logits \[B\] = \(2,\), got \(2, 1\)"):
        getattr(gan, step)(state, Batch(real(0.0, 0.0).x[0]), KEY)


def test_a_gan_is_a_frozen_value() -> None:
    gan = dirac(losses.wasserstein())
    with pytest.raises(dataclasses.FrozenInstanceError):
        gan.n_critic = 5  # type: ignore[misc]
    assert gan.replace(n_critic=5).n_critic == 5
    assert gan.n_critic == 1


@pytest.mark.parametrize("n_critic", [1, 3])
def test_a_step_by_hand_has_the_bits_of_train_step(n_critic: int) -> None:
    """Momenta, batch statistics, an average whose warm-up counts steps, and a schedule: all follow `g_step`."""
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
    for i in range(3):
        rng = jax.random.fold_in(KEY, i)
        with jax.disable_jit():  # Operation by operation: as one program, XLA would round each in its own way.
            ours, theirs = by_hand(ours, rng), gan.train_step(theirs, batch, rng)
        assert_same(ours, theirs)
        ours, theirs = ours[0], theirs[0]
    assert int(ours.step) == 3


def test_train_step_is_made_of_d_step_and_g_step() -> None:
    """A GAN that overrides a brick trains with its own."""

    @dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
    class Lazy(GAN):
        def d_step(self, state: GANState, *args: Any, **kwargs: Any) -> Any:
            _, metrics = super().d_step(state, *args, **kwargs)
            return state, metrics

    gan = dirac(losses.wasserstein())
    fields = {field.name: getattr(gan, field.name) for field in dataclasses.fields(gan)}
    state = gan.init(KEY, real(0.0))
    after, _ = Lazy(**fields).train_step(state, real(0.0), KEY)
    assert_same(after.discriminator, state.discriminator)
    assert differ(after.generator, state.generator)


def test_losses_are_those_that_the_steps_minimise() -> None:
    gan, state = normed(penalty=penalties.r1(0.3)), normed_state()
    fakes = gan.fakes(state, MINIBATCH, KEY)
    (_, (_, metrics)), gradient = jax.value_and_grad(gan.d_loss, has_aux=True)(
        state.discriminator.params, state, MINIBATCH, fakes, KEY
    )
    after, of_step = gan.d_step(state, MINIBATCH, KEY)
    assert_close(metrics | {"d_grad": optax.tree.norm(gradient)}, of_step)
    # SGD's first step with momentum: p - .1 g.
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.discriminator.params, gradient)
    assert_close(after.discriminator.params, expected)
    (value, (_, metrics)), gradient = jax.value_and_grad(gan.g_loss, has_aux=True)(
        state.generator.params, state, MINIBATCH, KEY
    )
    after, of_step = gan.g_step(state, MINIBATCH, KEY)
    assert_close(metrics | {"g_grad": optax.tree.norm(gradient)}, of_step)
    assert_close(value, metrics["g_loss"])
    assert_close(after.generator.params, jax.tree.map(lambda p, g: p - 0.05 * g, state.generator.params, gradient))


def test_fakes_are_what_the_generator_makes_of_its_inputs() -> None:
    gan = dirac(losses.wasserstein(), generator=Echo())
    state = gan.init(KEY, real(0.0, 0.0))
    minibatch = Batch(real(0.0, 0.0).x[0])
    inputs = gan.inputs(minibatch, KEY)
    assert isinstance(inputs, Inputs) and inputs.z.shape == (2, 1) and inputs.y is None
    np.testing.assert_array_equal(gan.fakes(state, minibatch, KEY).x, inputs.z)
    np.testing.assert_array_equal(gan.discriminate(state, inputs.z), inputs.z[:, 0])


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


class Smooth(nn.Module):
    """Two layers without batch statistics, a generator or a discriminator."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
        h = nn.Dense(self.features)(nn.tanh(nn.Dense(5)(x)))
        return h if self.features > 1 else h[:, 0]


@pytest.mark.parametrize("optimizer", [optax.sgd(0.1), optax.adam(0.01)], ids=["sgd", "adam"])
@pytest.mark.parametrize("parts", few([2, 4, 8], 4))
def test_accumulated_gradients_are_those_of_the_whole_minibatch(
    parts: int, optimizer: optax.GradientTransformation
) -> None:
    gan = normed(penalty=penalties.r1(0.5)).replace(
        generator=Smooth(2), discriminator=Smooth(1), g_optimizer=optimizer, d_optimizer=optimizer
    )
    state = gan.init(KEY, POINTS)
    whole = run(jit(gan.train_step), state, 3)
    accumulating = gan.replace(accumulate=parts)
    assert_close(run(jit(accumulating.train_step), state, 3), whole, rtol=1e-4, atol=1e-6)
    metrics = [jit(g.train_step)(state, POINTS, KEY)[1] for g in (gan, accumulating)]
    assert_close(*metrics, rtol=1e-4, atol=1e-6)


def test_minibatch_that_does_not_divide_is_refused() -> None:
    gan = normed().replace(accumulate=3)
    with pytest.raises(ValueError, match=r"minibatch of 8 .* accumulate=3"):
        gan.train_step(normed_state(), POINTS, KEY)
    with pytest.raises(ValueError, match="accumulate must be at least 1, got 0"):
        gan.replace(accumulate=0)


def test_schedules_follow_the_step_of_the_generator() -> None:
    # Slope -1: G moves by its rate each step, D by the mean of fakes times its own, whatever n_critic.
    rates = schedules.stages([1.0, 2.0, 4.0], 3)
    gan = dirac(losses.wasserstein(), theta=0.0, psi=1.0, n_critic=2).replace(
        g_optimizer=scheduled(optax.sgd, rates),
        d_optimizer=scheduled(optax.sgd, lambda step: 0.0 * step),
        ema_decay=schedules.stages([0.0, 0.05, 0.0], 3),
    )
    batch = real(0.0, n_critic=2)
    state, thetas, averages = gan.init(KEY, batch), [], []
    for _ in range(4):
        state, _ = jit(gan.train_step)(state, batch, KEY)
        thetas.append(float(state.generator.params["theta"]))
        averages.append(float(state.ema["params"]["theta"]))
    np.testing.assert_allclose(thetas, [1.0, 3.0, 7.0, 11.0])
    np.testing.assert_allclose(averages, [1.0, 0.05 * 1 + 0.95 * 3, 7.0, 11.0], rtol=1e-6)


def test_penalties_see_the_step() -> None:
    gan = dirac(losses.wasserstein(), penalty=lambda critic, real, fake, rng, step: 10.0 * step)
    state = gan.init(KEY, real(0.0))
    for step in range(3):
        state, metrics = jit(gan.train_step)(state, real(0.0), KEY)
        assert float(metrics["penalty"]) == 10.0 * step


def test_fields_are_given_by_name_alone() -> None:
    with pytest.raises(TypeError, match="positional"):
        GAN(Position(), Slope())  # type: ignore[misc]


SHAPE = (8, 8, 1)


def of_images(make: Any = recipes.cgan, **fields: Any) -> tuple[GAN, GANState]:
    gan = make(SHAPE, 3, width=4, latent=2).replace(**fields)
    return gan, jax.eval_shape(gan.init, KEY, images(gan))


def images(gan: GAN, x: Any = None, y: Any = None) -> Batch:
    x = jnp.zeros((gan.n_critic, 4, *SHAPE)) if x is None else x
    return Batch(x, jnp.zeros((gan.n_critic, 4), jnp.int32) if y is None and gan.conditioning.kind == "labels" else y)


WRONG_BATCHES = {
    "bytes": (
        {"x": jnp.zeros((1, 4, *SHAPE), jnp.uint8)},
        r"x must be float32 in data_range \(0\.0, 1\.0\), got uint8",
    ),
    "integers": ({"x": jnp.zeros((1, 4, *SHAPE), jnp.int32)}, "got int32"),
    "labels in a column": ({"y": jnp.zeros((1, 4, 1), jnp.int32)}, r"integers \[1, 4\].* got int32 \[1, 4, 1\]"),
    "float labels": ({"y": jnp.zeros((1, 4))}, "labels must be integers .* got float32"),
    "another number of labels": ({"y": jnp.zeros((1, 5), jnp.int32)}, r"leading axes \[1, 4\]"),
    "labels from one": ({"y": jnp.array([[1, 2, 3, 3]])}, "classes 0 to 2, got 1 to 3"),
}


# Numbers can't be looked at while they are traced.
@pytest.mark.parametrize(
    ("wrong", "compiled"), [(wrong, c) for wrong in WRONG_BATCHES for c in (False, True) if not c or "one" not in wrong]
)
@pytest.mark.parametrize("method", ["init", "train_step"])
@untyped()
def test_batches_of_the_wrong_kind_are_refused(method: str, wrong: str, compiled: bool) -> None:
    gan, abstract = of_images()
    changed, message = WRONG_BATCHES[wrong]
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), abstract)
    calls = {"init": lambda batch: gan.init(KEY, batch), "train_step": lambda batch: gan.train_step(state, batch, KEY)}
    call = jax.jit(calls[method]) if compiled else calls[method]
    with pytest.raises(ValueError, match=message):
        call(images(gan, **changed))


@pytest.mark.parametrize("method", ["d_step", "g_step", "fakes"])
@untyped()
def test_minibatches_of_the_wrong_kind_are_refused(method: str) -> None:
    gan, state = of_images()
    for batch in (
        Batch(jnp.zeros((4, *SHAPE), jnp.uint8), jnp.zeros(4, jnp.int32)),
        Batch(jnp.zeros((4, *SHAPE)), jnp.zeros((4, 1), jnp.int32)),
        Batch(jnp.zeros((4, *SHAPE))),
    ):
        with pytest.raises(ValueError, match=r"must be|is conditioned"):
            jax.eval_shape(lambda state: getattr(gan, method)(state, batch, KEY), state)  # noqa: B023


def test_conditions_of_an_unconditional_gan_are_refused() -> None:
    gan, state = of_images(recipes.gan)
    y = jnp.zeros((1, 4), jnp.int32)
    for call in (
        lambda state: gan.init(KEY, images(gan, y=y)),
        lambda state: gan.train_step(state, images(gan, y=y), KEY),
        lambda state: gan.sample(state, KEY, 4, y[0]),
        lambda state: gan.generate(state, jnp.zeros((4, 2)), y[0]),
        lambda state: gan.discriminate(state, jnp.zeros((4, *SHAPE)), y[0]),
    ):
        with pytest.raises(ValueError, match="unconditional and ignores y"):
            jax.eval_shape(call, state)


def pooled(**fields: Any) -> GAN:
    """A GAN whose discriminator takes images of any size."""

    class Pooling(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, y: Any, train: bool) -> jax.Array:
            return nn.Dense(1)(x.mean((1, 2)))[:, 0]

    return recipes.dcgan((16, 16, 1), width=4, latent=2).replace(discriminator=Pooling(), **fields)


def test_a_generator_of_another_shape_than_the_data_is_refused() -> None:
    gan, batch = pooled(), Batch(jnp.zeros((1, 4, *SHAPE)))
    with pytest.raises(ValueError, match=r"examples of shape \(16, 16, 1\) and the data has \(8, 8, 1\)"):
        jax.eval_shape(gan.init, KEY, batch)
    state = jax.eval_shape(gan.init, KEY, Batch(jnp.zeros((1, 4, 16, 16, 1))))
    with pytest.raises(ValueError, match=r"real examples have shape \(8, 8, 1\) and generated ones \(16, 16, 1\)"):
        jax.eval_shape(gan.train_step, state, batch, KEY)
    points = recipes.gan((2,), width=4).replace(generator=Position())
    with pytest.raises(ValueError, match=r"examples of shape \(1,\) and the data has \(2,\)"):
        points.init(KEY, Batch(jnp.zeros((1, 4, 2))))


@pytest.mark.parametrize("output", [nn.sigmoid, activations.sigmoid], ids=["flax", "ours"])
@pytest.mark.parametrize("net", [mlp.Generator, nn.remat(mlp.Generator, static_argnums=(3,))], ids=["net", "remat"])
def test_a_generator_that_can_not_reach_the_data_is_refused(output: Any, net: Any) -> None:
    gan, batch = recipes.gan(SHAPE, width=4, latent=2), Batch(jnp.zeros((1, 4, *SHAPE)))
    sigmoid, tanh = (gan.replace(generator=net(SHAPE, (4,), last)) for last in (output, jnp.tanh))
    jax.eval_shape(sigmoid.init, KEY, batch)
    jax.eval_shape(tanh.replace(data_range=(-1.0, 1.0)).init, KEY, batch)
    with pytest.raises(ValueError, match=r"between 0 and 1 and data_range is \(-1\.0, 1\.0\): set data_range"):
        jax.eval_shape(sigmoid.replace(data_range=(-1.0, 1.0)).init, KEY, batch)
    with pytest.raises(ValueError, match=r"between -1 and 1 and data_range is \(0\.0, 255\.0\)"):
        jax.eval_shape(tanh.replace(data_range=(0.0, 255.0)).init, KEY, batch)


@pytest.mark.parametrize("data_range", [(1.0, -1.0), (0.0, 0.0)])
def test_an_empty_data_range_is_refused(data_range: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="low < high"):
        recipes.gan(SHAPE).replace(data_range=data_range)


@untyped()
def test_labels_to_sample_may_be_one_a_list_or_an_array() -> None:
    gan, _ = of_images(recipes.cgan)
    state = jit(gan.init)(KEY, images(gan))
    expected = gan.sample(state, KEY, 3, jnp.array([2, 2, 2]))
    for y in (2, [2, 2, 2], np.array([2, 2, 2]), np.int32(2)):
        assert_same(gan.sample(state, KEY, 3, y), expected)
    assert_same(
        gan.generate(state, np.zeros((2, 2), np.float32), [1, 0]),
        gan.generate(state, jnp.zeros((2, 2)), jnp.array([1, 0])),
    )


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 1], r"leading axes \[3\]"),
        (3, "classes 0 to 2, got 3 to 3"),
        ([-1, 0, 1], "got -1 to 1"),
        (1.0, "got float32"),
        (np.ones((3, 1), np.int32), r"got int32 \[3, 1\]"),
    ],
)
def test_labels_that_can_not_be_sampled_are_refused(y: Any, message: str) -> None:
    gan, abstract = of_images()
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), abstract)
    with pytest.raises(ValueError, match=message):
        gan.sample(state, KEY, 3, y)


@untyped()
def test_bytes_are_not_discriminated() -> None:
    gan, state = of_images(recipes.gan)
    with pytest.raises(ValueError, match="got uint8"):
        jax.eval_shape(lambda state: gan.discriminate(state, np.zeros((4, *SHAPE), np.uint8)), state)


def test_a_gan_with_optax_own_optimizers_is_pickled_once_they_are_scheduled() -> None:
    gan = recipes.gan((2,), width=4).replace(g_optimizer=optax.adam(1e-3))
    with pytest.raises((AttributeError, pickle.PicklingError), match="local object"):
        pickle.dumps(gan)
    again = pickle.loads(pickle.dumps(gan.replace(g_optimizer=scheduled(optax.adam, 1e-3))))
    params = {"w": jnp.ones(2)}
    updates = [o.update(params, o.init(params), params)[0] for o in (gan.g_optimizer, again.g_optimizer)]
    assert_same(*updates)

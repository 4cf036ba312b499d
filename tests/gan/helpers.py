"""GANs small enough for hand arithmetic: of two numbers, and of two dense layers with BatchNorm."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from gan_jax import GAN, Batch, GANState, Loss, losses, priors
from tests.helpers import jit

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


class Echo(nn.Module):
    """G(z) = theta + z."""

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        return z + self.param("theta", nn.initializers.zeros, (1, 1))


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


def run(train_step: Callable[..., Any], state: GANState, n: int) -> GANState:
    for i in range(n):
        state, _ = train_step(state, POINTS, jax.random.fold_in(KEY, i))
    return state

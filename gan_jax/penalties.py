"""Gradient penalties: pure functions of a critic.

A penalty is any function `penalty(critic, real, fake, rng) -> scalar` that is added to the discriminator's loss.
`critic` maps data `[B, ...]` to logits `[B]` and is already closed over D's parameters and the labels of the *real*
batch: a conditional recipe that penalises at fakes or in between must give fakes the same labels (`GAN.pair` left at
its default). The weights only scale numbers, so they may be traced arrays, one per member of a population.
A new penalty is a new function of this form; `total` adds several.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Data = Float[Array, "batch *shape"]
Critic = Callable[[Data], Float[Array, " batch"]]
Penalty = Callable[[Critic, Data, Data, PRNGKeyArray], Float[Array, ""]]
Weight = float | Float[Array, ""]


def _squared_gradient_norms(critic: Critic, x: Data) -> Float[Array, " batch"]:
    """`||d critic(x)_i / d x_i||^2` for every example, `[B]`; exact where no BatchNorm mixes examples."""
    gradients = jax.grad(lambda x: jnp.sum(critic(x)))(x)
    return jnp.sum(jnp.square(gradients), axis=tuple(range(1, x.ndim)))


def _norms(squared: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """Square root whose gradient at 0 is 0 instead of NaN: a critic that is constant somewhere is no error."""
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


def _per_example(rng: PRNGKeyArray, x: Data) -> Float[Array, "batch *ones"]:
    return jax.random.uniform(rng, (x.shape[0],) + (1,) * (x.ndim - 1), x.dtype)


def wgan_gp(weight: Weight = 10.0) -> Penalty:
    """WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028, eq. 3).

    weight * E (||grad D(e x + (1 - e) G(z))|| - 1)^2 with e ~ U(0, 1) per example.
    """

    def penalty(critic: Critic, real: Data, fake: Data, rng: PRNGKeyArray) -> Float[Array, ""]:
        between = fake + _per_example(rng, real) * (real - fake)
        return weight * jnp.mean(jnp.square(_norms(_squared_gradient_norms(critic, between)) - 1))

    return penalty


def dragan(weight: Weight = 10.0, radius: Weight = 0.5) -> Penalty:
    """DRAGAN (Kodali et al. 2017, arXiv:1705.07215): the WGAN-GP penalty around the data alone.

    weight * E (||grad D(x + d)|| - 1)^2 with d = a * radius * std(x) * u, u ~ U(0, 1) per pixel and a ~ U(0, 1) per
    example, as in the authors' code (the paper's text has Gaussian noise); std is over the whole batch.
    """

    def penalty(critic: Critic, real: Data, fake: Data, rng: PRNGKeyArray) -> Float[Array, ""]:
        noise_rng, length_rng = jax.random.split(rng)
        noise = radius * jnp.std(real) * jax.random.uniform(noise_rng, real.shape, real.dtype)
        nearby = real + _per_example(length_rng, real) * noise
        return weight * jnp.mean(jnp.square(_norms(_squared_gradient_norms(critic, nearby)) - 1))

    return penalty


def r1(gamma: Weight = 10.0) -> Penalty:
    """R1 (Mescheder et al. 2018, arXiv:1801.04406, eq. 9): gamma / 2 * E ||grad D(x)||^2 on real data."""
    return lambda critic, real, fake, rng: gamma / 2 * jnp.mean(_squared_gradient_norms(critic, real))


def r2(gamma: Weight = 10.0) -> Penalty:
    """R2 (Mescheder et al. 2018, arXiv:1801.04406, eq. 10): gamma / 2 * E ||grad D(G(z))||^2 on generated data."""
    return lambda critic, real, fake, rng: gamma / 2 * jnp.mean(_squared_gradient_norms(critic, fake))


def total(*penalties: Penalty) -> Penalty:
    """The sum of several penalties, each with a key of its own."""

    def penalty(critic: Critic, real: Data, fake: Data, rng: PRNGKeyArray) -> Float[Array, ""]:
        keys = jax.random.split(rng, len(penalties))
        return sum(
            (term(critic, real, fake, key) for term, key in zip(penalties, keys, strict=True)), start=jnp.zeros(())
        )

    return penalty

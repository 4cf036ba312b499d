"""Gradient penalties: pure functions of a critic.

A penalty is any function `penalty(critic, real, fake, rng, step) -> scalar` that is added to the discriminator's loss:
`critic` maps data `[B, *shape]` to logits `[B]` and is closed over D's parameters and the labels of the *real* batch,
so a conditional recipe that penalises at fakes or in between must generate fakes of the same labels
(`conditioning.labels` without `resample`); `real` and `fake` are `[B, *shape]`; `step` is the number of generator
updates so far. Numbers only scale, so they may be traced scalars (one per member of a population) or schedules. A new
penalty is a new function of this form; `total` adds several, `lazy` evaluates one every few steps. Those made here can
be pickled.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gan_jax.schedules import at
from gan_jax.typing import Critic, Data, Key, Number, Scalar, Step

Penalty = Callable[[Critic, Data, Data, Key, Step], Scalar]
GPenalty = Callable[[Data, Data, Step], Scalar]
"""`(real, fake, step) -> scalar`, added to the generator's loss; example by example both have the same condition."""


def none(critic: Critic, real: Data, fake: Data, rng: Key, step: Step) -> Scalar:
    """No penalty: 0."""
    return jnp.zeros(())


def no_distance(real: Data, fake: Data, step: Step) -> Scalar:
    """No term that compares with the data: 0."""
    return jnp.zeros(())


def l1(weight: Number = 100.0) -> GPenalty:
    """weight * E |x - G(z, y)|, the mean over examples and pixels (Isola et al. 2017, arXiv:1611.07004, eq. 3).

    Args:
      weight: the paper's lambda, for images in [-1, 1].
    """
    return functools.partial(_l1, weight)


def _l1(weight: Number, real: Data, fake: Data, step: Step) -> Scalar:
    return at(weight, step) * jnp.mean(jnp.abs(real - fake))


def _squared_gradient_norms(critic: Critic, x: Data) -> Float[Array, " batch"]:
    """`||d critic(x)_i / d x_i||^2` for every example, `[B]`; exact where no BatchNorm mixes examples."""
    gradients = jax.grad(lambda x: jnp.sum(critic(x)))(x)
    return jnp.sum(jnp.square(gradients), axis=tuple(range(1, x.ndim)))


def _norms(squared: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """Square root whose gradient at 0 is 0 instead of NaN: a critic may be constant somewhere."""
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


def _per_example(rng: Key, x: Data) -> Float[Array, "batch *ones"]:
    return jax.random.uniform(rng, (x.shape[0],) + (1,) * (x.ndim - 1), x.dtype)


def wgan_gp(weight: Number = 10.0) -> Penalty:
    """WGAN-GP (Gulrajani et al. 2017, arXiv:1704.00028, eq. 3).

    weight * E (||grad D(e x + (1 - e) G(z))|| - 1)^2 with e ~ U(0, 1) per example.

    Args:
      weight: the paper's lambda.
    """

    return functools.partial(_wgan_gp, weight)


def _wgan_gp(weight: Number, critic: Critic, real: Data, fake: Data, rng: Key, step: Step) -> Scalar:
    between = fake + _per_example(rng, real) * (real - fake)
    return at(weight, step) * jnp.mean(jnp.square(_norms(_squared_gradient_norms(critic, between)) - 1))


def dragan(weight: Number = 10.0, radius: Number = 0.5, *, axis_name: str | None = None) -> Penalty:
    """DRAGAN (Kodali et al. 2017, arXiv:1705.07215): the WGAN-GP penalty around the data alone.

    weight * E (||grad D(x + d)|| - 1)^2 with d = a * radius * std(x) * u, u ~ U(0, 1) per pixel and a ~ U(0, 1) per
    example, as in the authors' code (the paper's text has Gaussian noise); std is over the whole batch.

    Args:
      weight: the paper's lambda.
      radius: length of the noise, in standard deviations of the data.
      axis_name: that of the GAN, over whose devices std is taken too; None for the minibatch that the penalty is given.
    """
    return functools.partial(_dragan, weight, radius, axis_name)


def _dragan(
    weight: Number, radius: Number, axis_name: str | None, critic: Critic, real: Data, fake: Data, rng: Key, step: Step
) -> Scalar:
    noise_rng, length_rng = jax.random.split(rng)
    noise = at(radius, step) * _std(real, axis_name) * jax.random.uniform(noise_rng, real.shape, real.dtype)
    nearby = real + _per_example(length_rng, real) * noise
    return at(weight, step) * jnp.mean(jnp.square(_norms(_squared_gradient_norms(critic, nearby)) - 1))


def _std(x: Data, axis_name: str | None) -> Scalar:
    if axis_name is None:
        return jnp.std(x)
    mean = lax.pmean(jnp.mean(x), axis_name)
    return jnp.sqrt(lax.pmean(jnp.mean(jnp.square(x - mean)), axis_name))


def r1(gamma: Number = 10.0) -> Penalty:
    """R1 (Mescheder et al. 2018, arXiv:1801.04406, eq. 9): gamma / 2 * E ||grad D(x)||^2 on real data.

    Args:
      gamma: weight of the penalty, of which the paper's formula takes half.
    """
    return functools.partial(_r1, gamma)


def _r1(gamma: Number, critic: Critic, real: Data, fake: Data, rng: Key, step: Step) -> Scalar:
    return at(gamma, step) / 2 * jnp.mean(_squared_gradient_norms(critic, real))


def r2(gamma: Number = 10.0) -> Penalty:
    """R2 (Mescheder et al. 2018, arXiv:1801.04406, eq. 10): gamma / 2 * E ||grad D(G(z))||^2 on generated data.

    Args:
      gamma: weight of the penalty, of which the paper's formula takes half.
    """
    return functools.partial(_r2, gamma)


def _r2(gamma: Number, critic: Critic, real: Data, fake: Data, rng: Key, step: Step) -> Scalar:
    return at(gamma, step) / 2 * jnp.mean(_squared_gradient_norms(critic, fake))


def total(*penalties: Penalty) -> Penalty:
    """The sum of several penalties, each with its own key."""
    return functools.partial(_total, penalties)


def _total(penalties: tuple[Penalty, ...], critic: Critic, real: Data, fake: Data, rng: Key, step: Step) -> Scalar:
    keys = jax.random.split(rng, len(penalties))
    return sum(
        (term(critic, real, fake, key, step) for term, key in zip(penalties, keys, strict=True)), start=jnp.zeros(())
    )


def lazy(penalty: Penalty, *, every: int) -> Penalty:
    """The penalty at every `every`-th step only, weighted by `every`: lazy regularisation.

    Karras et al. 2020 (arXiv:1912.04958, section 3.1). Its mean over steps is the penalty's, at a fraction of the cost,
    except under `vmap`, which evaluates it at every step. A step is a generator update: either all n_critic
    discriminator updates of a step have the penalty or none. StyleGAN2 also adapts Adam's rate and betas to the fewer
    updates; that is left to the caller.

    Args:
      penalty: what to evaluate.
      every: steps from one evaluation to the next, at least 1.

    Raises:
      ValueError: `every` is below 1.
    """
    if every < 1:
        raise ValueError(f"a lazy penalty is evaluated every k-th step, k >= 1, got every={every}")
    return functools.partial(_lazy, penalty, every)


def _lazy(penalty: Penalty, every: int, critic: Critic, real: Data, fake: Data, rng: Key, step: Step) -> Scalar:
    # Not a constant: under shard_map both branches must vary over the same axes.
    nothing = jnp.sum(real[:0])
    return lax.cond(step % every == 0, lambda: every * penalty(critic, real, fake, rng, step), lambda: nothing)


PENALTIES: Mapping[str, Callable[[Number], Penalty]] = {
    penalty.__name__: penalty for penalty in (wgan_gp, dragan, r1, r2)
}
"""Penalties by name, each a function of its weight, for command lines."""

"""Rejection sampling from a trained generator (discriminator rejection sampling: Azadi et al. 2019, arXiv:1810.06758).

A discriminator at the optimum of its cross-entropy has the logit log r, r = p_data(x | y) / p_g(x | y) (Goodfellow et
al. 2014, proposition 1). A sample that is accepted with probability min(1, r / M) has a density proportional to
min(p_data, M p_g): the data's, except where G's density is less than 1 / M of it.

    params, losses = train_ratio(net, gan, state, examples, rng, steps=2000, batch_size=64)
    p = acceptance(log_ratio(net, params, gan, samples), 0.25)

We differ from the paper in the net: ours is trained separately, against the finished generator. The GAN's own D was
trained against earlier generators, and under most losses and norms its logit is not log r. Where the paper has a shift
gamma, we have the share of accepted samples. A net that tells real from generated without fail, from imperceptible
texture, carries no other information: look at its loss.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float

from gan_jax import losses
from gan_jax.checks import is_concrete
from gan_jax.examples import count
from gan_jax.gan import GAN, GANState
from gan_jax.training import Examples, as_batch, from_uint8, to_uint8
from gan_jax.typing import Data, Key, Params

_HALVINGS = 60


def train_ratio(
    net: Any,
    gan: GAN,
    state: GANState,
    data: Examples,
    rng: Key,
    *,
    steps: int,
    batch_size: int,
    lr: float = 1e-3,
) -> tuple[Params, Float[Array, " steps"]]:
    """Trains a net on the cross-entropy of real against generated examples, by Adam.

    Generated images are those of `gan.generate`, rounded to 8 bits like the real ones, under the conditions of the real
    minibatch. The learning rate falls to 0 along a cosine. Chance is a loss of 2 log 2 nats.

    Args:
      net: Flax module, `(x [B, *shape], y, train) -> logits [B]`, x in `gan.data_range`, such as a discriminator of
        `gan_jax.nets` without batch statistics; static.
      gan, state: the trained GAN; the GAN is static.
      data: the whole training set, leaves `[N, ...]`.
      rng: decides initialisation, minibatches and samples.
      steps, batch_size: updates, and examples of each kind per update; static.
      lr: Adam's first learning rate.

    Returns:
      The net's parameters, and the loss of every step, nats `[steps]`.

    Raises:
      ValueError: x and labels are not equally many, images are not uint8, or the net's logits are not `[B]`.
    """
    n = count(data)
    init_rng, rng = jax.random.split(rng)
    optimizer = optax.adam(optax.cosine_decay_schedule(lr, steps))
    one = as_batch(gan, jax.tree.map(lambda leaf: leaf[:1], data))
    params = net.init(init_rng, one.x, one.y, False)["params"]
    cross_entropy = losses.non_saturating()

    def body(carry: tuple[Params, Any], step: Array) -> tuple[tuple[Params, Any], Array]:
        params, opt_state = carry
        draw_rng, z_rng, real_rng, fake_rng = jax.random.split(jax.random.fold_in(rng, step), 4)
        indices = jax.random.randint(draw_rng, (batch_size,), 0, n)
        x, y = as_batch(gan, jax.tree.map(lambda leaf: leaf[indices], data))
        fake = _as_stored(gan, gan.generate(state, gan.prior(z_rng, batch_size), y))

        def loss_of(params: Params) -> Array:
            def logits(x: Data, rng: Key) -> Array:
                found = net.apply({"params": params}, x, y, True, rngs={"dropout": rng})
                if found.shape != (batch_size,):
                    raise ValueError(f"the net must return logits [B] = {(batch_size,)}, got {found.shape}")
                return found

            return cross_entropy.d(logits(x, real_rng), logits(fake, fake_rng))

        loss, gradients = jax.value_and_grad(loss_of)(params)
        updates, opt_state = optimizer.update(gradients, opt_state)
        return (optax.apply_updates(params, updates), opt_state), loss

    (params, _), history = lax.scan(body, (params, optimizer.init(params)), jnp.arange(steps))
    return params, history


def log_ratio(net: Any, params: Params, gan: GAN, examples: Examples) -> Float[Array, " n"]:
    """log r of stored examples, nats `[N]`.

    Args:
      net, params: what `train_ratio` trained.
      gan: the GAN; its generator is not used.
      examples: uint8 images or float32 points, and labels if the GAN is conditioned on them, leaves `[N, ...]`.

    Raises:
      ValueError: x and labels are not equally many, or images are not uint8.
    """
    count(examples)
    x, y = as_batch(gan, examples)
    return net.apply({"params": params}, x, y, False)


def acceptance(log_ratios: Float[Array, " n"], share: float) -> Float[Array, " n"]:
    """Each sample's probability of being accepted, min(1, r / M) in [0, 1].

    Args:
      log_ratios: log r of samples, nats `[N]`.
      share: mean of the result, in (0, 1), which decides M.

    Raises:
      ValueError: share is not in (0, 1).
    """
    if is_concrete(share) and not 0 < share < 1:
        raise ValueError(f"the accepted share must be between 0 and 1, got {share}")

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        too_many = jnp.mean(accepted(middle)) > share
        return jnp.where(too_many, middle, low), jnp.where(too_many, high, middle)

    def accepted(log_m: Array) -> Array:
        return jnp.exp(jnp.minimum(log_ratios - log_m, 0))

    ends = jnp.min(log_ratios), jnp.max(log_ratios) - jnp.log(share)
    return accepted(lax.fori_loop(0, _HALVINGS, halve, ends)[1])


def _as_stored(gan: GAN, x: Data) -> Data:
    return from_uint8(to_uint8(x, gan.data_range), gan.data_range) if x.ndim == 4 else x

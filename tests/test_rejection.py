from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax import GAN, recipes, rejection, training
from gan_jax.nets import heads, mlp
from gan_jax.training import Examples
from tests.helpers import jit, untyped

KEY = jax.random.key(0)


def test_acceptance_by_hand() -> None:
    # M = 4: (1 + 1/2 + 1/4 + 1/4) / 4 = 1/2.
    p = rejection.acceptance(jnp.log(jnp.array([4.0, 2.0, 1.0, 1.0])), 0.5)
    np.testing.assert_allclose(p, [1, 0.5, 0.25, 0.25], rtol=1e-5)


@pytest.mark.parametrize("share", [0.03, 0.25, 0.9])
def test_share_is_what_is_accepted_whatever_the_scale_of_the_ratios(share: float) -> None:
    log_ratios = 5 * jax.random.normal(KEY, (1000,))
    p = rejection.acceptance(log_ratios, share)
    assert float(p.mean()) == pytest.approx(share, rel=1e-4)
    assert float(p.max()) <= 1
    np.testing.assert_allclose(rejection.acceptance(log_ratios + 7, share), p, rtol=1e-4)


class Shift(nn.Module):
    """G(z, y) = z + y / 2."""

    @nn.compact
    def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
        return z + y[:, None] / 2


def _gaussian() -> GAN:
    """Fakes N(y / 2, 1) for y in {0, 1}."""
    gan = recipes.cgan((1,), 2, width=8, latent=1)
    return gan.replace(generator=Shift(), prior=lambda rng, n: jax.random.normal(rng, (n, 1)))


@pytest.mark.slow
def test_ratio_of_gaussians() -> None:
    gan = _gaussian()
    labels = jax.random.bernoulli(KEY, 0.3, (20_000,)).astype(jnp.int32)
    data = Examples(1 + 0.7 * jax.random.normal(jax.random.key(1), (20_000, 1)), labels)
    state = jit(training.initial_state, static_argnums=0)(gan, KEY, data)
    net = mlp.Discriminator((64, 64), heads.Projection(2))
    run = jit(rejection.train_ratio, static_argnames=("net", "gan", "steps", "batch_size"))
    params, losses = run(net, gan, state, data, KEY, steps=2000, batch_size=256)
    assert losses.shape == (2000,)
    assert float(losses[0]) == pytest.approx(2 * np.log(2), abs=0.5)

    for y in (0, 1):
        x = jnp.linspace(-0.4, 2, 10)
        found = rejection.log_ratio(net, params, gan, Examples(x[:, None], jnp.full(10, y)))
        # log N(x; 1, .49) - log N(x; y / 2, 1).
        truth = -((x - 1) ** 2) / (2 * 0.49) - np.log(0.7) + (x - y / 2) ** 2 / 2
        np.testing.assert_allclose(found, truth, atol=0.25)


def test_what_is_accepted_is_distributed_as_the_data() -> None:
    z = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    log_ratios = jnp.asarray(-((z - 1) ** 2) / (2 * 0.25) - np.log(0.5) + z**2 / 2)
    # The largest ratio is that at x = 4 / 3, 2 exp(2 / 3): a share below its inverse, .257, is exact.
    p = np.asarray(rejection.acceptance(log_ratios, 0.2))
    x = z[np.random.default_rng(1).random(len(z)) < p]
    assert (x.mean(), x.std()) == pytest.approx((1, 0.5), abs=0.02)


def test_images_are_compared_as_they_are_stored() -> None:
    """A generator whose images are the real ones but for less than half a grey level can't be told from the data."""

    class Grey(nn.Module):
        @nn.compact
        def __call__(self, z: jax.Array, y: Any, train: bool) -> jax.Array:
            return jnp.full((len(z), 8, 8, 1), 100.3 / 255)

    gan = recipes.gan((8, 8, 1), width=4).replace(generator=Grey())
    data = Examples(jnp.full((10, 8, 8, 1), 100, jnp.uint8))
    state = jit(training.initial_state, static_argnums=0)(gan, KEY, data)
    net = mlp.Discriminator((8,), heads.Logit())
    _, losses = jit(rejection.train_ratio, static_argnames=("net", "gan", "steps", "batch_size"))(
        net, gan, state, data, KEY, steps=50, batch_size=8
    )
    # Equal logits l of both: softplus(l) + softplus(-l) is 2 log 2 at l = 0 and larger elsewhere.
    assert float(losses.min()) >= 2 * np.log(2) - 1e-6
    assert float(losses[-1]) == pytest.approx(2 * np.log(2), abs=1e-3)


@pytest.mark.parametrize("share", [0.0, 1.0, 25.0])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rejection.acceptance(jnp.zeros(4), share)


@untyped()
def test_data_and_nets_of_the_wrong_kind_are_refused() -> None:
    gan, net = _gaussian(), mlp.Discriminator((8,), heads.Logit())
    right = Examples(jnp.zeros((5, 1)), jnp.zeros(5, jnp.int32))
    state = jit(training.initial_state, static_argnums=0)(gan, KEY, right)

    def ratio(net: Any, data: Examples) -> Any:
        return jax.eval_shape(lambda: rejection.train_ratio(net, gan, state, data, KEY, steps=1, batch_size=4))

    with pytest.raises(ValueError, match="equally many"):
        ratio(net, right._replace(labels=jnp.zeros(4, jnp.int32)))
    with pytest.raises(ValueError, match=r"logits \[B\] = \(4,\), got \(4, 8\)"):
        ratio(mlp.Discriminator((8,), heads.Features()), right)
    params, _ = rejection.train_ratio(net, gan, state, right, KEY, steps=1, batch_size=4)
    with pytest.raises(ValueError, match="equally many"):
        rejection.log_ratio(net, params, gan, right._replace(labels=jnp.zeros(4, jnp.int32)))

"""Heads: the last layer of a discriminator, from features `[B, F]` and perhaps the condition to logits `[B]`."""

from typing import Any

import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.layers import Initializer, leaky_relu

Features = Float[Array, "batch features"]
Logits = Float[Array, " batch"]


def _linear(head: "Logit | Projection", h: Features, train: bool) -> Logits:
    layer: Any = nn.Dense(1, kernel_init=head.kernel_init)
    if head.spectral_norm:
        return nn.SpectralNorm(layer)(h, update_stats=train)[:, 0]
    return layer(h)[:, 0]


class Logit(nn.Module):
    """One linear logit. The condition, if there is one, has entered at the input."""

    kernel_init: Initializer = nn.initializers.lecun_normal()
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, h: Features, y: Array | None, train: bool) -> Logits:
        return _linear(self, h, train)


class Projection(nn.Module):
    """psi(h) + <V_y, h>: the projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637, eq. 3)."""

    num_classes: int
    kernel_init: Initializer = nn.initializers.lecun_normal()
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, h: Features, y: Array | None, train: bool) -> Logits:
        embed: Any = nn.Embed(self.num_classes, h.shape[-1])
        v = nn.SpectralNorm(embed)(y, update_stats=train) if self.spectral_norm else embed(y)
        return _linear(self, h, train) + jnp.sum(v * h, axis=-1)


class Classify(nn.Module):
    """A logit, and a classifier whose cross-entropy `[B]` against y is sown into "losses" for both players.

    The log-likelihood L_C of AC-GAN (Odena et al. 2017, arXiv:1610.09585, eq. 3).
    """

    num_classes: int
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, h: Features, y: Array | None, train: bool) -> Logits:
        class_logits = nn.Dense(self.num_classes, kernel_init=self.kernel_init)(h)
        self.sow("losses", "class", optax.softmax_cross_entropy_with_integer_labels(class_logits, y))
        return nn.Dense(1, kernel_init=self.kernel_init)(h)[:, 0]


class Hidden(nn.Module):
    """A dense layer of leaky ReLUs before another head: `features` combinations of what the convolutions found."""

    features: int
    head: nn.Module
    kernel_init: Initializer = nn.initializers.lecun_normal()
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, h: Features, y: Array | None, train: bool) -> Logits:
        layer: Any = nn.Dense(self.features, kernel_init=self.kernel_init)
        h = nn.SpectralNorm(layer)(h, update_stats=train) if self.spectral_norm else layer(h)
        return self.head(leaky_relu(h), y, train)

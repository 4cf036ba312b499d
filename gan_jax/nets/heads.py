"""Heads: the last layer of a discriminator, from features `[B, F]` and perhaps the condition to logits `[B]`."""

import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.inits import lecun_normal
from gan_jax.nets.spectral import maybe_spectral
from gan_jax.typing import Condition, Initializer, Logits

Vectors = Float[Array, "batch features"]


class Logit(nn.Module):
    """h `[B, F]` to logits `[B]`, linear. A condition, if any, has entered the net at its input.

    Attributes:
      kernel_init: initialiser of the weight `[F, 1]`.
      spectral_norm: divide the weight by its largest singular value.
    """

    kernel_init: Initializer = lecun_normal()
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, h: Vectors, y: Condition, train: bool) -> Logits:
        return maybe_spectral(nn.Dense(1, kernel_init=self.kernel_init), self.spectral_norm, train)(h)[:, 0]


class Projection(nn.Module):
    """h `[B, F]` and labels y int `[B]` to logits `[B]`, psi(h) + <V_y, h>, psi linear.

    The projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637, eq. 3).

    Attributes:
      num_classes: K, the number of labels; V is `[K, F]`.
      kernel_init: initialiser of psi's weight `[F, 1]`.
      spectral_norm: divide V and psi's weight by their largest singular values.
    """

    num_classes: int
    kernel_init: Initializer = lecun_normal()
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, h: Vectors, y: Array | None, train: bool) -> Logits:
        v = maybe_spectral(nn.Embed(self.num_classes, h.shape[-1]), self.spectral_norm, train)(y)
        psi = maybe_spectral(nn.Dense(1, kernel_init=self.kernel_init), self.spectral_norm, train)(h)[:, 0]
        return psi + jnp.sum(v * h, axis=-1)


class Classify(nn.Module):
    """h `[B, F]` to logits `[B]`, beside a classifier of h whose cross-entropy against y both players minimise.

    The cross-entropy `[B]` against labels y int `[B]` is sown into the collection "losses": minus the log-likelihood
    L_C of AC-GAN (Odena et al. 2017, arXiv:1610.09585, eq. 3).

    Attributes:
      num_classes: K, the number of labels.
      kernel_init: initialiser of the weights, `[F, K]` of the classifier and `[F, 1]` of the logit.
    """

    num_classes: int
    kernel_init: Initializer = lecun_normal()

    @nn.compact
    def __call__(self, h: Vectors, y: Array | None, train: bool) -> Logits:
        class_logits = nn.Dense(self.num_classes, kernel_init=self.kernel_init)(h)
        self.sow("losses", "class", optax.softmax_cross_entropy_with_integer_labels(class_logits, y))
        return nn.Dense(1, kernel_init=self.kernel_init)(h)[:, 0]


class Hidden(nn.Module):
    """h `[B, F]` through a dense layer of leaky ReLUs to another head, whose output it returns.

    Attributes:
      features: G, the width of the layer.
      head: the head after it, from `[B, G]` to the output.
      kernel_init: initialiser of the layer's weight `[F, G]`.
      spectral_norm: divide that weight by its largest singular value; the head has an option of its own.
    """

    features: int
    head: nn.Module
    kernel_init: Initializer = lecun_normal()
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, h: Vectors, y: Condition, train: bool) -> Float[Array, "batch *outputs"]:
        layer = nn.Dense(self.features, kernel_init=self.kernel_init)
        h = maybe_spectral(layer, self.spectral_norm, train)(h)
        return self.head(leaky_relu(h), y, train)


class Features(nn.Module):
    """h `[B, F]` unchanged: a discriminator with this head returns its features, to be the body of another net.

    It has no attributes and no parameters, and ignores the condition.
    """

    def __call__(self, h: Vectors, y: Condition, train: bool) -> Vectors:
        return h

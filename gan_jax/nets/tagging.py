"""Nets that draw tags for an image, and that judge an image and tags together (Mirza & Osindero 2014, section 4.2)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.inits import lecun_normal
from gan_jax.typing import Images, Initializer, Latents, Logits

Tags = Float[Array, "batch tags"]


class Generator(nn.Module):
    """z `[B, Z]` and images `[B, H, W, C]` to tags `[B, T]` in (0, 1): one that has a tag is above .5.

    Attributes:
      body: `(images, None, train) -> features [B, F]`, such as a discriminator with the head `heads.Features`.
      tags: T.
      hidden: units of the layer that joins features and z.
      kernel_init: initialiser of the weights of both layers.
      dtype: compute dtype of the hidden layer; parameters and the output stay float32.
    """

    body: nn.Module
    tags: int
    hidden: int = 128
    kernel_init: Initializer = lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Latents, y: Images, train: bool) -> Tags:
        h = jnp.concatenate([z, self.body(y, None, train)], axis=-1)
        h = leaky_relu(nn.Dense(self.hidden, kernel_init=self.kernel_init, dtype=self.dtype)(h))
        return jax.nn.sigmoid(nn.Dense(self.tags, kernel_init=self.kernel_init)(h.astype(jnp.float32)))


class Discriminator(nn.Module):
    """Tags t `[B, T]` and images y `[B, H, W, C]` to logits `[B]`, psi(t) + <V t, phi(y)>.

    The projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637, eq. 3) with tags in place of one label: the
    first term says which tags go together, the second which go with the image.

    Attributes:
      body: as `Generator.body`.
      hidden: units of phi's last layer, and of psi's hidden one.
      kernel_init, dtype: as in `Generator`.
    """

    body: nn.Module
    hidden: int = 128
    kernel_init: Initializer = lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Tags, y: Images, train: bool) -> Logits:
        def dense(features: int) -> nn.Dense:
            return nn.Dense(features, kernel_init=self.kernel_init, dtype=self.dtype)

        phi = leaky_relu(dense(self.hidden)(self.body(y, None, train)))
        psi = dense(1)(leaky_relu(dense(self.hidden)(x)))[:, 0]
        return (psi + jnp.sum(dense(self.hidden)(x) * phi, axis=-1)).astype(jnp.float32)

"""Nets that draw tags for a picture, and that judge picture and tags together (Mirza & Osindero 2014, section 4.2)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets import dcgan, heads
from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.inits import lecun_normal
from gan_jax.nets.per_channel import PerChannelDiscriminator
from gan_jax.nets.sizes import halvings
from gan_jax.typing import Images, Initializer, Latents, Logits

Tags = Float[Array, "batch tags"]


class Features(nn.Module):
    """Pictures `[B, H, W, C]` to features `[B, hidden]`: strided convolutions, as many as fit the size, a dense layer.

    Attributes:
      width: channels of the layer nearest the picture, doubled layer by layer.
      hidden: units of the dense layer.
      apart: whether the convolutions, with a dense layer of their own, see one channel at a time, all alike.
      dropout: its rate, after the dense layer.
      kernel_init: initialiser of every weight.
      dtype: compute dtype; parameters stay float32.
    """

    width: int = 16
    hidden: int = 128
    apart: bool = False
    dropout: float = 0.0
    kernel_init: Initializer = lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, y: Images, train: bool) -> Float[Array, "batch hidden"]:
        widths = tuple(self.width * 2**i for i in range(halvings(y.shape[1:])))
        common = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        if self.apart:
            each = dcgan.Discriminator(heads.Hidden(self.hidden, heads.Features(), self.kernel_init), widths, **common)
            h = PerChannelDiscriminator(each, heads.Features())(y, None, train)
        else:
            h = dcgan.Discriminator(heads.Features(), widths, **common)(y, None, train)
        h = leaky_relu(nn.Dense(self.hidden, **common)(h))
        return nn.Dropout(self.dropout, deterministic=not train)(h)


class Generator(nn.Module):
    """z `[B, Z + T]`, uniform in (-1, 1), and pictures `[B, H, W, C]` to tags `[B, T]`, each 0 or 1.

    The first Z numbers of z join the picture's features, and both give each tag a probability. The last T numbers draw
    the tags: one is given where its probability is above (z + 1) / 2. Of this step the gradient is taken as that of the
    probability (straight-through: Bengio et al. 2013, arXiv:1308.3432), in expectation the true one where what follows
    is linear in a tag. D sees zeros and ones alone, as in data; from fractions it would tell the two apart at once.

    Attributes:
      tags: T.
      width, hidden, apart, dropout, kernel_init, dtype: as in `Features`; the layer that joins z has `hidden` units.
    """

    tags: int
    width: int = 16
    hidden: int = 128
    apart: bool = False
    dropout: float = 0.0
    kernel_init: Initializer = lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Latents, y: Images, train: bool) -> Tags:
        common: dict[str, Any] = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        seen = Features(self.width, self.hidden, self.apart, self.dropout, **common)(y, train)
        h = jnp.concatenate([z[:, : -self.tags], seen.astype(z.dtype)], axis=-1)
        h = leaky_relu(nn.Dense(self.hidden, **common)(h)).astype(jnp.float32)
        probability = jax.nn.sigmoid(nn.Dense(self.tags, kernel_init=self.kernel_init)(h))
        drawn = (probability > (z[:, -self.tags :] + 1) / 2).astype(jnp.float32)
        return drawn + (probability - jax.lax.stop_gradient(probability))


class Discriminator(nn.Module):
    """Tags t `[B, T]` and pictures y `[B, H, W, C]` to logits `[B]`, psi(t) + <V t, phi(y)>.

    The projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637, eq. 3) with tags in place of one label: the
    first term says which tags go together, the second which go with the picture.

    Attributes:
      width, hidden, apart, dropout, kernel_init, dtype: as in `Features`, which phi is; psi has `hidden` units too.
    """

    width: int = 16
    hidden: int = 128
    apart: bool = False
    dropout: float = 0.0
    kernel_init: Initializer = lecun_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Tags, y: Images, train: bool) -> Logits:
        common: dict[str, Any] = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        phi = Features(self.width, self.hidden, self.apart, self.dropout, **common)(y, train)
        psi = nn.Dense(1, **common)(leaky_relu(nn.Dense(self.hidden, **common)(x)))[:, 0]
        which = nn.Dense(self.hidden, use_bias=False, **common)(x)
        return (psi + jnp.sum(which * phi, axis=-1)).astype(jnp.float32)

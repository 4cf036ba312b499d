"""Residual nets without normalisation, after R3GAN (Huang et al. 2024, arXiv:2501.05441, section 4).

Each stage is a change of resolution and one residual block; a block is 3 x 3 convolutions with leaky ReLUs, whose last
one starts at zero so that the block starts as the identity (Fix-up: Zhang et al. 2019, arXiv:1901.09321), which stands
in for normalisation. We differ from the paper in size: plain instead of grouped inverted-bottleneck convolutions, and
nearest-neighbour up- and average down-sampling instead of bilinear filters; three resolutions, H/4, H/2 and H.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.dcgan import DOWNSAMPLING, check_shape
from gan_jax.nets.layers import Conv, Encode, Images, leaky_relu
from gan_jax.nets.mlp import he_normal

Latents = Float[Array, "batch z"]


class Block(nn.Module):
    """x + F(x), `[B, H, W, C]` to the same, the identity at the start."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images) -> Images:
        h = Conv(x.shape[-1], (3, 3), (1, 1), kernel_init=he_normal(), dtype=self.dtype)(leaky_relu(x))
        return x + Conv(x.shape[-1], (3, 3), (1, 1), kernel_init=nn.initializers.zeros, dtype=self.dtype)(leaky_relu(h))


class Generator(nn.Module):
    """z `[B, Z]` and a condition, concatenated, to images `[B, H, W, C]` in [-1, 1].

    Attributes:
      shape: (H, W, C), H and W multiples of 4.
      width: channels at full resolution; twice and four times as many at the lower ones.
      encode, dtype: as in `gan_jax.nets.mlp.Generator`.
    """

    shape: tuple[int, int, int]
    width: int = 32
    encode: Encode | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Latents, y: Array | None, train: bool) -> Images:
        check_shape(self.shape)
        height, width, channels = self.shape
        h = z if self.encode is None else jnp.concatenate([z, self.encode(y)], axis=-1)
        base = (height // DOWNSAMPLING, width // DOWNSAMPLING, 4 * self.width)
        h = nn.Dense(base[0] * base[1] * base[2], dtype=self.dtype)(h).reshape(-1, *base)
        h = Block(self.dtype)(h)
        for features in (2 * self.width, self.width):
            h = nn.Dense(features, use_bias=False, dtype=self.dtype)(h)
            h = jnp.repeat(jnp.repeat(h, 2, axis=1), 2, axis=2)
            h = Block(self.dtype)(h)
        x = Conv(channels, (3, 3), (1, 1), dtype=self.dtype)(leaky_relu(h))
        return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
    """Images `[B, H, W, C]` to logits `[B]`: the generator's mirror image, attributes as there."""

    head: nn.Module
    width: int = 32
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, y: Array | None, train: bool) -> Float[Array, " batch"]:
        check_shape(x.shape[1:])
        h = Conv(self.width, (3, 3), (1, 1), dtype=self.dtype)(x)
        for features in (2 * self.width, 4 * self.width):
            h = Block(self.dtype)(h)
            h = _mean_pool(nn.Dense(features, use_bias=False, dtype=self.dtype)(h))
        h = Block(self.dtype)(h)
        return self.head(leaky_relu(h).reshape(h.shape[0], -1).astype(jnp.float32), y, train)


def _mean_pool(x: Images) -> Float[Array, "batch rows columns channels"]:
    b, h, w, c = x.shape
    return jnp.mean(x.reshape(b, h // 2, 2, w // 2, 2, c), axis=(2, 4))

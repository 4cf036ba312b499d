"""Residual nets without normalisation, after R3GAN (Huang et al. 2024, arXiv:2501.05441, section 4).

Each stage is a change of resolution and one residual block; a block is 3 x 3 convolutions with leaky ReLUs, whose last
one starts at zero so that the block starts as the identity (Fix-up: Zhang et al. 2019, arXiv:1901.09321), which
replaces normalisation. We differ from the paper in size: plain instead of grouped inverted-bottleneck convolutions, and
nearest-neighbour up- and average down-sampling instead of bilinear filters. With n `widths` there are n resolutions,
from the image's H x W to the base's H/2^(n-1) x W/2^(n-1).
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.conditioned import concat_condition
from gan_jax.nets.inits import he_normal
from gan_jax.nets.layers import Conv, Encode
from gan_jax.nets.resample import double, halve
from gan_jax.nets.sizes import check_shape
from gan_jax.typing import Condition, Images, Latents


class Block(nn.Module):
    """x + F(x), `[B, H, W, C]` to the same, the identity at the start.

    Attributes:
      dtype: compute dtype.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images) -> Images:
        h = Conv(x.shape[-1], (3, 3), (1, 1), kernel_init=he_normal(), dtype=self.dtype)(leaky_relu(x))
        return x + Conv(x.shape[-1], (3, 3), (1, 1), kernel_init=nn.initializers.zeros, dtype=self.dtype)(leaky_relu(h))


class Generator(nn.Module):
    """z `[B, Z]` and a condition, concatenated, to images `[B, H, W, C]` in [-1, 1].

    Attributes:
      shape: (H, W, C), H and W multiples of 2^(len(widths) - 1).
      widths: channels at every resolution, from the base up to that of the image.
      encode: encoder of the condition; None for an unconditional generator.
      dtype: compute dtype; parameters and the output stay float32.
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (128, 64, 32)
    encode: Encode | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Latents, y: Condition, train: bool) -> Images:
        doublings = len(self.widths) - 1
        height, width, channels = check_shape(self.shape, doublings)
        base = (height // 2**doublings, width // 2**doublings, self.widths[0])
        h = concat_condition(z, y, self.encode)
        h = nn.Dense(base[0] * base[1] * base[2], dtype=self.dtype)(h).reshape(-1, *base)
        h = Block(self.dtype)(h)
        for features in self.widths[1:]:
            h = nn.Dense(features, use_bias=False, dtype=self.dtype)(h)
            h = Block(self.dtype)(double(h))
        x = Conv(channels, (3, 3), (1, 1), dtype=self.dtype)(leaky_relu(h))
        return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
    """Images `[B, H, W, C]` to logits `[B]`: the generator's mirror image.

    Attributes:
      head: last layer, a module of `gan_jax.nets.heads`, from the base `[B, F]` to the output.
      widths: channels at every resolution, from that of the image down to the base.
      dtype: as in `Generator`.
    """

    head: nn.Module
    widths: tuple[int, ...] = (32, 64, 128)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, y: Condition, train: bool) -> Float[Array, "batch *outputs"]:
        check_shape(x.shape[1:], len(self.widths) - 1)
        h = Conv(self.widths[0], (3, 3), (1, 1), dtype=self.dtype)(x)
        for features in self.widths[1:]:
            h = Block(self.dtype)(h)
            h = halve(nn.Dense(features, use_bias=False, dtype=self.dtype)(h))
        h = Block(self.dtype)(h)
        return self.head(leaky_relu(h).reshape(h.shape[0], -1).astype(jnp.float32), y, train)

"""Nets of one-channel images, applied to every channel of an image with the same weights.

For channels that are alike, such as the three digits of Stacked MNIST.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.conditioned import concat_condition
from gan_jax.nets.layers import Encode
from gan_jax.typing import Condition, Images, Latents


class PerChannelGenerator(nn.Module):
    """z `[B, Z]` and a condition to images `[B, H, W, C]`, painted by one net channel by channel.

    A dense layer makes C latents `[Z]` from z and the condition; `net` paints an image of one channel from each.

    Attributes:
      net: a generator of images `[B C, H, W, 1]`, which gets every example's condition C times.
      channels: C.
      encode: encoder of the condition, concatenated to z before the dense layer, which can then give each channel a
        different part of it; None if there is no condition, or if only `net` gets it.
      dtype: compute dtype of the dense layer.
    """

    net: nn.Module
    channels: int
    encode: Encode | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z: Latents, y: Condition, train: bool) -> Images:
        batch, size = z.shape
        latents = nn.Dense(self.channels * size, dtype=self.dtype)(concat_condition(z, y, self.encode))
        x = self.net(latents.reshape(-1, size), _repeated(y, self.channels), train)
        if x.shape[-1] != 1:
            raise ValueError(
                f"a net applied per channel must make images [H, W, 1], got {' x '.join(map(str, x.shape[1:]))}"
            )
        return jnp.moveaxis(x.reshape(batch, self.channels, *x.shape[1:3]), 1, -1)


class PerChannelDiscriminator(nn.Module):
    """Images `[B, H, W, C]` to logits `[B]`: one net makes features of each channel, one head gets them concatenated.

    Attributes:
      net: a discriminator of images `[B C, H, W, 1]` that returns features `[B C, F]` (its head is
        `gan_jax.nets.heads.Features`); it gets every example's condition C times.
      head: last layer, a module of `gan_jax.nets.heads`, which gets `[B, C F]` and the condition.
    """

    net: nn.Module
    head: nn.Module

    @nn.compact
    def __call__(self, x: Images, y: Condition, train: bool) -> Float[Array, "batch *outputs"]:
        batch, height, width, channels = x.shape
        images = jnp.moveaxis(x, -1, 1).reshape(-1, height, width, 1)
        features = self.net(images, _repeated(y, channels), train)
        return self.head(features.reshape(batch, -1), y, train)


def _repeated(y: Condition, channels: int) -> Condition:
    """Every example's condition once per channel, in the order of the images."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, channels, axis=0), y)

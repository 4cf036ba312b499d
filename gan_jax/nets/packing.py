"""Packing: a discriminator that judges several examples at once (PacGAN: Lin et al. 2018, arXiv:1712.04086).

A pack of real examples shows how varied the data is, so a generator that repeats itself is found out even where each of
its samples is faultless.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


class Packed(nn.Module):
    """x `[B, ..., C]` to logits `[B]`: a pack is `size` examples, B / size apart, joined along the last axis.

    Attributes:
      net: an unconditional discriminator.
      size: examples of a pack; it divides B.
    """

    net: nn.Module
    size: int = 2

    @nn.compact
    def __call__(self, x: Float[Array, "batch *shape"], y: Any, train: bool) -> Float[Array, " batch"]:
        if y is not None:
            raise ValueError("packs are of examples without conditions: give Packed an unconditional GAN")
        batch = x.shape[0]
        if self.is_initializing():  # From a single example, of which only the shape matters.
            x = jnp.repeat(x, self.size, axis=0)
        if x.shape[0] % self.size:
            raise ValueError(f"packs of {self.size} need a batch that {self.size} divides, got {x.shape[0]} examples")
        packs = jnp.concatenate(jnp.split(x, self.size), axis=-1)
        return jnp.tile(self.net(packs, None, train), self.size)[:batch]

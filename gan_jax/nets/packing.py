"""Packing: a discriminator of several examples at once (PacGAN: Lin et al. 2018, arXiv:1712.04086).

A pack shows the diversity of its distribution: under mode collapse packs of samples differ from packs of real examples,
even where every single sample could be a real example.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from gan_jax.typing import Data, Logits


class Packed(nn.Module):
    """x `[B, ..., C]` to logits `[B]`: a pack is `size` examples, B / size apart, joined along the last axis.

    Attributes:
      net: an unconditional discriminator.
      size: examples per pack; it divides B.
    """

    net: nn.Module
    size: int = 2

    @nn.compact
    def __call__(self, x: Data, y: Any, train: bool) -> Logits:
        if y is not None:
            raise ValueError("packs are of examples without conditions: use Packed in an unconditional GAN only")
        batch = x.shape[0]
        if self.is_initializing():  # From a single example, of which only the shape matters.
            x = jnp.repeat(x, self.size, axis=0)
        if x.shape[0] % self.size:
            raise ValueError(f"the batch size must be a multiple of the pack size {self.size}, got {x.shape[0]}")
        packs = jnp.concatenate(jnp.split(x, self.size), axis=-1)
        return jnp.tile(self.net(packs, None, train), self.size)[:batch]

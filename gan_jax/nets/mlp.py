"""Multi-layer perceptrons for images and for points in the plane. A condition is concatenated to the input."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.layers import Encode, Initializer, leaky_relu

Latents = Float[Array, "batch z"]
Data = Float[Array, "batch *shape"]


def he_normal() -> Initializer:
    """Normal with std 1 / sqrt(fan_in / 2)."""
    return nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class Generator(nn.Module):
    """z `[B, Z]` and a condition to x `[B, *shape]`.

    Attributes:
      shape: shape of one example.
      hidden: widths of the hidden layers.
      output: last activation, which fixes the range: sigmoid, tanh, or None for points.
      activation: activation of the hidden layers.
      batch_norm: BatchNorm in every hidden layer but the first.
      encode: encoder of the condition; None for an unconditional generator.
      dtype: compute dtype; parameters and the output stay float32.
      axis_name: mapped axis over which BatchNorm averages its statistics.
    """

    shape: tuple[int, ...]
    hidden: tuple[int, ...]
    output: Callable[[Array], Array] | None = nn.sigmoid
    activation: Callable[[Array], Array] = nn.relu
    batch_norm: bool = False
    encode: Encode | None = None
    kernel_init: Initializer = he_normal()
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: Latents, y: Array | None, train: bool) -> Data:
        h = z if self.encode is None else jnp.concatenate([z, self.encode(y)], axis=-1)
        for i, width in enumerate(self.hidden):
            norm = self.batch_norm and i > 0
            h = nn.Dense(width, use_bias=not norm, kernel_init=self.kernel_init, dtype=self.dtype)(h)
            if norm:
                h = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, axis_name=self.axis_name)(h)
            h = self.activation(h)
        x = nn.Dense(math.prod(self.shape), kernel_init=self.kernel_init, dtype=self.dtype)(h)
        x = x.astype(jnp.float32).reshape(-1, *self.shape)
        return x if self.output is None else self.output(x)


class Discriminator(nn.Module):
    """x `[B, *shape]` and a condition to logits `[B]`.

    Attributes:
      hidden: widths of the hidden layers.
      head: last layer, a module of `gan_jax.nets.heads`.
      dropout: rate of the dropout after every hidden layer but the first.
      spectral_norm: divide every hidden weight by its largest singular value.
      The others as in `Generator`.
    """

    hidden: tuple[int, ...]
    head: nn.Module
    activation: Callable[[Array], Array] = leaky_relu
    dropout: float = 0.0
    spectral_norm: bool = False
    encode: Encode | None = None
    kernel_init: Initializer = he_normal()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Data, y: Array | None, train: bool) -> Float[Array, " batch"]:
        h = x.reshape(x.shape[0], -1)
        if self.encode is not None:
            h = jnp.concatenate([h, self.encode(y)], axis=-1)
        for i, width in enumerate(self.hidden):
            layer: Any = nn.Dense(width, kernel_init=self.kernel_init, dtype=self.dtype)
            h = nn.SpectralNorm(layer)(h, update_stats=train) if self.spectral_norm else layer(h)
            h = self.activation(h)
            if self.dropout and i > 0:
                h = nn.Dropout(self.dropout, deterministic=not train)(h)
        return self.head(h.astype(jnp.float32), y, train)


class Completion(nn.Module):
    """A generator that paints the lower half of an image below a given upper half.

    y `[B, H/2, W, C]` enters `paint` (a `Generator` of the lower half) as its condition, and stands unchanged in the
    output `[B, H, W, C]`.
    """

    paint: nn.Module

    @nn.compact
    def __call__(self, z: Latents, y: Float[Array, "batch half width channels"], train: bool) -> Data:
        return jnp.concatenate([y, self.paint(z, y, train)], axis=1)

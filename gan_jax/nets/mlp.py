"""Multi-layer perceptrons for images and for points in the plane. A condition is concatenated to the input."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.errors import InputError
from gan_jax.nets.activations import leaky_relu, relu, sigmoid
from gan_jax.nets.conditioned import concat_condition
from gan_jax.nets.inits import he_normal
from gan_jax.nets.layers import Encode
from gan_jax.nets.spectral import maybe_spectral
from gan_jax.typing import Condition, Data, Initializer, Latents


class Generator(nn.Module):
    """z `[B, Z]` and a condition to x `[B, *shape]`.

    Attributes:
      shape: shape of one example.
      hidden: widths of the hidden layers.
      output: last activation, which fixes the range: sigmoid, tanh, or None for points.
      activation: activation of the hidden layers.
      batch_norm: BatchNorm in every hidden layer but the first.
      encode: encoder of the condition; None for an unconditional generator.
      kernel_init: initialiser of every weight.
      dtype: compute dtype; parameters and the output stay float32.
      axis_name: mapped axis over which BatchNorm averages its statistics.

    Raises:
      InputError: at training time, with batch_norm and a minibatch of one example.
    """

    shape: tuple[int, ...]
    hidden: tuple[int, ...]
    output: Callable[[Array], Array] | None = sigmoid
    activation: Callable[[Array], Array] = relu
    batch_norm: bool = False
    encode: Encode | None = None
    kernel_init: Initializer = he_normal()
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: Latents, y: Condition, train: bool) -> Data:
        if self.batch_norm and len(self.hidden) > 1 and train and len(z) == 1 and self.axis_name is None:
            raise InputError(
                "BatchNorm of a minibatch of one makes this generator's output the same whatever its latents: use a "
                "batch size of at least 2 (in each part, where gradients are accumulated)"
            )
        h = concat_condition(z, y, self.encode)
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
      head: last layer, a module of `gan_jax.nets.heads`, from the last hidden layer `[B, F]` to the output.
      dropout: rate of the dropout after every hidden layer but the first.
      spectral_norm: divide every hidden weight by its largest singular value.
      activation, encode, kernel_init, dtype: as in `Generator`.
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
    def __call__(self, x: Data, y: Condition, train: bool) -> Float[Array, "batch *outputs"]:
        h = concat_condition(x.reshape(x.shape[0], -1), y, self.encode)
        for i, width in enumerate(self.hidden):
            layer = nn.Dense(width, kernel_init=self.kernel_init, dtype=self.dtype)
            h = self.activation(maybe_spectral(layer, self.spectral_norm, train)(h))
            if self.dropout and i > 0:
                h = nn.Dropout(self.dropout, deterministic=not train)(h)
        return self.head(h.astype(jnp.float32), y, train)


class Completion(nn.Module):
    """A generator that paints the lower half of an image below a given upper half.

    z `[B, Z]` and y `[B, H/2, W, C]` to images `[B, H, W, C]`, whose upper half is y unchanged.

    Attributes:
      paint: a generator of the lower half `[B, H/2, W, C]`, with y as its condition.
    """

    paint: nn.Module

    @nn.compact
    def __call__(self, z: Latents, y: Float[Array, "batch half width channels"], train: bool) -> Data:
        return jnp.concatenate([y, self.paint(z, y, train)], axis=1)

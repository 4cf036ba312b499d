"""A dense layer before a generator."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.conditioned import concat_condition
from gan_jax.nets.inits import lecun_normal
from gan_jax.nets.layers import Encode
from gan_jax.typing import Condition, Data, Initializer, Latents


class Lifted(nn.Module):
    """z `[B, Z]` and a condition, concatenated, through a dense layer with BatchNorm to another generator's latents.

    In it condition and latents meet before anything is painted, so that one can change what the other means.

    Attributes:
      net: a generator of latents `[B, features]`, which gets no condition of its own.
      features: units of the layer, leaky ReLUs.
      encode: encoder of the condition; None for an unconditional generator.
      kernel_init: initialiser of the layer's weight.
      dtype: compute dtype of the layer.
      axis_name: mapped axis over which BatchNorm averages its statistics.
    """

    net: nn.Module
    features: int
    encode: Encode | None = None
    kernel_init: Initializer = lecun_normal()
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: Latents, y: Condition, train: bool) -> Data:
        h = concat_condition(z, y, self.encode)
        h = nn.Dense(self.features, use_bias=False, kernel_init=self.kernel_init, dtype=self.dtype)(h)
        h = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, axis_name=self.axis_name)(h)
        return self.net(leaky_relu(h).astype(jnp.float32), None, train)

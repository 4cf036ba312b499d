"""DCGAN's strided convolutions (Radford et al. 2015, arXiv:1511.06434) for images of many sizes.

A net with n `widths` has n strided layers, each of which halves (D) or doubles (G) the resolution: H and W are
multiples of 2^n, and the base has the resolution H/2^n x W/2^n. Two layers fit 28 x 28 (7, 14, 28), the paper's four
fit 64 x 64 (4, 8, 16, 32, 64). The layer between z and the base, a "valid" transposed convolution of a 1 x 1 image, is
a matrix product and is written as one; so is the "valid" convolution from the base to one logit.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.conditioned import concat_condition
from gan_jax.nets.inits import normal_002
from gan_jax.nets.layers import Conv, ConvTranspose, Encode
from gan_jax.nets.sizes import check_shape
from gan_jax.nets.spectral import maybe_spectral
from gan_jax.typing import Condition, Images, Initializer, Latents


class Generator(nn.Module):
    """z `[B, Z]` and a condition, concatenated, to images `[B, H, W, C]` in [-1, 1].

    Attributes:
      shape: (H, W, C), H and W multiples of 2^len(widths).
      widths: channels of the base and of every hidden layer after it, the inputs of the strided layers; the last of
        these has the C channels of the image as its output.
      batch_norm: BatchNorm before every hidden activation, which is a leaky ReLU.
      encode: encoder of the condition; None for an unconditional generator.
      kernel_init: initialiser of every weight.
      dtype: compute dtype; parameters and the output stay float32.
      axis_name: mapped axis over which BatchNorm averages its statistics.
      hidden: units of a dense layer before the base; 0 for none, as in Radford et al. 2015.
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (256, 128)
    batch_norm: bool = True
    encode: Encode | None = None
    kernel_init: Initializer = normal_002()
    dtype: Any = jnp.float32
    axis_name: str | None = None
    hidden: int = 0

    @nn.compact
    def __call__(self, z: Latents, y: Condition, train: bool) -> Images:
        layers = len(self.widths)
        height, width, channels = check_shape(self.shape, layers)

        def activated(h: Array) -> Array:
            if self.batch_norm:
                h = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, axis_name=self.axis_name)(h)
            return leaky_relu(h)

        common = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        base = (height // 2**layers, width // 2**layers, self.widths[0])
        h = concat_condition(z, y, self.encode)
        if self.hidden:
            h = activated(nn.Dense(self.hidden, use_bias=not self.batch_norm, **common)(h))
        h = nn.Dense(base[0] * base[1] * base[2], use_bias=not self.batch_norm, **common)(h)
        h = activated(h.reshape(-1, *base))
        for features in self.widths[1:]:
            h = activated(ConvTranspose(features, use_bias=not self.batch_norm, **common)(h))
        return jnp.tanh(ConvTranspose(channels, **common)(h).astype(jnp.float32))


class Discriminator(nn.Module):
    """Images `[B, H, W, C]` to logits `[B]`; a condition enters as constant maps beside the image, or in the head.

    Attributes:
      head: last layer, a module of `gan_jax.nets.heads`, from the base `[B, F]` to the output.
      widths: channels of every strided layer; H and W are multiples of 2^len(widths).
      batch_norm: BatchNorm in every layer but the first (Radford et al. 2015).
      spectral_norm: divide every convolution's weight by its largest singular value; the head has an option of its own.
      encode: encoder of a condition that enters as maps.
      kernel_init, dtype, axis_name: as in `Generator`.
    """

    head: nn.Module
    widths: tuple[int, ...] = (128, 256)
    batch_norm: bool = False
    spectral_norm: bool = False
    encode: Encode | None = None
    kernel_init: Initializer = normal_002()
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Images, y: Condition, train: bool) -> Float[Array, "batch *outputs"]:
        check_shape(x.shape[1:], len(self.widths))
        h, maps = x, None if self.encode is None else self.encode(y)
        for i, width in enumerate(self.widths):
            norm = self.batch_norm and i > 0
            layer = Conv(width, use_bias=not norm, kernel_init=self.kernel_init, dtype=self.dtype)
            h = maybe_spectral(layer, self.spectral_norm, train)(h, maps if i == 0 else None)
            if norm:
                h = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, axis_name=self.axis_name)(h)
            h = leaky_relu(h)
        return self.head(h.reshape(x.shape[0], -1).astype(jnp.float32), y, train)

"""DCGAN's two strided layers each way (Radford et al. 2015, arXiv:1511.06434), for images of any H, W divisible by 4.

Sizes follow the image: a base of H/4 x W/4 is doubled twice (28 -> 7, 14, 28; 32 -> 8, 16, 32). The layer between z
and the base, a "valid" transposed convolution of a 1 x 1 image, is a matrix product and is written as one; so is the
"valid" convolution from the base to one logit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.errors import InputError
from gan_jax.nets.layers import Conv, ConvTranspose, Encode, Images, Initializer, leaky_relu

Latents = Float[Array, "batch z"]

DOWNSAMPLING = 4


def check_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """`shape` as (H, W, C). Raises InputError unless it is that of images which the convolutional nets can take."""
    if len(shape) != 3 or any(n % DOWNSAMPLING or n < 2 * DOWNSAMPLING for n in shape[:2]):
        raise InputError(
            f"convolutional nets take images [H, W, C] whose height and width are multiples of {DOWNSAMPLING} from "
            f"{2 * DOWNSAMPLING} up (28 x 28, 32 x 32, 64 x 64, ...), got {' x '.join(map(str, shape))}"
        )
    height, width, channels = shape
    return height, width, channels


def normal_002() -> Initializer:
    """Truncated normal(0, .02)."""
    return nn.initializers.truncated_normal(0.02)


class Generator(nn.Module):
    """z `[B, Z]` and a condition, concatenated, to images `[B, H, W, C]` in [-1, 1].

    Attributes:
      shape: (H, W, C).
      width: channels of the last hidden layer; the base has twice as many.
      batch_norm: BatchNorm before both hidden activations.
      apart: paint every channel as an image of its own, with the same weights, from a latent of its own that a dense
        layer makes of z: for channels that are alike (the three digits of Stacked MNIST).
      activation, encode, dtype, axis_name: as in `gan_jax.nets.mlp.Generator`.
    """

    shape: tuple[int, int, int]
    width: int = 128
    batch_norm: bool = True
    activation: Callable[[Array], Array] = leaky_relu
    encode: Encode | None = None
    apart: bool = False
    kernel_init: Initializer = normal_002()
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: Latents, y: Array | None, train: bool) -> Images:
        check_shape(self.shape)
        height, width, channels = self.shape

        def hidden(h: Images) -> Images:
            if self.batch_norm:
                h = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, axis_name=self.axis_name)(h)
            return self.activation(h)

        h = z if self.encode is None else jnp.concatenate([z, self.encode(y)], axis=-1)
        base = (height // DOWNSAMPLING, width // DOWNSAMPLING, 2 * self.width)
        common = {"kernel_init": self.kernel_init, "dtype": self.dtype}
        if self.apart:
            h = nn.Dense(channels * z.shape[-1], dtype=self.dtype)(h).reshape(-1, z.shape[-1])
        h = nn.Dense(base[0] * base[1] * base[2], use_bias=not self.batch_norm, **common)(h)
        h = hidden(h.reshape(-1, *base))
        h = hidden(ConvTranspose(self.width, use_bias=not self.batch_norm, **common)(h))
        h = ConvTranspose(1 if self.apart else channels, **common)(h).astype(jnp.float32)
        return jnp.tanh(jnp.moveaxis(h.reshape(-1, channels, height, width), 1, -1) if self.apart else h)


class Discriminator(nn.Module):
    """Images `[B, H, W, C]` to logits `[B]`; a condition enters as constant maps beside the image, or in the head.

    Attributes:
      head: last layer, a module of `gan_jax.nets.heads`.
      width: channels of the first layer; the second has twice as many.
      batch_norm: BatchNorm in the second layer (never in the first: Radford et al. 2015).
      spectral_norm: divide every convolution's weight by its largest singular value.
      dropout: rate of the dropout after both layers.
      encode: encoder of a condition that enters as maps.
      apart: convolve every channel as an image of its own, with the same weights; the head meets the features of all.
    """

    head: nn.Module
    width: int = 128
    batch_norm: bool = False
    spectral_norm: bool = False
    dropout: float = 0.0
    encode: Encode | None = None
    apart: bool = False
    kernel_init: Initializer = normal_002()
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Images, y: Array | None, train: bool) -> Float[Array, " batch"]:
        check_shape(x.shape[1:])
        h, code = x, None if self.encode is None else self.encode(y)
        if self.apart:
            h = jnp.moveaxis(x, -1, 1).reshape(-1, *x.shape[1:-1], 1)
            code = None if code is None else jnp.repeat(code, x.shape[-1], axis=0)
        for i, width in enumerate((self.width, 2 * self.width)):
            norm = self.batch_norm and i > 0
            layer: Any = Conv(width, use_bias=not norm, kernel_init=self.kernel_init, dtype=self.dtype)
            maps = code if i == 0 else None
            h = nn.SpectralNorm(layer)(h, maps, update_stats=train) if self.spectral_norm else layer(h, maps)
            if norm:
                h = nn.BatchNorm(not train, momentum=0.9, dtype=self.dtype, axis_name=self.axis_name)(h)
            h = leaky_relu(h)
            if self.dropout:
                h = nn.Dropout(self.dropout, deterministic=not train)(h)
        return self.head(h.reshape(x.shape[0], -1).astype(jnp.float32), y, train)

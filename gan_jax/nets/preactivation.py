"""Residual nets of pre-activation blocks: those of WGAN-GP and of SNGAN.

Gulrajani et al. 2017 (arXiv:1704.00028, appendix F; their 64 x 64 nets are in their code) and Miyato et al. 2018
(arXiv:1802.05957, appendix B.4). A block is [norm, ReLU, 3 x 3 convolution] twice beside a 1 x 1 convolution; a block
of G doubles the resolution before its first convolution, one of D halves it at its end. Weights start as in both
papers' code, uniform with the variance of Glorot & Bengio 2010, twice that in the blocks' 3 x 3 convolutions. We leave
out the bias of a convolution that BatchNorm or LayerNorm follows.
"""

import math
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.activations import relu
from gan_jax.nets.class_norm import ClassBatchNorm
from gan_jax.nets.inits import glorot_uniform
from gan_jax.nets.layers import Conv
from gan_jax.nets.resample import double, halve
from gan_jax.nets.sizes import check_shape
from gan_jax.nets.spectral import maybe_spectral
from gan_jax.typing import Condition, Images, Latents

Maps = Float[Array, "batch rows columns features"]

_IN_BLOCKS = glorot_uniform(math.sqrt(2))
_ELSEWHERE = glorot_uniform()


class Up(nn.Module):
    """`[B, H, W, C]` to `[B, 2 H, 2 W, features]`, a block of a generator.

    Attributes:
      features: channels of the output.
      num_classes: of class-conditional BatchNorm; 0 for BatchNorm.
      dtype: compute dtype.
      axis_name: mapped axis over which BatchNorm averages its statistics.
    """

    features: int
    num_classes: int = 0
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Images, y: Array | None, train: bool) -> Maps:
        def conv(h: Images, use_bias: bool) -> Maps:
            h = relu(_batch_norm(h, y, train, self.num_classes, self.dtype, self.axis_name))
            h = h if use_bias else double(h)
            return Conv(self.features, (3, 3), (1, 1), use_bias=use_bias, kernel_init=_IN_BLOCKS, dtype=self.dtype)(h)

        h = conv(conv(x, use_bias=False), use_bias=True)
        # A 1 x 1 convolution and doubling commute: before it, it takes a quarter of the work.
        return h + double(nn.Dense(self.features, kernel_init=_ELSEWHERE, dtype=self.dtype)(x))


class Down(nn.Module):
    """`[B, H, W, C]` to `[B, H/2, W/2, features]`, or to the same resolution: a block of a discriminator.

    Attributes:
      features: channels of the output.
      halved: whether the resolution is halved.
      first: whether x is the image, which is neither normalised nor rectified.
      spectral_norm: divide every weight by its largest singular value.
      layer_norm: LayerNorm over height, width and channels before each ReLU.
      dtype: compute dtype.
    """

    features: int
    halved: bool = True
    first: bool = False
    spectral_norm: bool = False
    layer_norm: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, train: bool) -> Maps:
        channels = x.shape[-1]

        def active(h: Images) -> Images:
            if self.layer_norm:
                h = nn.LayerNorm(reduction_axes=(1, 2, 3), dtype=self.dtype)(h)
            return relu(h)

        def conv(h: Images, features: int, use_bias: bool = True) -> Maps:
            layer = Conv(features, (3, 3), (1, 1), use_bias=use_bias, kernel_init=_IN_BLOCKS, dtype=self.dtype)
            return maybe_spectral(layer, self.spectral_norm, train)(h)

        h = conv(x if self.first else active(x), self.features if self.first else channels, not self.layer_norm)
        h, shortcut = conv(active(h), self.features), x
        if self.halved:
            h, shortcut = halve(h), halve(x)
        if self.halved or channels != self.features:
            layer = nn.Dense(self.features, kernel_init=_ELSEWHERE, dtype=self.dtype)
            shortcut = maybe_spectral(layer, self.spectral_norm, train)(shortcut)
        return h + shortcut


class Generator(nn.Module):
    """z `[B, Z]` to images `[B, H, W, C]` in [-1, 1]; labels, if any, enter as class-conditional BatchNorm.

    Attributes:
      shape: (H, W, C), H and W multiples of 2^len(widths).
      widths: channels of every block's output, from the first to the one whose output becomes the image.
      base: channels of the base, the input of the first block.
      num_classes: of labels; 0 for an unconditional generator.
      dtype: compute dtype; parameters and the output stay float32.
      axis_name: mapped axis over which BatchNorm averages its statistics.
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...] = (256, 256, 256)
    base: int = 256
    num_classes: int = 0
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: Latents, y: Condition, train: bool) -> Images:
        doublings = len(self.widths)
        height, width, channels = check_shape(self.shape, doublings)
        base = (height // 2**doublings, width // 2**doublings, self.base)
        h = nn.Dense(base[0] * base[1] * base[2], kernel_init=_ELSEWHERE, dtype=self.dtype)(z).reshape(-1, *base)
        for features in self.widths:
            h = Up(features, self.num_classes, self.dtype, self.axis_name)(h, y, train)
        # Not of the class, as in the authors' code.
        h = relu(_batch_norm(h, None, train, 0, self.dtype, self.axis_name))
        x = Conv(channels, (3, 3), (1, 1), kernel_init=_ELSEWHERE, dtype=self.dtype)(h)
        return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
    """Images `[B, H, W, C]` to logits `[B]`; labels enter in the head.

    Attributes:
      head: last layer, a module of `gan_jax.nets.heads`, from the last features `[B, F]` to the output.
      widths: channels of every block's output, from the image on.
      halvings: how many of the blocks, from the first on, halve the resolution.
      stem: channels of a 3 x 3 convolution before the first block; None where the first block gets the image.
      pool: "sum" or "mean" over all pixels before the head, or None for all of them.
      spectral_norm: divide every weight by its largest singular value; the head has an option of its own.
      layer_norm: LayerNorm in the blocks.
      dtype: as in `Generator`.
    """

    head: nn.Module
    widths: tuple[int, ...] = (128, 128, 128, 128)
    halvings: int = 2
    stem: int | None = None
    pool: Literal["sum", "mean"] | None = "sum"
    spectral_norm: bool = False
    layer_norm: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Images, y: Condition, train: bool) -> Float[Array, "batch *outputs"]:
        check_shape(x.shape[1:], self.halvings)
        h = x
        if self.stem is not None:
            layer = Conv(self.stem, (3, 3), (1, 1), kernel_init=_ELSEWHERE, dtype=self.dtype)
            h = maybe_spectral(layer, self.spectral_norm, train)(h)
        for i, features in enumerate(self.widths):
            first, halved = i == 0 and self.stem is None, i < self.halvings
            h = Down(features, halved, first, self.spectral_norm, self.layer_norm, self.dtype)(h, train)
        h = relu(h).astype(jnp.float32)
        if self.pool is None:
            h = h.reshape(h.shape[0], -1)
        else:
            h = (jnp.sum if self.pool == "sum" else jnp.mean)(h, axis=(1, 2))
        return self.head(h, y, train)


def _batch_norm(x: Images, y: Array | None, train: bool, num_classes: int, dtype: Any, axis_name: str | None) -> Images:
    if num_classes:
        return ClassBatchNorm(num_classes, dtype, axis_name)(x, y, train)
    return nn.BatchNorm(not train, momentum=0.9, dtype=dtype, axis_name=axis_name)(x)

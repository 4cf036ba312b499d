"""U-Net (Isola et al. 2017, arXiv:1611.07004, section 6.1.1): an image from an image, with skips to mirrored layers."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.inits import normal_002
from gan_jax.nets.layers import Conv, ConvTranspose
from gan_jax.nets.sizes import check_shape
from gan_jax.typing import Images, Latents, Norm

_KERNEL = (4, 4)
_DROPPED = 3


def widths(width: int, layers: int) -> list[int]:
    """Channels of so many layers: width, twice, four times, and eight times that from the fourth on."""
    return [width * min(2**i, 8) for i in range(layers)]


def normalised(h: Images, norm: Norm, train: bool, dtype: Any, axis_name: str | None) -> Images:
    """h by the statistics of the minibatch ("batch"), or of each image ("instance"): to be called inside a module."""
    if norm == "instance":
        return nn.InstanceNorm(dtype=dtype)(h)
    return nn.BatchNorm(not train, momentum=0.9, dtype=dtype, axis_name=axis_name)(h)


class Generator(nn.Module):
    """z `[B, Z]` and a picture y to images `[B, H, W, C]` in [-1, 1].

    Layers of stride 2 (4 x 4 kernels) halve the resolution, rounded up, until 2 pixels are left; as many double it
    again, each on the output of the one before it and on that of its mirror image. Leaky ReLUs on the way down, ReLUs
    on the way up. Neither the first layer nor the innermost is normalised. The first layers on the way up, three at
    most and not the last two, have dropout whenever there is a key for it, in inference mode too: it is the paper's
    only noise. We add z, constant over the pixels of the innermost layer. The paper's nets go down to 1 pixel.

    Attributes:
      shape: (H, W, C), H and W multiples of 4.
      maps: the condition as images `[B, H, W, F]`, see `gan_jax.views.View`.
      width: channels of the layer nearest the image.
      norm: "batch" or "instance".
      dropout: its rate.
      dtype: compute dtype; parameters and the output stay float32.
      axis_name: mapped axis over which BatchNorm averages its statistics.
    """

    shape: tuple[int, int, int]
    maps: Callable[[Array], Array]
    width: int = 64
    norm: Norm = "batch"
    dropout: float = 0.5
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: Latents, y: Array, train: bool) -> Images:
        height, columns, channels = check_shape(self.shape, 2)
        layers = (min(height, columns) - 1).bit_length() - 1
        channels_of = widths(self.width, layers)
        common: dict[str, Any] = {"kernel_size": _KERNEL, "kernel_init": normal_002(), "dtype": self.dtype}

        def norm(h: Images) -> Images:
            return normalised(h, self.norm, train, self.dtype, self.axis_name)

        h, skips = self.maps(y), []
        for i, features in enumerate(channels_of):
            normed = 0 < i < layers - 1
            h = Conv(features, use_bias=not normed, **common)(leaky_relu(h) if i else h)
            h = norm(h) if normed else h
            skips.append(h)
        code = jnp.broadcast_to(z[:, None, None].astype(h.dtype), (*h.shape[:3], z.shape[-1]))
        h = jnp.concatenate([h, code], axis=-1)
        for i, skip in reversed(list(enumerate(skips[:-1]))):
            h = ConvTranspose(channels_of[i], use_bias=False, **common)(nn.relu(h))
            h = norm(h[:, : skip.shape[1], : skip.shape[2]])
            if i > 0 and layers - 2 - i < _DROPPED and self.dropout and self.has_rng("dropout"):
                h = nn.Dropout(self.dropout, deterministic=False)(h)
            h = jnp.concatenate([h, skip], axis=-1)
        return jnp.tanh(ConvTranspose(channels, **common)(nn.relu(h)).astype(jnp.float32))

"""A discriminator of patches (Isola et al. 2017, arXiv:1611.07004, section 3.2.2 and appendix 6.1.2)."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

from gan_jax.nets.activations import leaky_relu
from gan_jax.nets.inits import normal_002
from gan_jax.nets.layers import Conv
from gan_jax.nets.unet import normalised, widths
from gan_jax.typing import Images, Logits, Norm

_KERNEL = (4, 4)


def strided_layers(height: int, width: int) -> int:
    """How many layers of stride 2 the paper's family of nets has for patches of about half an image of this size.

    With 1, 2 or 3 a logit sees 16 x 16, 34 x 34 or 70 x 70 pixels; the latter two are for images from 64 and 128 up.
    """
    size = min(height, width)
    return 1 if size < 64 else 2 if size < 128 else 3


class Discriminator(nn.Module):
    """Images `[B, H, W, C]` and a picture y to logits `[B, rows, columns]`, one for each patch of both, side by side.

    Layers of stride 2, one of stride 1, and the logits, of stride 1; 4 x 4 kernels, leaky ReLUs, normalisation in all
    but the first and the last. The paper's is padded by one pixel less at the last two, and so has a row less of each.

    Attributes:
      maps: the condition as images `[B, H, W, F]`, see `gan_jax.views.View`.
      width: channels of the first layer.
      norm: "batch" or "instance".
      dtype: compute dtype; parameters and logits stay float32.
      axis_name: mapped axis over which BatchNorm averages its statistics.
    """

    maps: Callable[[Array], Array]
    width: int = 64
    norm: Norm = "batch"
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Images, y: Array, train: bool) -> Logits:
        strided = strided_layers(x.shape[1], x.shape[2])
        common: dict[str, Any] = {"kernel_size": _KERNEL, "kernel_init": normal_002(), "dtype": self.dtype}
        h = jnp.concatenate([x, self.maps(y)], axis=-1)
        for i, features in enumerate(widths(self.width, strided + 1)):
            h = Conv(features, strides=(2, 2) if i < strided else (1, 1), use_bias=i == 0, **common)(h)
            h = normalised(h, self.norm, train, self.dtype, self.axis_name) if i else h
            h = leaky_relu(h)
        return Conv(1, strides=(1, 1), **common)(h)[..., 0].astype(jnp.float32)

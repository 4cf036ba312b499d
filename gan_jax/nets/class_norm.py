"""BatchNorm whose scale and shift are those of a class."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.typing import Images


class ClassBatchNorm(nn.Module):
    """x `[B, H, W, C]` and labels y int `[B]`: BatchNorm, then scale[y] and shift[y] per channel.

    Class-conditional BatchNorm (Dumoulin et al. 2017, arXiv:1610.07629), as the generator of Miyato & Koyama 2018
    (arXiv:1802.05637) has it. Scales start at 1 and shifts at 0, so that it starts as BatchNorm.

    Attributes:
      num_classes: K, the number of labels; scale and shift are `[K, C]`.
      dtype: compute dtype; parameters stay float32.
      axis_name: mapped axis over which the statistics are averaged.
    """

    num_classes: int
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Images, y: Array | None, train: bool) -> Float[Array, "batch height width channels"]:
        if y is None:
            raise ValueError("this network is conditioned on labels: give it y [B], one label per example")
        normal = nn.BatchNorm(
            not train, momentum=0.9, use_bias=False, use_scale=False, dtype=self.dtype, axis_name=self.axis_name
        )(x)
        scale, shift = (
            nn.Embed(self.num_classes, x.shape[-1], embedding_init=start, dtype=self.dtype, name=name)(y)[:, None, None]
            for name, start in (("scale", nn.initializers.ones), ("shift", nn.initializers.zeros))
        )
        return normal * scale + shift

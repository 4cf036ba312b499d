"""A convolutional net that turns images of any size into a few numbers, for metrics."""

from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float

from gan_jax.typing import Images

_LARGEST, _SMALLEST, _WIDEST = 128, 7, 256


class Embedding(nn.Module):
    """x `[B, H, W, C]` to features `[B, features]`.

    Convolutions of 3 x 3, ReLUs and maxima over 2 x 2 pixels, as in VGG (Simonyan & Zisserman 2015, arXiv:1409.1556),
    until neither side is longer than 7 pixels, then a linear layer, so that features know where in the image something
    is. Images of more than 128 pixels are averaged over 2 x 2 before, as often as it takes. There are no biases and no
    normalisation: an image's features depend on that image alone.

    Attributes:
      features: numbers for each image.
      width: channels of the first convolution; each further one has twice as many, up to 256.
    """

    features: int = 64
    width: int = 32

    @nn.compact
    def __call__(self, x: Images) -> Float[Array, "batch features"]:
        while max(x.shape[1:3]) > _LARGEST:
            x = nn.avg_pool(x, (2, 2), (2, 2), "SAME", count_include_pad=False)
        width = self.width
        while max(x.shape[1:3]) > _SMALLEST:
            convolved = nn.Conv(width, (3, 3), use_bias=False, precision=lax.Precision.HIGHEST)(x)
            x = nn.max_pool(nn.relu(convolved), (2, 2), (2, 2), "SAME")
            width = min(2 * width, _WIDEST)
        flat = x.reshape(len(x), -1)
        return nn.Dense(self.features, use_bias=False, precision=lax.Precision.HIGHEST)(flat)

"""A small convolutional classifier: the features and the labels that metrics are made of."""

from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax.nets.layers import Conv
from gan_jax.typing import Images


class Classifier(nn.Module):
    """x `[B, H, W, C]` in [0, 1] to features `[B, hidden]` and logits `[B, num_classes]`.

    Two strided convolutions and a dense layer of ReLUs, whose activations are the features; then a linear layer. The
    net has no normalisation, so an image's features depend on that image alone.

    Attributes:
      num_classes: number of labels.
      width: channels of the first convolution; the second has twice as many.
      hidden: number of features.
    """

    num_classes: int
    width: int = 32
    hidden: int = 64

    @nn.compact
    def __call__(self, x: Images) -> tuple[Float[Array, "batch hidden"], Float[Array, "batch classes"]]:
        h = nn.relu(Conv(self.width, kernel_init=nn.initializers.he_normal())(x))
        h = nn.relu(Conv(2 * self.width, kernel_init=nn.initializers.he_normal())(h))
        features = nn.relu(nn.Dense(self.hidden, kernel_init=nn.initializers.he_normal())(h.reshape(h.shape[0], -1)))
        return features, nn.Dense(self.num_classes)(features)

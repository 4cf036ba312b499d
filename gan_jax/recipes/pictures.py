"""Recipes that make pictures from pictures."""

from typing import Any

from gan_jax import losses, penalties, priors, views
from gan_jax.conditioning import seen
from gan_jax.gan import GAN
from gan_jax.nets import patches, unet
from gan_jax.nets.sizes import check_shape
from gan_jax.recipes.builders import adam
from gan_jax.typing import Decay, Dtype, Norm, Rate, Shape, Share, Size, Weight, Width


def translation(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    condition: str = "low_resolution:4",
    l1: Weight = 100.0,
    width: Width = 64,
    norm: Norm = "instance",
    dropout: Share = 0.5,
    latent: Size = 16,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Image-to-image translation, pix2pix (Isola et al. 2017, arXiv:1611.07004).

    G, a U-Net, makes an image from what of it (or beside it) is given; D judges patches of both side by side, and the
    non-saturating loss is averaged over them; G's loss has `l1` times the mean distance to the true image. Adam(2e-4,
    b1 .5). Adam does not see the scale of a loss: D's is not halved, as the paper's is, `--l1 1e6` is L1 alone, and
    `--l1 0` the GAN alone. Nets follow the size of the image (`gan_jax.nets.unet`, `gan_jax.nets.patches`). Ours is z
    in the innermost layer. The paper has minibatches of 1 to 10 images, normalised by their own statistics at test time
    too; with minibatches of 1 those are an image's, `norm` instance.

    Args:
      condition: what images are made from, upper_half, masked, low_resolution[:FACTOR], grey, outline,
        blurred[:PIXELS], or pairs, pictures that come with the data.
      l1: weight of the mean absolute difference from the true image (lambda).
      norm: statistics that normalise the hidden layers, batch or instance.
      dropout: dropout rate in the first layers of the generator's way up, which is noise at test time too.
    """
    height, columns, channels = check_shape(shape, 2)
    view = views.read(condition, shape)
    nets: dict[str, Any] = {
        "maps": view.maps, "width": width, "norm": norm, "dtype": dtype, "axis_name": axis_name
    }  # fmt: skip
    return GAN(
        generator=unet.Generator((height, columns, channels), dropout=dropout, **nets),
        discriminator=patches.Discriminator(**nets),
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        g_penalty=penalties.l1(l1),
        conditioning=seen(view),
        ema_decay=ema,
        axis_name=axis_name,
    )

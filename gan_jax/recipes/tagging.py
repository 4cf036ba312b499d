"""Recipes that draw tags for pictures."""

from typing import Any

from gan_jax import losses, penalties, priors, views
from gan_jax.conditioning import seen
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.nets import tagging
from gan_jax.recipes.builders import adam, are_points
from gan_jax.typing import Decay, Dtype, Rate, Shape, Share, Size, Weight, Width


def tagger(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 1e-3,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    gamma: Weight = 0.1,
    width: Width = 64,
    hidden: Width = 1200,
    latent: Size = 100,
    apart: bool = False,
    dropout: Share = 0.5,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Tags drawn for a picture (Mirza & Osindero 2014, arXiv:1411.1784, section 4.2), of data such as tags:stacked.

    G draws from noise and the picture's features which tags it has, D judges picture and tags; there is no other loss.
    The paper's tags are vectors of words, of which those nearest to what G draws 100 times are counted, and its
    features those of a net trained on ImageNet. Ours are zeros and ones (`gan_jax.nets.tagging.Generator`), and both
    players learn their own features. Its are 100 numbers of noise, 1200 units for D's features and dropout, ours D's
    projection, R1 on the tags, and the relativistic pairing loss: real and drawn tags are of one picture, and where
    they are the same D learns nothing. Adam(1e-3, b1 .5), where the paper has SGD with momentum.

    Args:
      gamma: weight of the R1 penalty, of D's gradient by the tags.
      hidden: units of the dense layers.
      latent: numbers of z that join the picture's features; as many more as there are tags draw these.
      apart: whether convolutions see each channel of a picture separately, all alike.
      dropout: dropout rate of the features of both players.
    """
    if not are_points(shape):
        raise InputError("tagger draws tags, and this data is images: choose --data tags:SPEC, such as tags:stacked")
    (tags,) = shape
    nets: dict[str, Any] = {"width": width, "hidden": hidden, "apart": apart, "dropout": dropout, "dtype": dtype}
    return GAN(
        generator=tagging.Generator(tags, **nets),
        discriminator=tagging.Discriminator(**nets),
        loss=losses.relativistic_pairing(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.uniform(latent + tags),
        penalty=penalties.r1(gamma),
        conditioning=seen(views.tagged()),
        ema_decay=ema,
        axis_name=axis_name,
    )

"""One constructor per paper: each published system, complete, as a `GAN`.

Every recipe takes the `shape` of one example, `(H, W, C)` for images or `(D,)` for points, and the number of classes,
and returns a `GAN`. On points the networks of every recipe (but `completion` and `translation`, which take images only,
and `tagger`, which takes tags of pictures) are two plain MLPs of one width, four hidden layers against three, so that
objectives can be compared on toy targets; options of other networks (`gan_jax.recipes.mlp.OF_IMAGES`) mean nothing
there. Arguments annotated with `gan_jax.typing.Number` or one of its bounded kinds only scale: floats, traced scalars
or schedules of the step. The others are static. The signature is also the one declaration of a recipe's command-line
options, whose help is the recipe's own "Args", or else the text below.

Args:
  lr: learning rate of both players, per step.
  d_lr: learning rate of the discriminator; none for the same as lr.
  b1: Adam's decay of the first moment, per step.
  b2: Adam's decay of the second moment, per step.
  clip: bound on the absolute value of every critic parameter.
  n_critic: critic updates per generator update.
  weight: weight of the gradient penalty (lambda).
  gamma: weight of the R1 and R2 penalties.
  width: hidden units, or channels of the layer nearest the image.
  widths: channels of every layer of a convolutional generator, from its base to the image, A,B,C, with which the
    discriminator's go the other way round; their number is that of the strided layers (r3gan: of the resolutions); none
    for as many as the image's size needs, from width on.
  depth: hidden layers of each player.
  d_width: hidden units of the discriminator; none for the same as width.
  d_depth: hidden layers of the discriminator; none for the same as depth.
  d_activation: activation of the discriminator's hidden layers.
  batch_norm: BatchNorm in every hidden layer of the generator but the first.
  latent: dimensions of z.
  dropout: dropout rate in the discriminator.
  conditional: condition on labels.
  ema: decay of the generator's running average, per step; none to sample the last weights.
  dtype: compute type of the networks; parameters, losses and outputs stay float32.
  axis_name: mapped axis of data-parallel training, see `GAN.axis_name`.
"""

from gan_jax.recipes.conv import acgan, cdcgan, dcgan, dragan, lsgan, r3gan, sngan, wgan_dcgan, wgan_gp
from gan_jax.recipes.infogan import infogan
from gan_jax.recipes.mlp import cgan, cgan_embedding, completion, gan, gan_deep, wgan
from gan_jax.recipes.pictures import translation
from gan_jax.recipes.tagging import tagger

__all__ = [
    "acgan",
    "cdcgan",
    "cgan",
    "cgan_embedding",
    "completion",
    "dcgan",
    "dragan",
    "gan",
    "gan_deep",
    "infogan",
    "lsgan",
    "r3gan",
    "sngan",
    "tagger",
    "translation",
    "wgan",
    "wgan_dcgan",
    "wgan_gp",
]

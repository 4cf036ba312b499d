"""One constructor per paper: the whole of each published system, as a `GAN`.

Every recipe takes the `shape` of one example, `(H, W, C)` for images or `(D,)` for points, and the number of classes,
and returns a `GAN`. On points the networks of every recipe are two plain MLPs (four hidden layers against three), so
that objectives can be compared on toy targets. Numbers that only scale (learning rates, betas, clip, weights, ema) may
be traced arrays; the others are static. Options that several recipes share:

  lr, d_lr: learning rate of both players, and D's own if it differs.
  width: hidden units or channels, see the recipe's networks.
  latent: size of z.
  ema: decay of the generator's running average, e.g. 0.999; None for none.
  dtype: compute dtype of the networks, "float32" or "bfloat16"; parameters, losses and outputs stay float32.
  axis_name: mapped axis of data-parallel training, see `GAN.axis_name`.
"""

from gan_jax.recipes.conv import acgan, cdcgan, dcgan, dragan, lsgan, r3gan, sngan, wgan_dcgan, wgan_gp
from gan_jax.recipes.mlp import cgan, cgan_embedding, completion, gan, wgan

__all__ = [
    "acgan",
    "cdcgan",
    "cgan",
    "cgan_embedding",
    "completion",
    "dcgan",
    "dragan",
    "gan",
    "lsgan",
    "r3gan",
    "sngan",
    "wgan",
    "wgan_dcgan",
    "wgan_gp",
]

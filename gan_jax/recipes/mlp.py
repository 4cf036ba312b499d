"""Recipes whose networks are multi-layer perceptrons."""

from collections.abc import Callable, Mapping
from typing import Any

from gan_jax import losses, priors
from gan_jax.conditioning import labels, upper_half
from gan_jax.gan import GAN
from gan_jax.nets import dcgan, heads, mlp
from gan_jax.nets.activations import ACTIVATIONS, leaky_relu, tanh
from gan_jax.nets.inits import he_normal
from gan_jax.nets.layers import Encode
from gan_jax.nets.sizes import check_shape
from gan_jax.recipes.builders import Fields, adam, are_points, clipped_rmsprop, point_nets
from gan_jax.typing import Activation, Count, Decay, Depth, Dtype, Positive, Rate, Shape, Share, Size, Width


def gan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    width: Width = 256,
    depth: Depth = 1,
    batch_norm: bool = False,
    d_width: Width | None = None,
    d_depth: Depth | None = None,
    d_activation: Activation = "relu",
    dropout: Share = 0.0,
    latent: Size = 100,
    saturating: bool = False,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """The original GAN, an MLP (Goodfellow et al. 2014, arXiv:1406.2661).

    z(100) ~ U(-1, 1) -> 256 ReLU -> 784 sigmoid against 784 -> 256 ReLU -> 1 logit; He initialisation; Adam 2e-4.
    Non-saturating unless `saturating`. We differ from the paper's experiment, which had maxout and dropout in D and
    SGD with momentum, as nearly every implementation since does. More `depth` in G wants batch_norm, without which D
    wins.

    Args:
      saturating: use the original minimax loss for the generator.
    """
    if are_points(shape):
        nets = point_nets(shape, width, dtype)
    else:
        nets = {
            "generator": mlp.Generator(
                shape, (width,) * depth, batch_norm=batch_norm, dtype=dtype, axis_name=axis_name
            ),
            "discriminator": _discriminator(
                (d_width or width,) * (d_depth or depth), d_activation, dtype, dropout=dropout
            ),
        }
    return GAN(
        **nets,
        loss=losses.minimax() if saturating else losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.uniform(latent),
        data_range=(0.0, 1.0),
        ema_decay=ema,
        axis_name=axis_name,
    )


def gan_deep(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    width: Width = 512,
    latent: Size = 100,
    dropout: Share = 0.4,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """The original GAN's game (Goodfellow et al. 2014, arXiv:1406.2661) with `cgan_embedding`'s networks.

    G: z ~ N(0, 1) -> 128 -> 256 -> 512 -> 1024 -> 784 (width/4, width/2, width, 2 width) with BatchNorm, tanh. D: 784
    -> 512 -> 512 -> 512 -> 1 with dropout after the last two; the non-saturating loss.
    """
    nets = point_nets(shape, width, dtype) if are_points(shape) else _deep_nets(shape, width, dtype, axis_name, dropout)
    return GAN(
        **nets,
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        ema_decay=ema,
        axis_name=axis_name,
    )


def wgan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 5e-5,
    d_lr: Rate | None = None,
    clip: Positive = 0.01,
    n_critic: Count = 5,
    width: Width = 128,
    depth: Depth = 1,
    d_width: Width | None = None,
    d_depth: Depth | None = None,
    d_activation: Activation = "relu",
    latent: Size = 100,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Wasserstein GAN with MLPs (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1).

    `depth` hidden layers of `width` ReLUs in G (sigmoid output) and in the critic (one logit, no sigmoid); RMSProp 5e-5
    for both; every critic weight clipped to [-clip, clip] after each of the n_critic updates. depth=4, width=512 is
    the MLP of the paper's section 4.3. The authors' code clips before the update, so that the critic may leave the box.

    A clipped critic's scale goes as (clip x width)^depth: deep ones die or explode, and shallow ones are steady. With
    d_activation="abs" (Anil et al. 2019, arXiv:1811.05381) every hidden unit passes the whole gradient on.

    On MNIST at the defaults of this function, the published ones, the critic's units become alike within a few thousand
    steps, and all they compare is brightness; some seeds never leave that (docs/tables/papers.md says how many). The
    defaults of `python -m experiments.run wgan` hold on all of fifty seeds.
    """
    if are_points(shape):
        nets = point_nets(shape, width, dtype)
    else:
        nets = {
            "generator": mlp.Generator(shape, (width,) * depth, dtype=dtype),
            "discriminator": _discriminator((d_width or width,) * (d_depth or depth), d_activation, dtype),
        }
    return GAN(
        **nets,
        loss=losses.wasserstein(),
        **clipped_rmsprop(lr, d_lr, clip),
        prior=priors.normal(latent),
        n_critic=n_critic,
        data_range=(0.0, 1.0),
        ema_decay=ema,
        axis_name=axis_name,
    )


def cgan(
    shape: Shape,
    num_classes: int,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    width: Width = 128,
    depth: Depth = 1,
    batch_norm: bool = False,
    d_width: Width | None = None,
    d_depth: Depth | None = None,
    d_activation: Activation = "relu",
    dropout: Share = 0.0,
    latent: Size = 100,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Conditional GAN, an MLP by concatenation (Mirza & Osindero 2014, arXiv:1411.1784).

    [z, onehot(y)] -> 128 ReLU -> 784 sigmoid against [x, onehot(y)] -> 128 ReLU -> 1 logit; sigmoid cross-entropy on
    logits, one y per step for real and fake. As in `gan`, we differ from the paper's maxout, dropout and SGD, and more
    `depth` in G wants batch_norm.
    """
    conditioning, encode = labels(num_classes), Encode(num_classes)
    if are_points(shape):
        nets = point_nets(shape, width, dtype, encode)
    else:
        nets = {
            "generator": mlp.Generator(
                shape, (width,) * depth, batch_norm=batch_norm, encode=encode, dtype=dtype, axis_name=axis_name
            ),
            "discriminator": _discriminator(
                (d_width or width,) * (d_depth or depth), d_activation, dtype, dropout=dropout, encode=encode
            ),
        }
    return GAN(
        **nets,
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.uniform(latent),
        conditioning=conditioning,
        data_range=(0.0, 1.0),
        ema_decay=ema,
        axis_name=axis_name,
    )


def cgan_embedding(
    shape: Shape,
    num_classes: int,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    width: Width = 512,
    latent: Size = 100,
    dropout: Share = 0.4,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Conditional GAN with learned label embeddings (Mirza & Osindero 2014, arXiv:1411.1784; the network is folklore).

    G: [z, E(y)] -> 128 -> 256 -> 512 -> 1024 -> 784 (width/4, width/2, width, 2 width), BatchNorm from the second
    layer, tanh. D: [x, E(y)] -> 512 -> 512 -> 512 -> 1 with dropout after the last two. LeakyReLU .2, an
    Embedding(10, 10) in each; Adam(2e-4, b1 .5); fake labels drawn uniformly from all classes. We differ from the usual
    code in that the loss is cross-entropy (theirs is least squares, see `lsgan`) and BatchNorm's eps is 1e-5 (theirs is
    0.8, a momentum passed as eps).
    """
    conditioning, encode = labels(num_classes, resample=True), Encode(num_classes, embedding=num_classes)
    if are_points(shape):
        nets = point_nets(shape, width, dtype, encode)
    else:
        nets = _deep_nets(shape, width, dtype, axis_name, dropout, encode)
    return GAN(
        **nets,
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        conditioning=conditioning,
        ema_decay=ema,
        axis_name=axis_name,
    )


def completion(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    width: Width = 512,
    latent: Size = 32,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Image completion: a GAN conditioned on half an image (after Mirza & Osindero 2014, arXiv:1411.1784).

    y `[B, H/2, W, C]` is the upper half; G, a BatchNorm MLP of three hidden layers, paints the lower half below it, and
    D, a DCGAN discriminator without BatchNorm, gets the whole image. G hardly uses z, as Isola et al. 2017
    (arXiv:1611.07004) also found for GANs conditioned on images. The experiment is ours, so there are no published
    settings.
    """
    height, columns, channels = check_shape(shape, 2)
    norm: dict[str, Any] = {"batch_norm": True, "encode": Encode(0), "dtype": dtype, "axis_name": axis_name}
    paint = mlp.Generator((height - height // 2, columns, channels), (width,) * 3, tanh, leaky_relu, **norm)
    d_width = max(width // 16, 1)
    return GAN(
        generator=mlp.Completion(paint),
        discriminator=dcgan.Discriminator(heads.Logit(), (d_width, 2 * d_width), dtype=dtype, axis_name=axis_name),
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        conditioning=upper_half(),
        ema_decay=ema,
        axis_name=axis_name,
    )


OF_IMAGES: Mapping[Callable[..., GAN], frozenset[str]] = {
    gan: frozenset({"depth", "batch_norm", "d_width", "d_depth", "d_activation", "dropout"}),
    gan_deep: frozenset({"dropout"}),
    wgan: frozenset({"depth", "d_width", "d_depth", "d_activation"}),
    cgan: frozenset({"depth", "batch_norm", "d_width", "d_depth", "d_activation", "dropout"}),
    cgan_embedding: frozenset({"dropout"}),
}
"""By recipe the options that mean nothing on points, whose networks have a width alone. Commands refuse them there."""


def _discriminator(
    hidden: tuple[int, ...],
    activation: Activation,
    dtype: str,
    *,
    dropout: float = 0.0,
    encode: Encode | None = None,
) -> mlp.Discriminator:
    head = heads.Logit(he_normal())
    return mlp.Discriminator(hidden, head, ACTIVATIONS[activation], dropout, encode=encode, dtype=dtype)


def _deep_nets(
    shape: Shape, width: int, dtype: str, axis_name: str | None, dropout: float, encode: Encode | None = None
) -> Fields:
    hidden = (width // 4, width // 2, width, 2 * width)
    norm: dict[str, Any] = {"batch_norm": True, "encode": encode, "dtype": dtype, "axis_name": axis_name}
    head = heads.Logit(he_normal())
    return {
        "generator": mlp.Generator(shape, hidden, tanh, leaky_relu, **norm),
        "discriminator": mlp.Discriminator((width,) * 3, head, dropout=dropout, encode=encode, dtype=dtype),
    }

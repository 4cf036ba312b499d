"""Recipes whose networks are multi-layer perceptrons."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

from gan_jax import losses, priors
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.nets import dcgan, heads, mlp
from gan_jax.nets.layers import Encode, leaky_relu
from gan_jax.recipes.parts import Nets, Number, Shape, adam, are_points, clipped_rmsprop, on_classes, point_nets


def gan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.9,
    width: int = 256,
    latent: int = 100,
    saturating: bool = False,
    deep: bool = False,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """The original GAN, an MLP (Goodfellow et al. 2014, arXiv:1406.2661).

    z(100) ~ U(-1, 1) -> 256 ReLU -> 784 sigmoid against 784 -> 256 ReLU -> 1 logit; He initialisation; Adam 2e-4.
    Non-saturating unless `saturating`. We differ from the paper's experiment, which had maxout and dropout in D and
    SGD with momentum, as nearly every implementation since does. With `deep`, images have the networks of
    `cgan_embedding` (which is folklore), without labels, z ~ N(0, 1), and the range [-1, 1].
    """
    if are_points(shape):
        nets, prior, data_range = point_nets(shape, width, dtype), priors.uniform(latent), (0.0, 1.0)
    elif deep:
        nets, prior, data_range = _deep_nets(shape, width, dtype, axis_name), priors.normal(latent), (-1.0, 1.0)
    else:
        nets = (
            mlp.Generator(shape, (width,), dtype=dtype),
            mlp.Discriminator((width,), heads.Logit(mlp.he_normal()), nn.relu, dtype=dtype),
        )
        prior, data_range = priors.uniform(latent), (0.0, 1.0)
    loss = losses.minimax() if saturating else losses.non_saturating()
    optimizers = adam(lr, d_lr, b1)
    return GAN(*nets, loss, *optimizers, prior, data_range=data_range, ema_decay=ema, axis_name=axis_name)


def wgan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 5e-5,
    d_lr: Number | None = None,
    clip: Number = 0.01,
    n_critic: int = 5,
    width: int = 128,
    depth: int = 1,
    latent: int = 100,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Wasserstein GAN with MLPs (Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1).

    `depth` hidden layers of `width` ReLUs in G (sigmoid output) and in the critic (one logit, no sigmoid); RMSProp 5e-5
    for both; every critic weight clipped to [-clip, clip] after each of the n_critic updates. depth=4, width=512 is
    the MLP of the paper's section 4.3. The authors' code clips before the update, so that the critic may leave the box.
    """
    if are_points(shape):
        nets = point_nets(shape, width, dtype)
    else:
        nets = (
            mlp.Generator(shape, (width,) * depth, dtype=dtype),
            mlp.Discriminator((width,) * depth, heads.Logit(mlp.he_normal()), nn.relu, dtype=dtype),
        )
    return GAN(
        *nets,
        losses.wasserstein(),
        *clipped_rmsprop(lr, d_lr, clip),
        priors.normal(latent),
        n_critic,
        data_range=(0.0, 1.0),
        ema_decay=ema,
        axis_name=axis_name,
    )


def cgan(
    shape: Shape,
    num_classes: int,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.9,
    width: int = 128,
    latent: int = 100,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Conditional GAN, an MLP by concatenation (Mirza & Osindero 2014, arXiv:1411.1784).

    [z, onehot(y)] -> 128 ReLU -> 784 sigmoid against [x, onehot(y)] -> 128 ReLU -> 1 logit; sigmoid cross-entropy on
    logits, one y per step for real and fake. As in `gan`, we differ from the paper's maxout, dropout and SGD.
    """
    fields, encode = on_classes(num_classes), Encode(num_classes)
    if are_points(shape):
        nets = point_nets(shape, width, dtype, encode)
    else:
        head = heads.Logit(mlp.he_normal())
        nets = (
            mlp.Generator(shape, (width,), encode=encode, dtype=dtype),
            mlp.Discriminator((width,), head, nn.relu, encode=encode, dtype=dtype),
        )
    return GAN(
        *nets,
        losses.non_saturating(),
        *adam(lr, d_lr, b1),
        priors.uniform(latent),
        **fields,
        data_range=(0.0, 1.0),
        ema_decay=ema,
        axis_name=axis_name,
    )


def cgan_embedding(
    shape: Shape,
    num_classes: int,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    width: int = 512,
    latent: int = 100,
    dropout: float = 0.4,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Conditional GAN with learned label embeddings (Mirza & Osindero 2014, arXiv:1411.1784; the network is folklore).

    G: [z, E(y)] -> 128 -> 256 -> 512 -> 1024 -> 784 (width/4, width/2, width, 2 width), BatchNorm from the second
    layer, tanh. D: [x, E(y)] -> 512 -> 512 -> 512 -> 1 with dropout after the last two. LeakyReLU .2, an
    Embedding(10, 10) in each; Adam(2e-4, b1 .5); fake labels drawn uniformly from all classes. We differ from the usual
    code in that the loss is cross-entropy (theirs is least squares, see `lsgan`) and BatchNorm's eps is 1e-5 (theirs is
    0.8, a momentum passed as eps).
    """
    fields, encode = on_classes(num_classes, fresh=True), Encode(num_classes, embedding=num_classes)
    if are_points(shape):
        nets = point_nets(shape, width, dtype, encode)
    else:
        nets = _deep_nets(shape, width, dtype, axis_name, encode, dropout)
    optimizers, prior = adam(lr, d_lr, b1), priors.normal(latent)
    return GAN(*nets, losses.non_saturating(), *optimizers, prior, **fields, ema_decay=ema, axis_name=axis_name)


def completion(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    width: int = 512,
    latent: int = 32,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Image completion: a GAN conditioned on half an image (after Mirza & Osindero 2014, arXiv:1411.1784).

    y `[B, H/2, W, C]` is the upper half; G, a BatchNorm MLP of three hidden layers, paints the lower half below it, and
    D, the convolutional one of `dcgan`, judges the whole. G hardly uses z, as Isola et al. 2017 (arXiv:1611.07004) saw
    too of GANs conditioned on images. The experiment is ours, so there are no published settings.
    """
    height, columns, channels = dcgan.check_shape(shape)
    half = height // 2
    norm: dict[str, Any] = {"batch_norm": True, "encode": Encode(0), "dtype": dtype, "axis_name": axis_name}
    paint = mlp.Generator((half, columns, channels), (width,) * 3, jnp.tanh, leaky_relu, **norm)

    def draw_condition(rng: jax.Array, n: int) -> Array:
        raise InputError("completion is conditioned on upper halves of images: give them as y [n, H/2, W, C]")

    return GAN(
        mlp.Completion(paint),
        dcgan.Discriminator(heads.Logit(), max(width // 16, 1), dtype=dtype, axis_name=axis_name),
        losses.non_saturating(),
        *adam(lr, d_lr, b1),
        priors.normal(latent),
        condition=lambda x, labels: x[..., :half, :, :],
        draw_condition=draw_condition,
        ema_decay=ema,
        axis_name=axis_name,
    )


def _deep_nets(
    shape: Shape, width: int, dtype: str, axis_name: str | None, encode: Encode | None = None, dropout: float = 0.4
) -> Nets:
    hidden = (width // 4, width // 2, width, 2 * width)
    norm: dict[str, Any] = {"batch_norm": True, "encode": encode, "dtype": dtype, "axis_name": axis_name}
    return (
        mlp.Generator(shape, hidden, jnp.tanh, leaky_relu, **norm),
        mlp.Discriminator((width,) * 3, heads.Logit(mlp.he_normal()), dropout=dropout, encode=encode, dtype=dtype),
    )

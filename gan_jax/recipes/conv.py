"""Recipes whose networks are convolutional."""

from typing import Any

from flax import linen as nn

from gan_jax import losses, penalties, priors
from gan_jax.conditioning import labels, none
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.nets import heads
from gan_jax.nets.inits import normal_002
from gan_jax.nets.layers import Encode
from gan_jax.recipes.builders import adam, are_points, check_images, clipped_rmsprop, conv_nets, point_nets
from gan_jax.recipes.residual import r3gan_nets, sngan_nets, wgan_gp_nets
from gan_jax.typing import Count, Decay, Dtype, Net, Positive, Rate, Shape, Size, Weight, Width, Widths


def wgan_dcgan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 5e-5,
    d_lr: Rate | None = None,
    clip: Positive = 0.01,
    n_critic: Count = 5,
    width: Width = 64,
    widths: Widths | None = None,
    latent: Size = 100,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Wasserstein GAN with DCGAN's networks (Arjovsky et al. 2017, arXiv:1701.07875, section 4).

    As `wgan`, with `dcgan`'s networks. The critic has no BatchNorm: clipping would cut its scale from 1 to
    `clip` at the first update (as it does in the authors' code).
    """
    return GAN(
        **conv_nets(shape, width, widths, dtype, axis_name),
        loss=losses.wasserstein(),
        **clipped_rmsprop(lr, d_lr, clip),
        prior=priors.normal(latent),
        n_critic=n_critic,
        ema_decay=ema,
        axis_name=axis_name,
    )


def dcgan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    width: Width = 128,
    widths: Widths | None = None,
    latent: Size = 100,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434).

    G: z -> 4x4x1024 -> 8x8x512 -> 16x16x256 -> 32x32x128 -> 64x64x3, BatchNorm, tanh; D: 32x32x128 -> 16x16x256 ->
    8x8x512 -> 4x4x1024 with BatchNorm -> 1 logit; 5 x 5 kernels, stride 2, truncated normal(0, .02), Adam(2e-4, b1 .5).
    There are as many strided layers as leave a base of 4 to 7 pixels: the paper's four at 64 x 64, two at 28 x 28 (7),
    three at 32 x 32 (4), five at 128 x 128; `width` channels next to the image, doubled layer by layer. We differ in
    G's LeakyReLU (the paper has ReLU).
    """
    return GAN(
        **conv_nets(shape, width, widths, dtype, axis_name, batch_norm=True),
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        ema_decay=ema,
        axis_name=axis_name,
    )


def lsgan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    width: Width = 128,
    widths: Widths | None = None,
    latent: Size = 100,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Least-squares GAN (Mao et al. 2017, arXiv:1611.04076) with the networks of `dcgan` and the paper's Adam b1 .5.

    The paper's own networks are deeper, for 112 x 112 scenes.
    """
    return GAN(
        **conv_nets(shape, width, widths, dtype, axis_name, batch_norm=True),
        loss=losses.least_squares(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        ema_decay=ema,
        axis_name=axis_name,
    )


def cdcgan(
    shape: Shape,
    num_classes: int,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    width: Width = 128,
    widths: Widths | None = None,
    latent: Size = 100,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Conditional DCGAN (Mirza & Osindero 2014, arXiv:1411.1784, with Radford et al. 2015, arXiv:1511.06434).

    As `dcgan`; onehot(y) is concatenated to z, and enters D as constant maps beside the image. Fake labels are those of
    the real batch, all classes; the usual code draws them with randint(0, 9) and never draws class 9.
    """
    conditioning = labels(num_classes)
    return GAN(
        **conv_nets(shape, width, widths, dtype, axis_name, Encode(num_classes), batch_norm=True),
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        conditioning=conditioning,
        ema_decay=ema,
        axis_name=axis_name,
    )


def acgan(
    shape: Shape,
    num_classes: int,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    width: Width = 128,
    widths: Widths | None = None,
    latent: Size = 100,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Auxiliary classifier GAN (Odena et al. 2017, arXiv:1610.09585).

    As `cdcgan`, but D does not get y: it classifies, and both players minimise its cross-entropy on real and fake
    (L_C, eq. 3) beside the adversarial loss. Fake labels are drawn uniformly. The paper's networks are larger and have
    dropout in D instead of BatchNorm in its second layer.
    """
    conditioning, head = labels(num_classes, resample=True), heads.Classify(num_classes)
    return GAN(
        **conv_nets(shape, width, widths, dtype, axis_name, Encode(num_classes), head=head, batch_norm=True),
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        conditioning=conditioning,
        ema_decay=ema,
        axis_name=axis_name,
    )


def wgan_gp(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 1e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.9,
    weight: Weight = 10.0,
    n_critic: Count = 5,
    net: Net = "dcgan",
    width: Width = 64,
    widths: Widths | None = None,
    latent: Size = 128,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """WGAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028).

    Penalty weight (lambda) 10, n_critic 5, Adam(1e-4, b1 0 or .5, b2 .9), no BatchNorm in the critic; `dcgan`'s
    networks (the authors' MNIST networks have one layer more), or the paper's residual ones.

    Args:
      net: the networks, dcgan or the paper's resnet (128 channels at 32 x 32, four stages at 64 x 64).
    """
    if net == "dcgan":
        nets = conv_nets(shape, width, widths, dtype, axis_name)
    else:
        check_images(shape, net=net)
        nets = wgan_gp_nets(shape, width, widths, dtype, axis_name)
    return GAN(
        **nets,
        loss=losses.wasserstein(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        n_critic=n_critic,
        penalty=penalties.wgan_gp(weight),
        ema_decay=ema,
        axis_name=axis_name,
    )


def sngan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.999,
    conditional: bool = False,
    n_critic: Count = 5,
    net: Net = "dcgan",
    width: Width = 64,
    widths: Widths | None = None,
    latent: Size = 128,
    apart: bool = False,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Spectrally normalised GAN with the hinge loss (Miyato et al. 2018, arXiv:1802.05957).

    One power iteration per pass, no BatchNorm in D, Adam(2e-4, b1 .5, b2 .999), n_critic 5 (or 1). With `conditional`
    the head is a projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637). `dcgan`'s networks, smaller than
    the paper's seven layers, with onehot(y) concatenated to z; or the paper's residual ones, with class-conditional
    BatchNorm.

    Args:
      net: the networks, dcgan or the paper's resnet (256 channels in G, half of them in D, at 32 x 32; 64 next to the
        image at 64 x 64 and beyond).
      apart: apply the same one-channel networks to every channel (the digits of stacked), and join D's features of them
        by a dense layer.
    """
    conditioning = labels(num_classes) if conditional else none()
    if net == "resnet":
        check_images(shape, net=net)
        if apart:
            raise InputError("apart is an option of dcgan's networks: leave it out, or choose net dcgan")
        nets = sngan_nets(shape, width, widths, dtype, axis_name, num_classes if conditional else 0)
    else:
        encode: Encode | None = None
        head: nn.Module | None = None
        if conditional:
            encode, head = Encode(num_classes), heads.Projection(num_classes, normal_002(), spectral_norm=True)
        if apart:
            head = heads.Hidden(4 * width, head or heads.Logit(spectral_norm=True), spectral_norm=True)
        normal: dict[str, Any] = {"spectral_norm": True, "per_channel": apart}
        nets = conv_nets(shape, width, widths, dtype, axis_name, encode, head=head, **normal)
    return GAN(
        **nets,
        loss=losses.hinge(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        n_critic=n_critic,
        conditioning=conditioning,
        ema_decay=ema,
        axis_name=axis_name,
    )


def dragan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 1e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.5,
    b2: Decay = 0.9,
    weight: Weight = 10.0,
    width: Width = 64,
    widths: Widths | None = None,
    latent: Size = 100,
    ema: Decay | None = None,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """DRAGAN: the non-saturating game with a gradient penalty around the data (Kodali et al. 2017, arXiv:1705.07215).

    Penalty weight (lambda) 10, Adam(1e-4, b1 .5, b2 .9), `dcgan`'s networks without BatchNorm in D, whose mixing of
    examples would make the penalty's per-example gradients wrong.
    """
    return GAN(
        **conv_nets(shape, width, widths, dtype, axis_name),
        loss=losses.non_saturating(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        penalty=penalties.dragan(weight, axis_name=axis_name),
        ema_decay=ema,
        axis_name=axis_name,
    )


def r3gan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Rate = 2e-4,
    d_lr: Rate | None = None,
    b1: Decay = 0.0,
    b2: Decay = 0.99,
    gamma: Weight = 1.0,
    width: Width = 64,
    widths: Widths | None = None,
    latent: Size = 64,
    conditional: bool = False,
    ema: Decay | None = 0.999,
    dtype: Dtype = "float32",
    axis_name: str | None = None,
) -> GAN:
    """R3GAN: relativistic pairing loss with R1 and R2 (Huang et al. 2024, arXiv:2501.05441).

    Residual networks without normalisation (`gan_jax.nets.resnet`, smaller than the paper's and without its grouped
    convolutions), Adam without momentum (b1 0, b2 .99), both penalties with the same gamma. The authors anneal lr,
    gamma and b2 by a cosine over most of the training: pass schedules for that. With `conditional`, onehot(y) is
    concatenated to z and D's head is a projection.
    """
    conditioning, encode = none(), None
    head: nn.Module = heads.Logit()
    if conditional:
        conditioning, encode, head = labels(num_classes), Encode(num_classes), heads.Projection(num_classes)
    if are_points(shape):
        check_images(shape, widths=widths)
        nets = point_nets(shape, width, dtype, encode, head=head)
    else:
        nets = r3gan_nets(shape, width, widths, dtype, encode, head)
    return GAN(
        **nets,
        loss=losses.relativistic_pairing(),
        **adam(lr, d_lr, b1, b2),
        prior=priors.normal(latent),
        penalty=penalties.total(penalties.r1(gamma), penalties.r2(gamma)),
        conditioning=conditioning,
        ema_decay=ema,
        axis_name=axis_name,
    )

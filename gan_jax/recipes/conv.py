"""Recipes whose networks are convolutional."""

from flax import linen as nn

from gan_jax import losses, penalties, priors
from gan_jax.gan import GAN
from gan_jax.nets import dcgan as dcgan_nets
from gan_jax.nets import heads, resnet
from gan_jax.nets.layers import Encode
from gan_jax.recipes.parts import (
    Number,
    Shape,
    adam,
    are_points,
    clipped_rmsprop,
    conv_nets,
    on_classes,
    point_nets,
)


def wgan_dcgan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 5e-5,
    d_lr: Number | None = None,
    clip: Number = 0.01,
    n_critic: int = 5,
    width: int = 64,
    latent: int = 100,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Wasserstein GAN with DCGAN's networks (Arjovsky et al. 2017, arXiv:1701.07875, section 4).

    As `wgan`, with `width` and 2 `width` channels. The critic has no BatchNorm: clipping would cut its scale from 1 to
    `clip` at the first update (the authors' code does just that).
    """
    nets, optimizers = conv_nets(shape, width, dtype, axis_name), clipped_rmsprop(lr, d_lr, clip)
    prior = priors.normal(latent)
    return GAN(*nets, losses.wasserstein(), *optimizers, prior, n_critic, ema_decay=ema, axis_name=axis_name)


def dcgan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    width: int = 128,
    latent: int = 100,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Deep convolutional GAN (Radford et al. 2015, arXiv:1511.06434).

    G: z -> 7x7x256 -> 14x14x128 -> 28x28x1, BatchNorm, tanh; D: 14x14x128 -> 7x7x256 with BatchNorm -> 1 logit; 5 x 5
    kernels, stride 2, truncated normal(0, .02), Adam(2e-4, b1 .5). We differ in G's LeakyReLU (the paper has ReLU) and
    in depth: two strided layers fit 28 x 28, the paper's four fit 64 x 64.
    """
    nets, optimizers = conv_nets(shape, width, dtype, axis_name, batch_norm=True), adam(lr, d_lr, b1)
    prior = priors.normal(latent)
    return GAN(*nets, losses.non_saturating(), *optimizers, prior, ema_decay=ema, axis_name=axis_name)


def lsgan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    width: int = 128,
    latent: int = 100,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Least-squares GAN (Mao et al. 2017, arXiv:1611.04076) with the networks of `dcgan` and the paper's Adam b1 .5.

    The paper's own networks are deeper, for 112 x 112 scenes.
    """
    nets, optimizers = conv_nets(shape, width, dtype, axis_name, batch_norm=True), adam(lr, d_lr, b1)
    prior = priors.normal(latent)
    return GAN(*nets, losses.least_squares(), *optimizers, prior, ema_decay=ema, axis_name=axis_name)


def cdcgan(
    shape: Shape,
    num_classes: int,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    width: int = 128,
    latent: int = 100,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Conditional DCGAN (Mirza & Osindero 2014, arXiv:1411.1784, with Radford et al. 2015, arXiv:1511.06434).

    As `dcgan`; onehot(y) is concatenated to z, and stands as constant maps beside the image at D's input. Fake labels
    are those of the real batch, all classes; the usual code draws them with randint(0, 9) and never asks for a nine.
    """
    fields = on_classes(num_classes)
    nets = conv_nets(shape, width, dtype, axis_name, Encode(num_classes), batch_norm=True)
    optimizers, prior = adam(lr, d_lr, b1), priors.normal(latent)
    return GAN(*nets, losses.non_saturating(), *optimizers, prior, **fields, ema_decay=ema, axis_name=axis_name)


def acgan(
    shape: Shape,
    num_classes: int,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    width: int = 128,
    latent: int = 100,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Auxiliary classifier GAN (Odena et al. 2017, arXiv:1610.09585).

    As `cdcgan`, but D does not see y: it classifies, and both players minimise its cross-entropy on real and fake
    (L_C, eq. 3) beside the adversarial loss. Fake labels are drawn uniformly. The paper's networks are larger and have
    dropout in D instead of BatchNorm in its second layer.
    """
    fields, head = on_classes(num_classes, fresh=True), heads.Classify(num_classes)
    nets = conv_nets(shape, width, dtype, axis_name, Encode(num_classes), head=head, batch_norm=True)
    optimizers, prior = adam(lr, d_lr, b1), priors.normal(latent)
    return GAN(*nets, losses.non_saturating(), *optimizers, prior, **fields, ema_decay=ema, axis_name=axis_name)


def wgan_gp(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 1e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    weight: Number = 10.0,
    n_critic: int = 5,
    width: int = 64,
    latent: int = 128,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """WGAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028).

    Penalty weight (lambda) 10, n_critic 5, Adam(1e-4, b1 0 or .5, b2 .9), no BatchNorm in the critic; `width` and
    2 `width` channels, `dcgan`'s networks (the authors' MNIST networks have one layer more).
    """
    return GAN(
        *conv_nets(shape, width, dtype, axis_name),
        losses.wasserstein(),
        *adam(lr, d_lr, b1, 0.9),
        priors.normal(latent),
        n_critic,
        penalties.wgan_gp(weight),
        ema_decay=ema,
        axis_name=axis_name,
    )


def sngan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    conditional: bool = False,
    n_critic: int = 5,
    width: int = 64,
    latent: int = 128,
    apart: bool = False,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Spectrally normalised GAN with the hinge loss (Miyato et al. 2018, arXiv:1802.05957).

    One power iteration a pass, no BatchNorm in D, Adam(2e-4, b1 .5, b2 .999), n_critic 5 (or 1). With
    `conditional` the head is a projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637) and onehot(y) is
    concatenated to z, where that paper has class-conditional BatchNorm. `dcgan`'s networks, smaller than the paper's
    seven layers; with `apart` they treat every channel of the image alike, and a dense layer of D joins what it finds.
    """
    fields, encode = {}, None
    head: nn.Module | None = None
    if conditional:
        fields, encode = on_classes(num_classes), Encode(num_classes)
        head = heads.Projection(num_classes, dcgan_nets.normal_002(), spectral_norm=True)
    if apart:
        head = heads.Hidden(4 * width, head or heads.Logit(spectral_norm=True), spectral_norm=True)
    nets = conv_nets(shape, width, dtype, axis_name, encode, head=head, spectral_norm=True, apart=apart)
    optimizers, prior = adam(lr, d_lr, b1), priors.normal(latent)
    return GAN(*nets, losses.hinge(), *optimizers, prior, n_critic, **fields, ema_decay=ema, axis_name=axis_name)


def dragan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 1e-4,
    d_lr: Number | None = None,
    b1: Number = 0.5,
    weight: Number = 10.0,
    width: int = 64,
    latent: int = 100,
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """DRAGAN: the non-saturating game with a gradient penalty around the data (Kodali et al. 2017, arXiv:1705.07215).

    Penalty weight (lambda) 10, Adam(1e-4, b1 .5, b2 .9), `dcgan`'s networks without BatchNorm in D, whose mixing of
    examples would make the penalty's per-example gradients wrong.
    """
    return GAN(
        *conv_nets(shape, width, dtype, axis_name),
        losses.non_saturating(),
        *adam(lr, d_lr, b1, 0.9),
        priors.normal(latent),
        penalty=penalties.dragan(weight),
        ema_decay=ema,
        axis_name=axis_name,
    )


def r3gan(
    shape: Shape,
    num_classes: int = 0,
    *,
    lr: Number = 2e-4,
    d_lr: Number | None = None,
    b1: Number = 0.0,
    gamma: Number = 1.0,
    width: int = 64,
    latent: int = 64,
    conditional: bool = False,
    ema: Number | None = 0.999,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """R3GAN: relativistic pairing loss with R1 and R2 (Huang et al. 2024, arXiv:2501.05441).

    Residual networks without normalisation (`gan_jax.nets.resnet`, smaller than the paper's and without its grouped
    convolutions), Adam without momentum (b1 0, b2 .99), both penalties with the same gamma (the paper: 1 on Stacked
    MNIST, annealed elsewhere). With `conditional`, onehot(y) is concatenated to z and D's head is a projection.
    """
    fields, encode = {}, None
    head: nn.Module = heads.Logit()
    if conditional:
        fields, encode, head = on_classes(num_classes), Encode(num_classes), heads.Projection(num_classes)
    if are_points(shape):
        nets = point_nets(shape, width, dtype, encode, head=head)
    else:
        image = dcgan_nets.check_shape(shape)
        nets = resnet.Generator(image, width, encode=encode, dtype=dtype), resnet.Discriminator(head, width, dtype)
    return GAN(
        *nets,
        losses.relativistic_pairing(),
        *adam(lr, d_lr, b1, 0.99),
        priors.normal(latent),
        penalty=penalties.total(penalties.r1(gamma), penalties.r2(gamma)),
        **fields,
        ema_decay=ema,
        axis_name=axis_name,
    )

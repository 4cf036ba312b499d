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

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax import losses, penalties, priors
from gan_jax.errors import InputError
from gan_jax.gan import GAN
from gan_jax.nets import dcgan as conv_nets
from gan_jax.nets import heads, mlp, resnet
from gan_jax.nets.layers import Encode, leaky_relu
from gan_jax.transforms import clip_params

Shape = tuple[int, ...]
Number = float | Float[Array, ""]


def _adam(lr: Number, b1: Number, b2: Number) -> optax.GradientTransformation:
    return optax.adam(lr, b1=b1, b2=b2)


def _rmsprop(lr: Number) -> optax.GradientTransformation:
    """RMSProp as in PyTorch, where WGAN's numbers were found: decay .99 and eps outside the root (optax: .9, inside)."""
    return optax.rmsprop(lr, decay=0.99, eps=1e-8, eps_in_sqrt=False)


def _on_classes(num_classes: int, *, fresh: bool = False) -> dict[str, Any]:
    """The fields of a GAN conditioned on labels; with `fresh` ones the fakes get labels of their own, else the real ones."""
    if num_classes < 1:
        raise InputError(
            "this GAN is conditioned on labels and the data has none: choose labelled data, or an unconditional GAN"
        )
    draw = priors.labels(num_classes)
    fields: dict[str, Any] = {"condition": lambda x, labels: labels, "draw_condition": draw}
    return fields | ({"pair": lambda rng, y: draw(rng, y.shape[0])} if fresh else {})


def _on_points(shape: Shape) -> bool:
    return len(shape) == 1


def _point_nets(
    shape: Shape,
    width: int,
    encode: Encode | None,
    dtype: Any,
    *,
    head: nn.Module | None = None,
    spectral_norm: bool = False,
) -> dict[str, nn.Module]:
    """The toy networks: 4 hidden layers of `width` ReLUs for G, 3 of leaky ReLUs for D, no normalisation of activations."""
    in_head = head is not None
    return {
        "generator": mlp.Generator(shape, (width,) * 4, output=None, encode=encode, dtype=dtype),
        "discriminator": mlp.Discriminator(
            (width,) * 3,
            head or heads.Logit(spectral_norm=spectral_norm),
            spectral_norm=spectral_norm,
            encode=None if in_head else encode,
            dtype=dtype,
        ),
    }


def _conv_nets(
    shape: Shape,
    width: int,
    encode: Encode | None,
    dtype: Any,
    axis_name: str | None,
    *,
    head: nn.Module | None = None,
    d_norm: str | None = None,
) -> dict[str, nn.Module]:
    """DCGAN's two players; D with d_norm "batch", "spectral" or None. With a `head` the condition does not enter D's input."""
    if _on_points(shape):
        return _point_nets(shape, width, encode, dtype, head=head, spectral_norm=d_norm == "spectral")
    conv_nets.check_shape(shape)
    in_head = head is not None
    height, columns, channels = shape
    return {
        "generator": conv_nets.Generator(
            (height, columns, channels), width, encode=encode, dtype=dtype, axis_name=axis_name
        ),
        "discriminator": conv_nets.Discriminator(
            head or heads.Logit(kernel_init=conv_nets.normal_002(), spectral_norm=d_norm == "spectral"),
            width,
            batch_norm=d_norm == "batch",
            spectral_norm=d_norm == "spectral",
            encode=None if in_head else encode,
            dtype=dtype,
            axis_name=axis_name,
        ),
    }


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
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """The original GAN, an MLP (Goodfellow et al. 2014, arXiv:1406.2661).

    z(100) ~ U(-1, 1) -> 256 ReLU -> 784 sigmoid against 784 -> 256 ReLU -> 1 logit; He initialisation; Adam 2e-4.
    Non-saturating unless `saturating`. We differ from the paper's experiment, which had maxout and dropout in D and
    SGD with momentum, as nearly every implementation since does.
    """
    if _on_points(shape):
        nets = _point_nets(shape, width, None, dtype)
    else:
        nets = {
            "generator": mlp.Generator(shape, (width,), dtype=dtype),
            "discriminator": mlp.Discriminator((width,), heads.Logit(mlp.he_normal()), nn.relu, dtype=dtype),
        }
    return GAN(
        **nets,
        loss=losses.minimax() if saturating else losses.non_saturating(),
        g_optimizer=_adam(lr, b1, 0.999),
        d_optimizer=_adam(lr if d_lr is None else d_lr, b1, 0.999),
        prior=priors.uniform(latent),
        data_range=(0.0, 1.0),
        ema_decay=ema,
        axis_name=axis_name,
    )


def _wgan(
    nets: dict[str, nn.Module],
    lr: Number,
    d_lr: Number | None,
    clip: Number,
    **fields: Any,
) -> GAN:
    return GAN(
        **nets,
        loss=losses.wasserstein(),
        g_optimizer=_rmsprop(lr),
        d_optimizer=optax.chain(_rmsprop(lr if d_lr is None else d_lr), clip_params(clip)),
        **fields,
    )


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
    if _on_points(shape):
        nets = _point_nets(shape, width, None, dtype)
    else:
        nets = {
            "generator": mlp.Generator(shape, (width,) * depth, dtype=dtype),
            "discriminator": mlp.Discriminator((width,) * depth, heads.Logit(mlp.he_normal()), nn.relu, dtype=dtype),
        }
    prior, data_range = priors.normal(latent), (0.0, 1.0)
    return _wgan(
        nets, lr, d_lr, clip, n_critic=n_critic, prior=prior, data_range=data_range, ema_decay=ema, axis_name=axis_name
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
    nets = _conv_nets(shape, width, None, dtype, axis_name)
    return _wgan(
        nets, lr, d_lr, clip, n_critic=n_critic, prior=priors.normal(latent), ema_decay=ema, axis_name=axis_name
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
    encode = Encode(num_classes)
    if _on_points(shape):
        nets = _point_nets(shape, width, encode, dtype)
    else:
        nets = {
            "generator": mlp.Generator(shape, (width,), encode=encode, dtype=dtype),
            "discriminator": mlp.Discriminator(
                (width,), heads.Logit(mlp.he_normal()), nn.relu, encode=encode, dtype=dtype
            ),
        }
    return GAN(
        **nets,
        **_on_classes(num_classes),
        loss=losses.non_saturating(),
        g_optimizer=_adam(lr, b1, 0.999),
        d_optimizer=_adam(lr if d_lr is None else d_lr, b1, 0.999),
        prior=priors.uniform(latent),
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
    fields = _on_classes(num_classes, fresh=True)
    encode = Encode(num_classes, embedding=num_classes)
    if _on_points(shape):
        nets = _point_nets(shape, width, encode, dtype)
    else:
        nets = {
            "generator": mlp.Generator(
                shape,
                (width // 4, width // 2, width, 2 * width),
                jnp.tanh,
                leaky_relu,
                batch_norm=True,
                encode=encode,
                dtype=dtype,
                axis_name=axis_name,
            ),
            "discriminator": mlp.Discriminator(
                (width,) * 3, heads.Logit(mlp.he_normal()), dropout=dropout, encode=encode, dtype=dtype
            ),
        }
    return GAN(
        **nets,
        **fields,
        loss=losses.non_saturating(),
        g_optimizer=_adam(lr, b1, 0.999),
        d_optimizer=_adam(lr if d_lr is None else d_lr, b1, 0.999),
        prior=priors.normal(latent),
        ema_decay=ema,
        axis_name=axis_name,
    )


def _dcgan(
    shape: Shape,
    encode: Encode | None,
    loss: losses.Loss,
    lr: Number,
    d_lr: Number | None,
    b1: Number,
    width: int,
    latent: int,
    dtype: str,
    axis_name: str | None,
    *,
    head: nn.Module | None = None,
    d_norm: str | None = "batch",
    b2: Number = 0.999,
    **fields: Any,
) -> GAN:
    """A GAN with DCGAN's networks and Adam: what the recipes below have in common."""
    return GAN(
        **_conv_nets(shape, width, encode, dtype, axis_name, head=head, d_norm=d_norm),
        loss=loss,
        g_optimizer=_adam(lr, b1, b2),
        d_optimizer=_adam(lr if d_lr is None else d_lr, b1, b2),
        prior=priors.normal(latent),
        axis_name=axis_name,
        **fields,
    )


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
    return _dcgan(shape, None, losses.non_saturating(), lr, d_lr, b1, width, latent, dtype, axis_name, ema_decay=ema)


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
    return _dcgan(shape, None, losses.least_squares(), lr, d_lr, b1, width, latent, dtype, axis_name, ema_decay=ema)


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
    return _dcgan(
        shape,
        Encode(num_classes),
        losses.non_saturating(),
        lr,
        d_lr,
        b1,
        width,
        latent,
        dtype,
        axis_name,
        ema_decay=ema,
        **_on_classes(num_classes),
    )


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
    return _dcgan(
        shape,
        Encode(num_classes),
        losses.non_saturating(),
        lr,
        d_lr,
        b1,
        width,
        latent,
        dtype,
        axis_name,
        head=heads.Classify(num_classes),
        ema_decay=ema,
        **_on_classes(num_classes, fresh=True),
    )


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
    return _dcgan(
        shape,
        None,
        losses.wasserstein(),
        lr,
        d_lr,
        b1,
        width,
        latent,
        dtype,
        axis_name,
        d_norm=None,
        b2=0.9,
        n_critic=n_critic,
        penalty=penalties.wgan_gp(weight),
        ema_decay=ema,
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
    ema: Number | None = None,
    dtype: str = "float32",
    axis_name: str | None = None,
) -> GAN:
    """Spectrally normalised GAN with the hinge loss (Miyato et al. 2018, arXiv:1802.05957).

    One power iteration a pass, no BatchNorm in D, Adam(2e-4, b1 .5, b2 .999), n_critic 5 (1 is their other setting). With `conditional` the
    head is a projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637) and onehot(y) is concatenated to z,
    where that paper has class-conditional BatchNorm. `dcgan`'s networks, smaller than the paper's seven layers.
    """
    fields = _on_classes(num_classes) if conditional else {}
    init = conv_nets.normal_002()
    return _dcgan(
        shape,
        Encode(num_classes) if conditional else None,
        losses.hinge(),
        lr,
        d_lr,
        b1,
        width,
        latent,
        dtype,
        axis_name,
        head=heads.Projection(num_classes, init, spectral_norm=True) if conditional else None,
        d_norm="spectral",
        n_critic=n_critic,
        ema_decay=ema,
        **fields,
    )


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
    return _dcgan(
        shape,
        None,
        losses.non_saturating(),
        lr,
        d_lr,
        b1,
        width,
        latent,
        dtype,
        axis_name,
        d_norm=None,
        b2=0.9,
        penalty=penalties.dragan(weight),
        ema_decay=ema,
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
    fields = _on_classes(num_classes) if conditional else {}
    encode = Encode(num_classes) if conditional else None
    head: nn.Module = heads.Projection(num_classes) if conditional else heads.Logit()
    if _on_points(shape):
        nets = _point_nets(shape, width, encode, dtype, head=head)
    else:
        conv_nets.check_shape(shape)
        height, columns, channels = shape
        nets = {
            "generator": resnet.Generator((height, columns, channels), width, encode=encode, dtype=dtype),
            "discriminator": resnet.Discriminator(head, width, dtype=dtype),
        }
    return GAN(
        **nets,
        **fields,
        loss=losses.relativistic_pairing(),
        penalty=penalties.total(penalties.r1(gamma), penalties.r2(gamma)),
        g_optimizer=_adam(lr, b1, 0.99),
        d_optimizer=_adam(lr if d_lr is None else d_lr, b1, 0.99),
        prior=priors.normal(latent),
        ema_decay=ema,
        axis_name=axis_name,
    )


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
    """Image completion: a GAN conditioned on half an image (Mirza & Osindero 2014, arXiv:1411.1784: "other modalities").

    y `[B, H/2, W, C]` is the upper half; G, a BatchNorm MLP of three hidden layers, paints the lower half below it, and
    D, the convolutional one of `dcgan`, judges the whole. The experiment is ours, so there are no published settings.
    """
    if len(shape) != 3 or shape[0] % 2:
        raise InputError(f"completion takes images of even height, got {' x '.join(map(str, shape))}")
    half = shape[0] // 2
    paint = mlp.Generator(
        (half, *shape[1:]),
        (width,) * 3,
        jnp.tanh,
        leaky_relu,
        batch_norm=True,
        encode=Encode(0),
        dtype=dtype,
        axis_name=axis_name,
    )
    discriminator = conv_nets.Discriminator(heads.Logit(), max(width // 16, 1), dtype=dtype, axis_name=axis_name)
    conv_nets.check_shape(shape)

    def draw_condition(rng: jax.Array, n: int) -> Array:
        raise InputError("completion is conditioned on upper halves of images: give them as y [n, H/2, W, C]")

    return GAN(
        generator=mlp.Completion(paint),
        discriminator=discriminator,
        loss=losses.non_saturating(),
        g_optimizer=_adam(lr, b1, 0.999),
        d_optimizer=_adam(lr if d_lr is None else d_lr, b1, 0.999),
        prior=priors.normal(latent),
        condition=lambda x, labels: x[..., :half, :, :],
        draw_condition=draw_condition,
        ema_decay=ema,
        axis_name=axis_name,
    )

"""What recipes are put together from."""

from typing import Any

import optax
from flax import linen as nn
from jaxtyping import Array, Float

from gan_jax import priors
from gan_jax.errors import InputError
from gan_jax.nets import dcgan, heads, mlp
from gan_jax.nets.layers import Encode
from gan_jax.transforms import clip_params

Shape = tuple[int, ...]
Number = float | Float[Array, ""]
Nets = tuple[nn.Module, nn.Module]
Optimizers = tuple[optax.GradientTransformation, optax.GradientTransformation]


def adam(lr: Number, d_lr: Number | None, b1: Number, b2: Number = 0.999) -> Optimizers:
    """Adam for both players; d_lr None for the same rate."""
    return optax.adam(lr, b1, b2), optax.adam(lr if d_lr is None else d_lr, b1, b2)


def clipped_rmsprop(lr: Number, d_lr: Number | None, clip: Number) -> Optimizers:
    """RMSProp for both players, the critic's parameters clipped to [-clip, clip]; d_lr None for the same rate."""
    return rmsprop(lr), optax.chain(rmsprop(lr if d_lr is None else d_lr), clip_params(clip))


def rmsprop(lr: Number) -> optax.GradientTransformation:
    """RMSProp as in PyTorch, where WGAN's numbers were found: decay .99, eps outside the root (optax: .9, inside)."""
    return optax.rmsprop(lr, decay=0.99, eps=1e-8, eps_in_sqrt=False)


def on_classes(num_classes: int, *, fresh: bool = False) -> dict[str, Any]:
    """The fields of a GAN conditioned on labels; the fakes get those of the real batch, or with `fresh` their own.

    Raises:
      InputError: there are no classes.
    """
    if num_classes < 1:
        raise InputError(
            "this GAN is conditioned on labels and the data has none: choose labelled data, or an unconditional GAN"
        )
    draw = priors.labels(num_classes)
    fields: dict[str, Any] = {"condition": lambda x, labels: labels, "draw_condition": draw}
    return fields | ({"pair": lambda rng, y: draw(rng, y.shape[0])} if fresh else {})


def are_points(shape: Shape) -> bool:
    return len(shape) == 1


def point_nets(
    shape: Shape,
    width: int,
    dtype: str,
    encode: Encode | None = None,
    *,
    head: nn.Module | None = None,
    spectral_norm: bool = False,
) -> Nets:
    """Toy networks: 4 hidden layers of `width` ReLUs for G, 3 of leaky ReLUs for D. A `head` takes the condition."""
    return (
        mlp.Generator(shape, (width,) * 4, output=None, encode=encode, dtype=dtype),
        mlp.Discriminator(
            (width,) * 3,
            head or heads.Logit(spectral_norm=spectral_norm),
            spectral_norm=spectral_norm,
            encode=encode if head is None else None,
            dtype=dtype,
        ),
    )


def conv_nets(
    shape: Shape,
    width: int,
    dtype: str,
    axis_name: str | None,
    encode: Encode | None = None,
    *,
    head: nn.Module | None = None,
    batch_norm: bool = False,
    spectral_norm: bool = False,
    apart: bool = False,
) -> Nets:
    """DCGAN's networks; the norms are D's. A `head` takes the condition, which else enters D beside the image."""
    if are_points(shape):
        return point_nets(shape, width, dtype, encode, head=head, spectral_norm=spectral_norm)
    image = dcgan.check_shape(shape)
    return (
        dcgan.Generator(image, width, encode=encode, apart=apart, dtype=dtype, axis_name=axis_name),
        dcgan.Discriminator(
            head or heads.Logit(dcgan.normal_002(), spectral_norm=spectral_norm),
            width,
            batch_norm=batch_norm,
            spectral_norm=spectral_norm,
            encode=encode if head is None else None,
            apart=apart,
            dtype=dtype,
            axis_name=axis_name,
        ),
    )

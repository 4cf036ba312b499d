"""Building blocks of recipes."""

from typing import Any

import optax
from flax import linen as nn

from gan_jax.errors import InputError
from gan_jax.nets import dcgan, heads, mlp
from gan_jax.nets.inits import normal_002
from gan_jax.nets.layers import Encode
from gan_jax.nets.per_channel import PerChannelDiscriminator, PerChannelGenerator
from gan_jax.nets.sizes import check_shape, check_widths, halvings
from gan_jax.transforms import clip_params, scheduled
from gan_jax.typing import Number, Scalar, Shape, Widths

Fields = dict[str, Any]
"""Some fields of a GAN, by name."""


def adam(lr: Number, d_lr: Number | None, b1: Number, b2: Number) -> Fields:
    """Adam for both players; d_lr None for the same rate."""
    return {
        "g_optimizer": scheduled(optax.adam, lr, b1, b2),
        "d_optimizer": scheduled(optax.adam, lr if d_lr is None else d_lr, b1, b2),
    }


def clipped_rmsprop(lr: Number, d_lr: Number | None, clip: Number) -> Fields:
    """RMSProp for both players, the critic's parameters clipped to [-clip, clip]; d_lr None for the same rate."""
    return {
        "g_optimizer": scheduled(rmsprop, lr),
        "d_optimizer": scheduled(_clipped, lr if d_lr is None else d_lr, clip),
    }


def _clipped(lr: float | Scalar, clip: float | Scalar) -> optax.GradientTransformation:
    return optax.chain(rmsprop(lr), clip_params(clip))


def rmsprop(lr: float | Scalar) -> optax.GradientTransformation:
    """RMSProp as in PyTorch, where WGAN's numbers were found: decay .99, eps outside the root (optax: .9, inside)."""
    return optax.rmsprop(lr, decay=0.99, eps=1e-8, eps_in_sqrt=False)


def are_points(shape: Shape) -> bool:
    """Whether data of this shape is points rather than images."""
    return len(shape) == 1


def point_nets(
    shape: Shape,
    width: int,
    dtype: str,
    encode: Encode | None = None,
    *,
    head: nn.Module | None = None,
    spectral_norm: bool = False,
) -> Fields:
    """Toy networks: 4 hidden layers of `width` ReLUs for G, 3 of leaky ReLUs for D. D's condition enters in `head`."""
    return {
        "generator": mlp.Generator(shape, (width,) * 4, output=None, encode=encode, dtype=dtype),
        "discriminator": mlp.Discriminator(
            (width,) * 3,
            head or heads.Logit(spectral_norm=spectral_norm),
            spectral_norm=spectral_norm,
            encode=encode if head is None else None,
            dtype=dtype,
        ),
    }


def check_images(shape: Shape, **options: Any) -> None:
    """Raises InputError where data is points, and an option that only convolutional networks have is not None."""
    for name, value in options.items():
        if are_points(shape) and value is not None:
            raise InputError(f"{name} is an option of convolutional networks, and this data is points: leave it out")


def layer_widths(
    shape: Shape, width: int, widths: Widths | None, *, resolutions: bool = False, most: int | None = None
) -> Widths:
    """Channels of layers from the base to the image: one for each halving of the image.

    Args:
      shape: of an image.
      width: channels of the layer next to the image, doubled layer by layer.
      widths: channels of all of them, in place of `width`; None for as many layers as fit the image.
      resolutions: one for each resolution, the image's too, rather than for each change of it.
      most: they are at most so many times `width`; None for no limit.

    Raises:
      InputError: the image can't be halved so often.
    """
    if widths is not None:
        check_widths(shape, widths, len(widths) - resolutions)
        return widths
    factors = (2**i for i in reversed(range(halvings(shape) + resolutions)))
    return tuple(width * min(factor, most or factor) for factor in factors)


def conv_nets(
    shape: Shape,
    width: int,
    widths: Widths | None,
    dtype: str,
    axis_name: str | None,
    encode: Encode | None = None,
    *,
    head: nn.Module | None = None,
    batch_norm: bool = False,
    spectral_norm: bool = False,
    per_channel: bool = False,
) -> Fields:
    """DCGAN's networks, or on points those of `point_nets`.

    Args:
      shape, width, widths, dtype, axis_name: as in the recipes.
      encode: encoder of the condition; None for unconditional networks.
      head: D's last layer, which then gets the condition; None for a logit, with the condition as maps at D's input.
      batch_norm, spectral_norm: which normalisation D has.
      per_channel: apply one-channel nets to every channel, see `gan_jax.nets.per_channel`.
    """
    if are_points(shape):
        check_images(shape, widths=widths)
        return point_nets(shape, width, dtype, encode, head=head, spectral_norm=spectral_norm)
    found = layer_widths(shape, width, widths)
    height, columns, channels = check_shape(shape, len(found))
    common: dict[str, Any] = {"dtype": dtype, "axis_name": axis_name}
    d_encode = encode if head is None else None
    head = head or heads.Logit(normal_002(), spectral_norm=spectral_norm)
    d: dict[str, Any] = {"batch_norm": batch_norm, "spectral_norm": spectral_norm, "encode": d_encode, **common}
    if per_channel:
        one = dcgan.Generator((height, columns, 1), found, **common)
        body = dcgan.Discriminator(heads.Features(), found[::-1], **d)
        return {
            "generator": PerChannelGenerator(one, channels, encode=encode, dtype=dtype),
            "discriminator": PerChannelDiscriminator(body, head),
        }
    return {
        "generator": dcgan.Generator((height, columns, channels), found, encode=encode, **common),
        "discriminator": dcgan.Discriminator(head, found[::-1], **d),
    }

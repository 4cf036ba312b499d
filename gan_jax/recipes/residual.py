"""Residual networks of recipes, for images of any size.

All take `width` and `widths` as `gan_jax.recipes.builders.layer_widths` does: channels of the layer next to the image,
or those of all layers of G from the base to the image.
"""

from flax import linen as nn

from gan_jax.nets import heads, preactivation, resnet
from gan_jax.nets.inits import glorot_uniform
from gan_jax.nets.layers import Encode
from gan_jax.nets.sizes import check_shape, halvings, most_halvings
from gan_jax.recipes.builders import Fields, layer_widths
from gan_jax.typing import Shape, Widths

# With so many halvings, those of CIFAR-10, the blocks of SNGAN and WGAN-GP are equally wide; with more they get wider.
_SMALL = 3


def r3gan_nets(
    shape: Shape, width: int, widths: Widths | None, dtype: str, encode: Encode | None, head: nn.Module
) -> Fields:
    """R3GAN's: `width` channels at the image's resolution, doubled with every halving."""
    found = layer_widths(shape, width, widths, resolutions=True)
    return {
        "generator": resnet.Generator(check_shape(shape, len(found) - 1), found, encode=encode, dtype=dtype),
        "discriminator": resnet.Discriminator(head, found[::-1], dtype=dtype),
    }


def sngan_nets(
    shape: Shape, width: int, widths: Widths | None, dtype: str, axis_name: str | None, num_classes: int
) -> Fields:
    """SNGAN's (Miyato et al. 2018, appendix B.4; on 64 x 64 those of the authors' code).

    With up to three halvings, as of CIFAR-10: `width` channels in every block of G, half as many in four blocks of D,
    of which the first two halve. With more: `width` channels next to the image, doubled per block up to 16 `width`; D
    has one block more, and its first five blocks halve, if the size allows. With `widths`, D's are those of G from the
    image to the base, and a block that does not halve follows. With classes (0 for none), class-conditional BatchNorm
    in G and a projection in D.
    """
    head: nn.Module = heads.Logit(glorot_uniform(), spectral_norm=True)
    if num_classes:
        head = heads.Projection(num_classes, glorot_uniform(), spectral_norm=True)
    if widths is not None:
        g_widths = layer_widths(shape, width, widths)
        base, d_widths, d_halvings = g_widths[0], (*g_widths[::-1], g_widths[0]), len(g_widths)
    elif (times := halvings(shape)) <= _SMALL:
        g_widths, base = (width,) * times, width
        d_widths, d_halvings = (width // 2,) * 4, min(times, 2)
    else:
        d_widths = tuple(width * min(2**i, 16) for i in range(times + 1))
        g_widths, base = d_widths[-2::-1], d_widths[-1]
        d_halvings = min(5, most_halvings(shape))
    g_shape = check_shape(shape, len(g_widths))
    return {
        "generator": preactivation.Generator(g_shape, g_widths, base, num_classes, dtype, axis_name),
        "discriminator": preactivation.Discriminator(head, d_widths, d_halvings, spectral_norm=True, dtype=dtype),
    }


def wgan_gp_nets(shape: Shape, width: int, widths: Widths | None, dtype: str, axis_name: str | None) -> Fields:
    """WGAN-GP's (Gulrajani et al. 2017, appendix F; on 64 x 64 those of the authors' code).

    With up to three halvings, as of CIFAR-10: `width` channels everywhere; D has four blocks, of which the first two
    halve, and then a mean over pixels. With more, or with `widths`: `width` channels next to the image, doubled per
    block up to 8 `width`; D starts with a convolution, every block halves and has LayerNorm, and all pixels of the
    base enter the last layer.
    """
    head = heads.Logit(glorot_uniform())
    if widths is None and (times := halvings(shape)) <= _SMALL:
        found = (width,) * times
        d = preactivation.Discriminator(head, (width,) * 4, min(times, 2), pool="mean", dtype=dtype)
    else:
        found = layer_widths(shape, width, widths, most=8)
        d_widths = (*found[-2::-1], found[0])
        d = preactivation.Discriminator(
            head, d_widths, len(d_widths), found[-1], pool=None, layer_norm=True, dtype=dtype
        )
    g_shape = check_shape(shape, len(found))
    return {"generator": preactivation.Generator(g_shape, found, found[0], 0, dtype, axis_name), "discriminator": d}

"""What images are made from: views of them, computed inside the step, or pictures that come with the data.

A view is a value of pure functions, for images in [-1, 1] with any leading axes `[..., B, H, W, C]`. Its condition y is
an array of pictures `[..., B, h, w, c]` in [-1, 1] too. `gan_jax.conditioning.seen` conditions a GAN on one.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from gan_jax.errors import InputError
from gan_jax.typing import Key, Shape

FORMS = "upper_half, masked, low_resolution[:FACTOR], grey, outline, blurred[:PIXELS], pairs"
"""What `read` accepts."""

_LUMA = (0.299, 0.587, 0.114)
_EDGE = 0.15
_STROKES = 2


# By name rather than as lambdas, so that a GAN can be pickled.
def _unchanged(y: Array) -> Array:
    return y


class View(NamedTuple):
    """What of an image another is made from.

    Attributes:
      of: `(x [..., B, H, W, C], labels) -> y [..., B, h, w, c]`, of examples as `Examples` holds them, x scaled.
      randomized: `(rng, y) -> y`, what is left to chance, such as where holes are.
      maps: `y [..., B, h, w, c] -> [..., B, H, W, F]`: y in the size of the image, as nets take it beside x.
      answer: `(y, mean [H, W, C]) -> [..., B, H, W, C]`: what y says of the image without anything learned, and where
        it says nothing the mean of all images.
      tidied: `y -> y`, a picture that somebody made as `of` and `randomized` would have made it.
      paired: whether y comes with the data, as `Examples.labels`, uint8 images `[..., B, H, W, C]`.
      tags: whether x is tags of these pictures, `[..., B, T]`, and no image.
    """

    of: Callable[[Array, Any], Array]
    randomized: Callable[[Key, Array], Array]
    maps: Callable[[Array], Array]
    answer: Callable[[Array, Array], Array]
    tidied: Callable[[Array], Array] = _unchanged
    paired: bool = False
    tags: bool = False


def read(text: str, shape: Shape) -> View:
    """The view that a text names: a kind, perhaps with `:NUMBER`.

    | text               | y                                                                               |
    |--------------------|---------------------------------------------------------------------------------|
    | `upper_half`       | `[H // 2, W, C]`                                                                |
    | `masked`           | `[H, W, C + 1]`: 0 in a random box and two strokes; last 1 where known, else -1 |
    | `low_resolution:4` | `[H / 4, W / 4, C]`, means of blocks                                            |
    | `grey`             | `[H, W, 1]`, the luma of ITU-R BT.601                                           |
    | `outline`          | `[H, W, 1]`: 1 where some channel changes fast, else -1                         |
    | `blurred:2`        | `[H, W, C]`, by a Gaussian of 2 pixels                                          |
    | `pairs`            | `[H, W, C]`, the pictures that come with the data                               |

    Args:
      text: as above.
      shape: of one image.

    Raises:
      InputError: there is no such kind or number, or images of this shape have no such view.
    """
    kind, colon, number = text.partition(":")
    height, width, channels = shape
    plain = {"upper_half": upper_half, "masked": masked, "outline": outline, "pairs": pairs}
    if kind in plain and not colon:
        return plain[kind]()
    if kind == "grey" and not colon:
        if channels == 1:
            raise InputError("these images are grey, so nothing is left to colour: choose another --condition, or data")
        return grey()
    value = _number(number) if colon else None
    if kind == "low_resolution" and not (colon and value is None):
        factor = 4 if value is None else value
        if factor not in range(2, min(height, width) + 1) or height % factor or width % factor:
            raise InputError(
                f"low_resolution:{factor:g} needs a whole factor of at least 2 that divides {height} and {width}, the "
                "size of these images: choose another factor"
            )
        return low_resolution(int(factor))
    if kind == "blurred" and not (colon and value is None):
        return blurred(2.0 if value is None else value)
    raise InputError(f"there is no condition {text!r}: choose one of {FORMS}")


def upper_half() -> View:
    """The upper half of the image."""
    return View(_upper_half, _same, _with_lower_half, _over_mean)


def masked() -> View:
    """All but a box of a quarter to half the image's sides, and two strokes, of random place and size."""
    return View(_as_it_is, _with_holes, _unchanged, _filled, _emptied)


def low_resolution(factor: int) -> View:
    """Means of blocks of factor x factor pixels; its answer enlarges them bicubically (Keys 1981)."""
    return View(functools.partial(_blocks, factor), _same, functools.partial(_enlarged, factor), _cubic)


def grey() -> View:
    """The grey image of one in colours."""
    return View(_grey, _same, _unchanged, _in_all_channels)


def outline() -> View:
    """Where the gradient of some channel is longer than .15 of its range per pixel."""
    return View(_outline, _same, _unchanged, _mean_alone, _lines)


def blurred(sigma: float) -> View:
    """The image convolved with a Gaussian of sigma pixels, cut off and normalised at the edges."""
    return View(functools.partial(_blurred, sigma), _same, _unchanged, _in_all_channels)


def pairs() -> View:
    """The pictures that come with the data, `Examples.labels`."""
    return View(_pairs, _same, _unchanged, _mean_alone, paired=True)


def tagged() -> View:
    """The pictures that come with tags, `Examples.labels`: what the tags are drawn for."""
    return View(_tagged, _same, _unchanged, _mean_tags, paired=True, tags=True)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < 1000 else None


def _as_it_is(x: Array, labels: Any) -> Array:
    return x


def _same(rng: Key, y: Array) -> Array:
    return y


def _upper_half(x: Array, labels: Any) -> Array:
    return x[..., : x.shape[-3] // 2, :, :]


def _with_lower_half(y: Array) -> Array:
    return jnp.concatenate([y, jnp.zeros_like(y)], axis=-3)


def _over_mean(y: Array, mean: Array) -> Array:
    lower = jnp.broadcast_to(mean[y.shape[-3] :], (*y.shape[:-3], *mean[y.shape[-3] :].shape))
    return jnp.concatenate([y, lower], axis=-3)


def _blocks(factor: int, x: Array, labels: Any) -> Array:
    *leading, height, width, channels = x.shape
    return x.reshape(*leading, height // factor, factor, width // factor, factor, channels).mean(axis=(-4, -2))


def _enlarged(factor: int, y: Array) -> Array:
    return y.repeat(factor, axis=-3).repeat(factor, axis=-2)


def _cubic(y: Array, mean: Array) -> Array:
    return jnp.clip(jax.image.resize(y, (*y.shape[:-3], *mean.shape), "cubic"), -1, 1)


def _grey(x: Array, labels: Any) -> Array:
    red, green, blue = jnp.split(x, 3, axis=-1)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def _in_all_channels(y: Array, mean: Array) -> Array:
    return jnp.broadcast_to(y, (*y.shape[:-3], *mean.shape))


def _mean_alone(y: Array, mean: Array) -> Array:
    return jnp.broadcast_to(mean, (*y.shape[:-3], *mean.shape))


def _outline(x: Array, labels: Any) -> Array:
    squares = jnp.zeros(())
    for axis in (-3, -2):
        size = x.shape[axis]
        low, high = (jnp.take(x, np.clip(np.arange(size) + by, 0, size - 1), axis=axis) for by in (-1, 1))
        squares += jnp.square(high - low)
    # Between pixels two apart, in a range of 2.
    return jnp.where(jnp.max(squares, axis=-1, keepdims=True) > (4 * _EDGE) ** 2, 1.0, -1.0).astype(x.dtype)


def _blurred(sigma: float, x: Array, labels: Any) -> Array:
    rows, columns = (_gaussian(sigma, size) for size in x.shape[-3:-1])
    return jnp.einsum("ih,...hwc,jw->...ijc", rows, x, columns, precision=lax.Precision.HIGHEST)


def _gaussian(sigma: float, size: int) -> np.ndarray:
    offsets = np.arange(size)[:, None] - np.arange(size)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _with_holes(rng: Key, y: Array) -> Array:
    *leading, height, width, _ = y.shape
    known = ~holes(rng, int(np.prod(leading)), height, width).reshape(*leading, height, width, 1)
    return _emptied(jnp.concatenate([y, jnp.where(known, 1.0, -1.0).astype(y.dtype)], axis=-1))


def holes(rng: Key, n: int, height: int, width: int) -> Array:
    """Where n random holes are, bool `[n, height, width]`: in each a box and two strokes, which may overlap.

    The box has a quarter to half of either side. A stroke goes from one point to another, as thick as a seventh of the
    shorter side.
    """
    side_rng, corner_rng, stroke_rng = jax.random.split(rng, 3)
    sides = jnp.array([[[[height, width]]]], jnp.float32)
    pixels = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij"), -1)[None] + 0.5
    extent = sides * jax.random.uniform(side_rng, (n, 1, 1, 2), minval=0.25, maxval=0.5)
    low = (sides - extent) * jax.random.uniform(corner_rng, (n, 1, 1, 2))
    box = ((pixels >= low) & (pixels <= low + extent)).all(axis=-1)
    pixels = pixels[None]
    start, end = jax.random.uniform(stroke_rng, (2, n, _STROKES, 1, 1, 2)) * sides[None, None]
    along = end - start
    t = jnp.sum((pixels - start) * along, -1, keepdims=True) / jnp.maximum(jnp.sum(along**2, -1, keepdims=True), 1e-6)
    distance = jnp.linalg.norm(pixels - (start + jnp.clip(t, 0, 1) * along), axis=-1)
    return box | (distance <= min(height, width) / 14).any(axis=1)


def _emptied(y: Array) -> Array:
    known = y[..., -1:] > 0
    return jnp.concatenate([jnp.where(known, y[..., :-1], 0), jnp.where(known, 1.0, -1.0).astype(y.dtype)], axis=-1)


def _lines(y: Array) -> Array:
    return jnp.where(y > 0, 1.0, -1.0).astype(y.dtype)


def _filled(y: Array, mean: Array) -> Array:
    return jnp.where(y[..., -1:] > 0, y[..., :-1], _mean_alone(y, mean))


def _pairs(x: Array, labels: Any) -> Array:
    if labels is None or jnp.shape(labels) != x.shape:
        raise InputError(
            "this data has no pictures to make images from: give pairs (pairs:DIR, or npz with images and conditions), "
            "or choose another --condition"
        )
    return jnp.asarray(labels).astype(jnp.float32) * (2 / 255) - 1


def _tagged(x: Array, labels: Any) -> Array:
    if jnp.ndim(labels) != x.ndim + 2 or jnp.shape(labels)[: x.ndim - 1] != x.shape[:-1]:
        raise InputError("this data has no pictures with tags: choose --data tags:SPEC, such as tags:stacked")
    return jnp.asarray(labels).astype(jnp.float32) * (2 / 255) - 1


def _mean_tags(y: Array, mean: Array) -> Array:
    return jnp.broadcast_to(mean, (*y.shape[:-3], *mean.shape))

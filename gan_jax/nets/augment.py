"""DiffAugment: the discriminator sees random changes of every image, real or generated (Zhao et al. 2020).

arXiv:2006.10738. Their gradients reach the generator, and being the same for real and generated images they do not
become part of what it paints. Where there are few training images, the discriminator can't learn these by heart.
Ranges and the order of changes are those of the authors' first code (github.com/mit-han-lab/data-efficient-gans). Its
later versions round an eighth and a half of the side to the nearest pixel, upwards from .5, where these round down: at
28 x 28 images move by up to 4 there, by up to 3 here.

An augmentation is a function `(rng, x) -> x` of images `[B, H, W, C]` with pixels in [-1, 1], which draws for each of
them apart; `AUGMENTATIONS` has them by name.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from gan_jax.typing import Condition, Images, Key

Augmentation = Callable[[Key, Images], Images]


@dataclasses.dataclass(frozen=True, eq=False)
class Augmented:
    """A discriminator whose images are augmented in training mode. Its variables and its inference are `net`'s own.

    It is called as a Flax module is and is none itself: in one, a module within would have parameters of other names
    and other random numbers.

    Numbers are drawn from the rng stream "augment". A gradient penalty sees the discriminator with its augmentation:
    its gradient is that of D(T(x)) in x, with a T of its own for each image, as in StyleGAN2-ADA (Karras et al. 2020,
    arXiv:2006.06676).

    Attributes:
      net: a discriminator of images `[B, H, W, C]`.
      policy: names of `AUGMENTATIONS`, in the order in which they are applied.
      data_range: (low, high) of the pixels. What is cut out or moved in has the middle of it.
    """

    net: Any
    policy: tuple[str, ...]
    data_range: tuple[float, float] = (-1.0, 1.0)

    def init_with_output(self, rngs: Mapping[str, Key], x: Images, y: Condition, train: bool) -> tuple[Any, Any]:
        """Output and variables, as `flax.linen.Module.init_with_output`."""
        return self.net.init_with_output(rngs, self._seen(rngs, x, train), y, train)

    def apply(
        self,
        variables: Any,
        x: Images,
        y: Condition,
        train: bool,
        rngs: Mapping[str, Key] | None = None,
        **options: Any,
    ) -> Any:
        """The output, and what `options` ask for, as `flax.linen.Module.apply`."""
        return self.net.apply(variables, self._seen(rngs or {}, x, train), y, train, rngs=rngs, **options)

    def _seen(self, rngs: Mapping[str, Key], x: Images, train: bool) -> Images:
        if not train or not self.policy:
            return x
        if "augment" not in rngs:
            raise ValueError('augmentations are random: pass rngs={"augment": key} in training mode')
        low, high = self.data_range
        x = (2 * x - (low + high)) / (high - low)
        for name, rng in zip(self.policy, jax.random.split(rngs["augment"], len(self.policy)), strict=True):
            x = AUGMENTATIONS[name](rng, x)
        return ((high - low) * x + low + high) / 2


def color(rng: Key, x: Images) -> Images:
    """Another brightness, saturation and contrast, in this order: pixels may leave [-1, 1].

    Brightness adds a number from U(-.5, .5); saturation scales the distance to the mean of a pixel's channels by one
    from U(0, 2), contrast that to the image's mean by one from U(.5, 1.5). Images of one channel have no saturation.
    """
    brightness, saturation, contrast = jax.random.uniform(rng, (3, x.shape[0], 1, 1, 1), x.dtype)
    x = x + (brightness - 0.5)
    grey = jnp.mean(x, axis=3, keepdims=True)
    x = (x - grey) * (2 * saturation) + grey
    mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
    return (x - mean) * (contrast + 0.5) + mean


def translation(rng: Key, x: Images) -> Images:
    """Moved by up to an eighth of the height and of the width, a whole number of pixels; zeros move in."""
    for axis, key in zip((1, 2), jax.random.split(rng), strict=True):
        most = x.shape[axis] // 8
        x = _moved(x, axis, jax.random.randint(key, (x.shape[0],), -most, most + 1))
    return x


def cutout(rng: Key, x: Images) -> Images:
    """Zeros in a rectangle of half the height and half the width, the part of it that lies inside the image.

    Its centre is anywhere in the image.
    """
    hidden = jnp.ones((), bool)
    for axis, key in zip((1, 2), jax.random.split(rng), strict=True):
        size, cut = x.shape[axis], x.shape[axis] // 2
        start = jax.random.randint(key, (x.shape[0],), 0, size + (1 - cut % 2)) - cut // 2
        distance = _along(jnp.arange(size)[None] - start[:, None], axis)
        hidden = hidden & (distance >= 0) & (distance < cut)
    return jnp.where(hidden, 0, x)


def _moved(x: Images, axis: int, by: Int[Array, " batch"]) -> Images:
    """Each image moved along an axis by a number of pixels of its own."""
    size = x.shape[axis]
    source = _along(jnp.arange(size)[None] - by[:, None], axis)
    inside = (source >= 0) & (source < size)
    return jnp.where(inside, jnp.take_along_axis(x, jnp.clip(source, 0, size - 1), axis), 0)


def _along(places: Int[Array, "batch size"], axis: int) -> Int[Array, "batch rows columns 1"]:
    """Numbers `[B, N]` beside images `[B, H, W, C]`, whose axis 1 or 2 is N."""
    return jnp.expand_dims(places, (2, 3) if axis == 1 else (1, 3))


AUGMENTATIONS: Mapping[str, Augmentation] = {"color": color, "translation": translation, "cutout": cutout}
"""Augmentations by name, for command lines."""

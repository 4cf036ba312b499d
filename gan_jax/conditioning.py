"""What a GAN is conditioned on, as a value: where conditions come from, and which ones fakes get."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from jaxtyping import Array

from gan_jax import priors
from gan_jax.errors import InputError
from gan_jax.typing import Condition, Data, Key

Kind = Literal["none", "labels", "data"]


class Conditioning(NamedTuple):
    """What a GAN is conditioned on.

    Attributes:
      kind: "none"; "labels", int32 `[B]`, which `sample` can be given; or "data", arrays `[B, ...]` made from real
        examples, without which nothing can be sampled.
      of_data: `(x [..., B, *shape], labels) -> y`, the condition of real examples; None for an unconditional GAN.
      for_fakes: `(rng, y) -> y`, the conditions of the fakes that D compares with a real batch conditioned on y.
      draw: `(rng, n) -> y [n, ...]`, conditions for `sample` when none are given.
      resamples: whether `for_fakes` returns conditions other than those of the real batch.
    """

    kind: Kind
    of_data: Callable[[Data, Any], Condition]
    for_fakes: Callable[[Key, Condition], Condition]
    draw: Callable[[Key, int], Condition]
    resamples: bool = False


def _same(rng: Key, y: Condition) -> Condition:
    return y


def none() -> Conditioning:
    """Unconditional."""
    return Conditioning("none", lambda x, labels: None, _same, lambda rng, n: None)


def labels(num_classes: int, *, resample: bool = False) -> Conditioning:
    """Conditioned on labels, int32 `[B]` in 0 ... num_classes - 1.

    Args:
      num_classes: how many classes there are.
      resample: whether fakes get labels of their own, uniform over all classes, instead of the real batch's.

    Raises:
      InputError: there are no classes.
    """
    if num_classes < 1:
        raise InputError(
            "this GAN is conditioned on labels and the data has none: choose labelled data, or an unconditional GAN"
        )
    draw = priors.labels(num_classes)
    for_fakes = (lambda rng, y: draw(rng, y.shape[0])) if resample else _same
    return Conditioning("labels", lambda x, labels: labels, for_fakes, draw, resample)


def upper_half() -> Conditioning:
    """Conditioned on the upper half of the image, `[B, H // 2, W, C]`."""

    def of_data(x: Data, labels: Any) -> Array:
        return x[..., : x.shape[-3] // 2, :, :]

    def draw(rng: Key, n: int) -> Condition:
        raise InputError("this GAN is conditioned on upper halves of images: give them as y [n, H // 2, W, C]")

    return Conditioning("data", of_data, _same, draw)

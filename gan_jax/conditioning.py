"""What a GAN is conditioned on, as a value: where conditions come from, and which ones fakes get."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan_jax import priors
from gan_jax.checks import check_labels
from gan_jax.errors import InputError
from gan_jax.typing import Condition, Data, Key
from gan_jax.views import View

Kind = Literal["none", "labels", "data"]


def _same(rng: Key, y: Condition) -> Condition:
    return y


class Conditioning(NamedTuple):
    """What a GAN is conditioned on.

    Attributes:
      kind: "none"; "labels", int32 `[B]`, which `sample` can be given; or "data", arrays `[B, ...]` made from real
        examples, without which nothing can be sampled.
      of_data: `(x [..., B, *shape], labels) -> y`, the condition of real examples; None for an unconditional GAN.
      for_fakes: `(rng, y) -> y`, the conditions of the fakes that D compares with a real batch conditioned on y.
      draw: `(rng, n) -> y [n, ...]`, conditions for `sample` when none are given.
      resamples: whether `for_fakes` returns conditions other than those of the real batch.
      num_classes: labels are in [0, num_classes); 0 where that is not known, or nothing is labelled.
      view: what of an image the condition is, see `seen`; None of any other condition.
      randomized: `(rng, y) -> y`, what of the condition of real examples is left to chance.
    """

    kind: Kind
    of_data: Callable[[Data, Any], Condition]
    for_fakes: Callable[[Key, Condition], Condition]
    draw: Callable[[Key, int], Condition]
    resamples: bool = False
    num_classes: int = 0
    view: View | None = None
    randomized: Callable[[Key, Condition], Condition] = _same


def none() -> Conditioning:
    """Unconditional."""
    return Conditioning("none", _no_condition, _same, _no_draw)


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
    for_fakes = functools.partial(_redrawn, draw) if resample else _same
    return Conditioning("labels", _labels, for_fakes, draw, resample, num_classes)


def upper_half() -> Conditioning:
    """Conditioned on the upper half of the image, `[B, H // 2, W, C]`."""
    return Conditioning("data", _upper_half, _same, _no_half)


def seen(view: View) -> Conditioning:
    """Conditioned on a view of the image, or on a picture that comes with it: `[B, h, w, c]`, see `gan_jax.views`."""
    return Conditioning("data", view.of, _same, _none_given, view=view, randomized=view.randomized)


def given() -> Conditioning:
    """Conditioned on arrays `[B, ...]` of your own, such as tag vectors or images: `Batch.y`, or `Examples.labels`."""
    return Conditioning("data", _labels, _same, _none_given)


def check(conditioning: Conditioning, y: Condition, size: tuple[int, ...]) -> None:
    """Checks conditions of `size` examples: shapes and dtypes, and labels that are not traced for being classes.

    Args:
      conditioning: what y should be.
      y: the conditions, leaves `[*size, ...]`, or None.
      size: `(B,)`, or `(n_critic, B)`.

    Raises:
      ValueError: y is missing, or given to an unconditional GAN; or it is not of that size, or no labels are expected.
    """
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(y)]
    if conditioning.kind == "none":
        if shapes:
            raise ValueError(
                "this GAN is unconditional and ignores y: leave it out, or say what the GAN is conditioned on, such as "
                "conditioning=conditioning.given() for nets of your own that use y"
            )
        return
    if not shapes or any(shape[: len(size)] != size for shape in shapes):
        raise ValueError(
            f"this GAN is conditioned: give y with leading axes {list(size)}, a condition for each example, got "
            f"{shapes or None}"
        )
    if conditioning.kind == "labels":
        check_labels(y, size, conditioning.num_classes)


# By name rather than as lambdas: so a conditioning, and with it a GAN, can be pickled.
def _no_condition(x: Data, labels: Any) -> None:
    return None


def _no_draw(rng: Key, n: int) -> None:
    return None


def _labels(x: Data, labels: Any) -> Any:
    return labels


def _redrawn(draw: Callable[[Key, int], Condition], rng: Key, y: Array) -> Condition:
    return draw(rng, y.shape[0])


def _upper_half(x: Data, labels: Any) -> Array:
    return x[..., : x.shape[-3] // 2, :, :]


def _no_half(rng: Key, n: int) -> Condition:
    raise InputError("this GAN is conditioned on upper halves of images: give them as y [n, H // 2, W, C]")


def _none_given(rng: Key, n: int) -> Condition:
    raise InputError("this GAN is conditioned on arrays of your own: give them as y [n, ...]")

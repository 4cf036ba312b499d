"""What a GAN is conditioned on, as a value: where conditions come from, and which ones fakes get."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan_jax import priors
from gan_jax.checks import check_labels
from gan_jax.errors import InputError
from gan_jax.typing import Axes, Condition, Data, Key
from gan_jax.views import View

Kind = Literal["none", "labels", "codes", "data"]


def _same(rng: Key, y: Condition) -> Condition:
    return y


class Conditioning(NamedTuple):
    """What a GAN is conditioned on.

    A condition is a pytree of arrays `[B, ...]`, most often one array.

    Attributes:
      kind: "none"; "labels", int32 `[B]`, which `sample` can be given; "codes", which the generator draws, and real
        examples do not have; or "data", made from real examples, without which nothing can be sampled.
      of_data: `(x [..., B, *shape], labels) -> y`, the condition of real examples; None for an unconditional GAN.
      for_fakes: `(rng, y) -> y`, the conditions of the fakes that D compares with a real batch conditioned on y.
      draw: `(rng, n) -> y [n, ...]`, conditions for `sample` when none are given.
      resamples: whether `for_fakes` returns conditions other than those of the real batch.
      num_classes: labels, and categorical codes, are in [0, num_classes); 0 where that is not known, or there are none.
      view: what of an image the condition is, see `seen`; None of any other condition.
      randomized: `(rng, y) -> y`, what of the condition of real examples is left to chance.
      parts: of a condition of several kinds what each is, by name; none of others.
    """

    kind: Kind
    of_data: Callable[[Data, Any], Condition]
    for_fakes: Callable[[Key, Condition], Condition]
    draw: Callable[[Key, int], Condition]
    resamples: bool = False
    num_classes: int = 0
    view: View | None = None
    randomized: Callable[[Key, Condition], Condition] = _same
    parts: "Mapping[str, Conditioning] | None" = None


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
    """Conditioned on arrays `[B, ...]` of your own, such as tag vectors or images: `Batch.y`, or `Examples.labels`.

    They may be any pytree, such as {"tags": float32 [B, T], "image": float32 [B, H, W, C]}.
    """
    return Conditioning("data", _labels, _same, _none_given)


def code(num_classes: int = 0) -> Conditioning:
    """Conditioned on a code of the generator's own, drawn anew for fakes and for samples (Chen et al. 2016,
    arXiv:1606.03657): int32 `[B]`, uniform over some classes, or float32 `[B]`, uniform in (-1, 1).

    The code of real examples is unknown: -1, or NaN.

    Args:
      num_classes: how many classes there are; 0 for a continuous code.
    """
    draw = priors.labels(num_classes) if num_classes else _scalar
    unknown = functools.partial(_unknown, num_classes)
    return Conditioning("codes", unknown, functools.partial(_redrawn, draw), draw, True, num_classes)


def several(**parts: Conditioning) -> Conditioning:
    """Conditioned on several things at once: y is a dict of the condition of each part, by name.

        several(label=labels(10), half=upper_half())   # y: {"label": int32 [B], "half": [B, H // 2, W, C]}

    The kind is "codes" where all parts are codes, otherwise "data", also where every part could be drawn.

    Args:
      **parts: what each is.

    Raises:
      ValueError: there are no parts, or one of them is no condition.
    """
    if not parts or any(part.kind == "none" for part in parts.values()):
        raise ValueError(f"each of several conditions has a kind that is not none, got {parts}")
    return Conditioning(
        "codes" if all(part.kind == "codes" for part in parts.values()) else "data",
        functools.partial(_each_of_data, parts),
        functools.partial(_each_with, "for_fakes", parts),
        functools.partial(_each_drawn, parts),
        any(part.resamples for part in parts.values()),
        randomized=functools.partial(_each_with, "randomized", parts),
        parts=parts,
    )


def as_arrays(y: Any) -> Condition:
    """The same condition with arrays as leaves; lists of numbers are arrays too."""
    return jax.tree.map(jnp.asarray, y, is_leaf=lambda leaf: isinstance(leaf, list))


def check(conditioning: Conditioning, y: Condition, size: Axes) -> None:
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
    if conditioning.parts is not None:
        if not isinstance(y, Mapping) or y.keys() != conditioning.parts.keys():
            raise ValueError(
                f"this GAN is conditioned on several things: give y as a dict of {', '.join(conditioning.parts)}, got "
                f"{', '.join(y) if isinstance(y, Mapping) else type(y).__name__}"
            )
        for name, part in conditioning.parts.items():
            check(part, y[name], size)


# By name rather than as lambdas: so a conditioning, and with it a GAN, can be pickled.
def _no_condition(x: Data, labels: Any) -> None:
    return None


def _no_draw(rng: Key, n: int) -> None:
    return None


def _labels(x: Data, labels: Any) -> Any:
    return labels


def _redrawn(draw: Callable[[Key, int], Condition], rng: Key, y: Array) -> Condition:
    return draw(rng, y.shape[0])


def _scalar(rng: Key, n: int) -> Array:
    return priors.uniform(1)(rng, n)[:, 0]


def _unknown(num_classes: int, x: Data, labels: Any) -> Array:
    size = x.shape[:-3] if x.ndim > 3 else x.shape[:-1]  # Of images, or of points.
    return jnp.full(size, -1, jnp.int32) if num_classes else jnp.full(size, jnp.nan, jnp.float32)


def _upper_half(x: Data, labels: Any) -> Array:
    return x[..., : x.shape[-3] // 2, :, :]


def _each_of_data(parts: Mapping[str, Conditioning], x: Data, labels: Any) -> Condition:
    return {name: part.of_data(x, labels) for name, part in parts.items()}


def _each_with(what: str, parts: Mapping[str, Conditioning], rng: Key, y: Condition) -> Condition:
    keys = jax.random.split(rng, len(parts))
    return {name: getattr(part, what)(key, y[name]) for (name, part), key in zip(parts.items(), keys, strict=True)}


def _each_drawn(parts: Mapping[str, Conditioning], rng: Key, n: int) -> Condition:
    if needed := [name for name, part in parts.items() if part.kind == "data"]:
        raise InputError(
            f"this GAN is conditioned on data ({', '.join(needed)}): give y as a dict of {', '.join(parts)}, each "
            "[n, ...]"
        )
    keys = jax.random.split(rng, len(parts))
    return {name: part.draw(key, n) for (name, part), key in zip(parts.items(), keys, strict=True)}


def _no_half(rng: Key, n: int) -> Condition:
    raise InputError("this GAN is conditioned on upper halves of images: give them as y [n, H // 2, W, C]")


def _none_given(rng: Key, n: int) -> Condition:
    raise InputError("this GAN is conditioned on arrays of your own: give them as y [n, ...]")

"""A few examples of other data, to see what a method makes of little."""

import dataclasses
from collections.abc import Callable

import numpy as np

from gan_jax.data.dataset import Dataset, Split
from gan_jax.errors import InputError

_SEED = 0


def load(place: str, split: Split, load_whole: Callable[[str, Split], Dataset]) -> Dataset:
    """N training examples of the data of another spec, drawn at random, the same ones at each call, in its order.

    Its test split is the whole one of that data, or where that holds nothing out all examples that were not drawn.

    Args:
      place: "N:SPEC".
      split: "train" or "test".
      load_whole: loads a split of SPEC.

    Raises:
      InputError: N is no number of examples to draw, or a class would be left without any.
    """
    count, _, spec = place.partition(":")
    name, n = f"subset:{place}", int(count) if count.isdecimal() else 0
    if not spec or n < 1:
        raise InputError(f"{name}: expected subset:N:SPEC, such as subset:500:mnist; give a number and a dataset")
    whole = load_whole(spec, "train")
    if n >= len(whole):
        raise InputError(f"{name}: {spec} has {len(whole)} examples; take fewer of them, or leave out subset:{count}:")
    order = np.random.default_rng(_SEED).permutation(len(whole))
    drawn, rest = (np.sort(part) for part in (order[:n], order[n:]))
    if split == "test":
        test = load_whole(spec, "test")
        return test if test.fingerprint != whole.fingerprint else whole.take(rest)
    found = dataclasses.replace(whole.take(drawn), name=name)
    if found.labels is not None and (lost := set(range(found.num_classes)) - set(found.labels.tolist())):
        raise InputError(
            f"{name}: {len(lost)} of {found.num_classes} classes have no example among these, such as "
            f"{found.classes[min(lost)]}; take more"
        )
    return found

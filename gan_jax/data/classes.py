"""Labels as data writes them, numbered anew by the classes that occur."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gan_jax.errors import InputError

_SHOWN = 8  # names in a sentence


class Labelled(NamedTuple):
    """Labels of one split.

    Attributes:
      labels: int32 `[N]`, numbers of `classes`.
      classes: the names of the classes of the training split, in order.
      notes: what a user should know, see `Dataset`.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def occurring(name: str, written: np.ndarray, train: np.ndarray, declared: Sequence[str] | None = None) -> Labelled:
    """Numbers labels 0 ... K - 1 by the K classes that the training split has, in order; the test split's with them.

    A number that no example has would be a class all the same to everything that draws conditions: shown in grids,
    measured, and given to fakes. So classes without an example are left out, and a class keeps its name: the number
    or the word that the data calls it.

    Args:
      name: of the data, for errors.
      written: labels of a split, whole numbers or strings `[N]`, at least one.
      train: those of the training split.
      declared: names of the classes by number, where the data gives numbers and has names for them.

    Raises:
      InputError: a label is of no training example, negative, or of no declared class.
    """
    for labels in (train, written):
        if labels.dtype.kind != "U":
            _check_numbers(name, labels, declared)
    of_train = {_name(value, declared): value for value in np.unique(train).tolist()}
    # Numbers stay in their order, whatever their names are.
    classes = tuple(sorted(of_train, key=natural) if train.dtype.kind == "U" else of_train)
    values, positions = np.unique(written, return_inverse=True)
    names = [_name(value, declared) for value in values.tolist()]
    unknown = [name for name in names if name not in of_train]
    if unknown:
        raise InputError(
            f"{name}: the test split has class {listed(unknown)}, of which there is no training example, only of "
            f"{described(classes)}; correct the labels"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers[name] for name in names], np.int32)[positions]
    return Labelled(labels, classes, _gaps(train, classes, declared))


def natural(name: str) -> tuple[list[str | int], str]:
    """A sort key under which whole numbers stand in the order of numbers: a2 before a10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def described(classes: Sequence[str]) -> str:
    """Classes in a sentence: "0 to 9", "cat, dog"."""
    if len(classes) > 2 and list(classes) == [str(number) for number in range(len(classes))]:
        return f"0 to {len(classes) - 1}"
    return listed(classes)


def listed(names: Sequence[str], shown: int = _SHOWN) -> str:
    """The first names, and how many there are if that is not all; bytes of file names that are no text as ?."""
    text = ", ".join(name.encode(errors="replace").decode() for name in names[:shown])
    return text if len(names) <= shown else f"{text}, ... ({len(names)})"


def _check_numbers(name: str, labels: np.ndarray, declared: Sequence[str] | None) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > (np.iinfo(np.int32).max if declared is None else len(declared) - 1):
        upper = "" if declared is None else f" to {len(declared) - 1}"
        raise InputError(
            f"{name}: labels run from {low} to {high}, expected class numbers from 0{upper}; correct the labels"
        )


def _name(value: int | str, declared: Sequence[str] | None) -> str:
    return str(value) if declared is None or isinstance(value, str) else declared[value]


def _gaps(train: np.ndarray, classes: Sequence[str], declared: Sequence[str] | None) -> tuple[str, ...]:
    """A note on the classes without a training example."""
    if train.dtype.kind == "U":
        return ()
    if declared is not None:
        empty = [name for name in declared if name not in classes]
        return (f"classes {listed(empty)} have no examples",) if empty else ()
    present = np.unique(train).tolist()
    ranges = [
        str(low) if low == high else f"{low}..{high}"
        for low, high in zip([0, *(n + 1 for n in present)], [n - 1 for n in present], strict=False)
        if low <= high
    ]
    return (f"classes {listed(ranges)} of 0..{present[-1]} have no examples",) if ranges else ()

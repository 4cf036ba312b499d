"""Which data a run learns from: found again from any directory, and noticed where it is other data."""

import dataclasses
import os
from typing import Any

from gan_jax.data import Dataset, sources
from gan_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class DataRecord:
    """The training data of a run, as config.json holds it.

    Attributes:
      path: absolute, of a file or directory; None of data that has a name alone.
      count: how many examples.
      fingerprint: `Dataset.fingerprint`.
      classes: names of the classes by number; None where these are 0, 1, 2, ..., or there are no classes.
    """

    path: str | None
    count: int
    fingerprint: str
    classes: tuple[str, ...] | None

    def spec(self, typed: str) -> str:
        """Where the data lies now, as a spec, of the spec that was typed.

        A path is the one that it was when the run was started. Where nothing lies there, as on another machine, it
        counts from here.

        Raises:
          InputError: nothing lies here either.
        """
        if self.path is None:
            return typed
        if os.path.exists(self.path):  # Of any text: Path.exists raises where a name is too long.
            return sources.moved(typed, self.path)
        here = sources.path_of(typed)
        if here is None or not os.path.exists(here):
            raise InputError(
                f"the data of this run, {typed}, is gone from {self.path}: put it back there, or start from a "
                "directory where the path typed leads to it"
            )
        return typed

    def typed_here(self, typed: str) -> "DataRecord":
        """The same with the path that a spec typed now, and perhaps somewhere else, leads to."""
        path = sources.path_of(typed)
        return dataclasses.replace(self, path=None if path is None else str(path))

    def difference(self, dataset: Dataset, typed: str) -> str | None:
        """What is other in a training split than what was recorded, in a phrase."""
        now = of(dataset, typed)
        if now.count != self.count:
            return f"it had {self.count} examples and has {now.count}"
        if now.classes != self.classes:
            return "its classes have other names"
        # What comes with the package is computed, and may differ between machines in a last bit.
        if now.fingerprint != self.fingerprint and typed not in sources.NAMED:
            return "its examples are other ones, or in another order"
        return None


def of(dataset: Dataset, typed: str) -> DataRecord:
    """The record of a training split, and of the spec that was typed for it."""
    path = sources.path_of(typed)
    numbers = dataset.classes == tuple(map(str, range(dataset.num_classes)))
    classes = None if numbers else dataset.classes
    return DataRecord(None if path is None else str(path), len(dataset), dataset.fingerprint, classes)


def read(record: Any, num_classes: int) -> DataRecord:
    """A record out of JSON.

    Raises:
      KeyError, TypeError, ValueError: it is none.
    """
    path, count, fingerprint, classes = (record[field.name] for field in dataclasses.fields(DataRecord))
    if not isinstance(path, str | None) or type(count) is not int or not isinstance(fingerprint, str):
        raise ValueError(f"expected path, count and fingerprint of data, got {record!r}")
    if classes is not None:
        if len(classes) != num_classes or not all(isinstance(name, str) for name in classes):
            raise ValueError(f"expected the names of {num_classes} classes, got {classes!r}")
        classes = tuple(classes)
    return DataRecord(path, count, fingerprint, classes)

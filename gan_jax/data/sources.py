"""Load a dataset from a spec such as `mnist` or `folder:DIR`."""

import dataclasses
import difflib
import importlib.resources
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, cast, get_args

import numpy as np

from gan_jax.data import folder, idx, npz, pairs, prepared, shapes, stacked, subset, toys
from gan_jax.data.dataset import Dataset, Split
from gan_jax.errors import InputError


class _Place(NamedTuple):
    """A kind of source with a place: how the place is written, and `(place, split) -> dataset`."""

    written: str
    load: Callable[[str, Split], Dataset]


def _mnist(split: Split) -> Dataset:
    return idx.load_directory(importlib.resources.files("gan_jax.data") / "mnist", split, name="mnist")


def _tfds(name: str, split: Split) -> Dataset:
    from gan_jax.data import tfds_source  # Not earlier: it imports tensorflow-datasets.

    return tfds_source.load(name, split)


def _tags(place: str, split: Split) -> Dataset:
    from gan_jax.data import tags  # Not earlier: as `_robots`.

    return tags.load(place, split, path, load)


def _robots(place: str, split: Split) -> Dataset:
    from gan_jax.data import robots  # Not earlier: it imports what prepares data.

    return robots.load(place, split)


def path(place: str) -> Path:
    """A path as it is typed: `~` is the home directory. Raises InputError where there is none."""
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"{place}: the home directory is unknown; write the path in full") from error


NAMED: Mapping[str, Callable[[Split], Dataset]] = {
    "mnist": _mnist,
    "stacked": lambda split: stacked.load(_mnist, split),
    **{name: lambda split, name=name: toys.load(name, split) for name in toys.MIXTURES},  # type: ignore[misc]
}
# `(place, split) -> dataset`, where the place is SIZE or SIZE/FACTOR, or nothing.
_MADE: Mapping[str, Callable[[str, Split], Dataset]] = {"shapes": shapes.load, "robots": _robots}
_PLACED: Mapping[str, _Place] = {
    "idx": _Place("DIR", lambda place, split: idx.load_directory(path(place), split)),
    "npz": _Place("FILE", lambda place, split: npz.load_file(path(place), split)),
    "folder": _Place("DIR", lambda place, split: folder.load_directory(path(place), split)),
    "pairs": _Place("DIR", lambda place, split: pairs.load_directory(path(place), split)),
    "pairs_reversed": _Place("DIR", lambda place, split: pairs.load_directory(path(place), split, reversed=True)),
    "tfds": _Place("NAME", _tfds),
    "prepared": _Place("DIR", lambda place, split: prepared.load(path(place), split)),
    "subset": _Place("N:SPEC", lambda place, split: subset.load(place, split, load)),
    "tags": _Place("SPEC", _tags),
}

_MANY_COORDINATES = 64  # Of points; more are rather images that lost their shape.

FORMS = (
    *NAMED,
    *(f"{kind}[:SIZE[/FACTOR]]" for kind in _MADE),
    *(f"{kind}:{place.written}" for kind, place in _PLACED.items()),
)
"""The specs that `load` accepts."""


def load(spec: str | os.PathLike[str], split: str = "train") -> Dataset:
    """Loads the dataset of a spec into memory; of prepared data the labels alone.

    | spec          | what                                       | the test split is             |
    |---------------|--------------------------------------------|-------------------------------|
    | `mnist`       | embedded in the package, 28x28x1, 60,000   | MNIST's 10,000 test images    |
    | `stacked`     | three MNIST digits as RGB, 28x28x3, 60,000 | 26,000 of MNIST's test images |
    | `ring`,`grid` | 8 or 25 Gaussians in the plane, 100,000    | another draw of the same size |
    | `shapes`      | coloured shapes, 32x32x3, 20,736           | 6,912, combinations held out  |
    | `robots`      | robohash's robots, 32x32x3, 50,000         | 10,000 others                 |
    | `idx:DIR`     | four files named as MNIST's                | the t10k files                |
    | `npz:FILE`    | `images` and perhaps `labels`, of np.savez | `test_images`, or as train    |
    | `folder:DIR`  | image files; sub-folders become labels     | DIR/test, or as train         |
    | `pairs:DIR`   | files of two images side by side, the right | as of a folder                |
    |               | to be made from the left; the left from the |                               |
    |               | right with `pairs_reversed:DIR`             |                               |
    | `tfds:NAME`   | `NAME[/CONFIG][:VERSION]`, prepared        | test, validation, or as train |
    | `prepared:DIR`| what the command `prepare` wrote           | what that set aside, or train |
    | `subset:N:...`| N random training examples of another spec | that of the other spec        |
    | `tags:...`    | the tags of pictures of another spec,      | that of the other spec        |
    |               | float32 [N, T], with the pictures beside   |                               |

    "As train" means the training data itself, where a source holds nothing out.

    `shapes` and `robots` may have a size, 32 or 64, and a factor as label: `shapes:64`, `robots:32/color`.

    Labels are numbered by the classes that have a training example, and `Dataset.classes` names those as the data calls
    them: with labels 1 ... 26 in a file, label 0 is class "1".

    Args:
      spec: one of the forms above; `~` in a path is the home directory.
      split: "train" or "test".

    Raises:
      InputError: no such spec or split, the data can't be read, or the test split has other shapes or classes than the
        training split.
    """
    spec = os.fspath(spec)
    if split not in get_args(Split):
        raise InputError(f"there is no split {split!r}; choose train or test")
    split = cast(Split, split)
    kind, _, place = spec.partition(":")
    if spec in NAMED:
        return NAMED[spec](split)
    if not is_spec(spec):
        raise InputError(f"there is no dataset {spec!r}{_hint(spec)}; choose one of {', '.join(FORMS)}")
    if kind in _MADE:
        return _MADE[kind](place, split)
    try:
        dataset = _PLACED[kind].load(place, split)
    except OSError as error:  # Of the path itself, such as one that is too long.
        raise InputError(f"{spec}: {error.strerror or error}; choose a different file or directory") from error
    # Prepared data is not read whole; it was looked at when it was prepared.
    odd = () if isinstance(dataset.x, np.memmap) else _oddities(dataset)
    return dataclasses.replace(dataset, notes=dataset.notes + odd) if odd else dataset


def is_spec(text: str) -> bool:
    """Whether a text has one of `FORMS`."""
    kind, colon, place = text.partition(":")
    placed = bool(place) and "\0" not in place
    return text in NAMED or (kind in _MADE and (placed or not colon)) or (kind in _PLACED and placed)


def path_of(spec: str) -> Path | None:
    """The absolute path of a file or directory of data; None of data that has a name alone."""
    kind, _, place = spec.partition(":")
    if kind == "subset":
        return path_of(place.partition(":")[2])
    if kind == "tags":
        return path_of(place)
    lies = kind in ("idx", "npz", "folder", "pairs", "pairs_reversed", "prepared") and place
    return path(place).absolute() if lies else None


def moved(spec: str, path: str) -> str:
    """The spec of data that lies at this path now."""
    kind, _, place = spec.partition(":")
    if kind == "subset":
        count, _, whole = place.partition(":")
        return f"{kind}:{count}:{moved(whole, path)}"
    if kind == "tags":
        return f"{kind}:{moved(place, path)}"
    return f"{kind}:{path}"


def _oddities(dataset: Dataset) -> tuple[str, ...]:
    """Notes on data that can be used and is seldom meant so."""
    notes = []
    if dataset.is_image and (high := int(dataset.x.max())) <= 1:
        notes.append(f"no pixel is above {high}, and white is 255: multiply by 255 if 1 is meant as white")
    if not dataset.is_image and not dataset.tags and dataset.shape[0] >= _MANY_COORDINATES:
        notes.append(f"points of {dataset.shape[0]} numbers, used unscaled: images are uint8 [N, H, W, C]")
    if len(dataset) > 1 and dataset.num_classes == len(dataset):
        notes.append("every example has a class of its own: labels are numbers or names of classes")
    return tuple(notes)


def _hint(spec: str) -> str:
    """A question with the spec that is most like this one, or nothing if none is like it."""
    kind, colon, _ = spec.partition(":")
    if not colon and (of_path := kind_of_path(spec)) is not None:
        return f" (did you mean {of_path}:{spec}?)"
    names = {re.split(r"\W", form)[0]: form for form in FORMS}
    near = difflib.get_close_matches(kind.lower(), names, n=1)
    return f" (did you mean {names[near[0]]}?)" if near else ""


def kind_of_path(text: str) -> str | None:
    """The kind of source that a path given alone may be."""
    if text.lower().endswith(".npz"):
        return "npz"
    try:
        place = path(text)
        if not text or "\0" in text or not place.is_dir():
            return None
        names = {entry.name for entry in place.iterdir()}
        return "prepared" if prepared.RECORD in names else "idx" if any("-ubyte" in n for n in names) else "folder"
    except (OSError, InputError):  # A path that can't be looked at is no hint.
        return None

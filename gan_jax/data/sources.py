"""Load a dataset from a spec such as `mnist` or `folder:DIR`."""

import difflib
import importlib.resources
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, cast, get_args

from gan_jax.data import folder, idx, npz, stacked, toys
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


def _path(place: str) -> Path:
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"{place}: the home directory is unknown; write the path in full") from error


_NAMED: Mapping[str, Callable[[Split], Dataset]] = {
    "mnist": _mnist,
    "stacked": lambda split: stacked.load(_mnist, split),
    **{name: lambda split, name=name: toys.load(name, split) for name in toys.MIXTURES},  # type: ignore[misc]
}
_PLACED: Mapping[str, _Place] = {
    "idx": _Place("DIR", lambda place, split: idx.load_directory(_path(place), split)),
    "npz": _Place("FILE", lambda place, split: npz.load_file(_path(place), split)),
    "folder": _Place("DIR", lambda place, split: folder.load_directory(_path(place), split)),
    "tfds": _Place("NAME", _tfds),
}

FORMS = (*_NAMED, *(f"{kind}:{place.written}" for kind, place in _PLACED.items()))
"""The specs that `load` accepts."""


def load(spec: str, split: str = "train") -> Dataset:
    """Loads the dataset of a spec into memory.

    | spec          | what                                       | the test split is             |
    |---------------|--------------------------------------------|-------------------------------|
    | `mnist`       | embedded in the package, 28x28x1, 60,000   | MNIST's 10,000 test images    |
    | `stacked`     | three MNIST digits as RGB, 28x28x3, 60,000 | 26,000 of MNIST's test images |
    | `ring`,`grid` | 8 or 25 Gaussians in the plane, 100,000    | another draw of the same size |
    | `idx:DIR`     | four files named as MNIST's                | the t10k files                |
    | `npz:FILE`    | `images` and perhaps `labels`, of np.savez | `test_images`, or as train    |
    | `folder:DIR`  | image files; sub-folders become labels     | DIR/test, or as train         |
    | `tfds:NAME`   | `NAME[/CONFIG][:VERSION]`, prepared        | test, validation, or as train |

    "As train" means the training data itself, where a source holds nothing out.

    Args:
      spec: one of the forms above; `~` in a path is the home directory.
      split: "train" or "test".

    Raises:
      InputError: no such spec or split, or the data can't be read.
    """
    if split not in get_args(Split):
        raise InputError(f"there is no split {split!r}; choose train or test")
    split = cast(Split, split)
    kind, _, place = spec.partition(":")
    if spec in _NAMED:
        return _NAMED[spec](split)
    if kind in _PLACED and place and "\0" not in place:
        try:
            return _PLACED[kind].load(place, split)
        except OSError as error:  # Of the path itself, such as one that is too long.
            raise InputError(f"{spec}: {error.strerror or error}; choose a different file or directory") from error
    raise InputError(f"there is no dataset {spec!r}{_hint(kind)}; choose one of {', '.join(FORMS)}")


def _hint(kind: str) -> str:
    """A question with the spec whose name is most like `kind`, or nothing if none is like it."""
    names = {form.partition(":")[0]: form for form in FORMS}
    near = difflib.get_close_matches(kind.lower(), names, n=1)
    return f" (did you mean {names[near[0]]}?)" if near else ""

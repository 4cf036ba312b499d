"""From a spec, as `mnist` or `folder:DIR`, to a dataset."""

import difflib
import importlib.resources
from pathlib import Path
from typing import cast, get_args

from gan_jax.data import folder, idx, npz, stacked, toys
from gan_jax.data.dataset import Dataset, Split
from gan_jax.errors import InputError

FORMS = ("mnist", "stacked", *toys.MIXTURES, "idx:DIR", "npz:FILE", "folder:DIR", "tfds:NAME")


def load(spec: str, split: str = "train") -> Dataset:
    """The dataset that `spec` names, whole, in memory.

    | spec          | what                                       | the test split is             |
    |---------------|--------------------------------------------|-------------------------------|
    | `mnist`       | embedded in the package, 28x28x1, 60,000   | MNIST's 10,000 test images    |
    | `stacked`     | three MNIST digits as RGB, 28x28x3, 60,000 | 26,000 of MNIST's test images |
    | `ring`,`grid` | 8 or 25 Gaussians in the plane, 100,000    | another draw, as large        |
    | `idx:DIR`     | four files named as MNIST's                | the t10k files                |
    | `npz:FILE`    | `images` and perhaps `labels`, of np.savez | `test_images`, or as train    |
    | `folder:DIR`  | image files; sub-folders become labels     | DIR/test, or as train         |
    | `tfds:NAME`   | `NAME[/CONFIG][:VERSION]`, prepared        | test, validation, or as train |

    "As train" means the training data itself: a source that holds nothing out has nothing else.

    Args:
        spec: one of the forms above; `~` in a path is the home directory.
        split: "train" or "test".

    Raises:
        InputError: no such spec or split, or the data can't be read.
    """
    if split not in get_args(Split):
        raise InputError(f"There is no split {split!r}; choose train or test.")
    split = cast(Split, split)
    kind, _, place = spec.partition(":")
    if spec == "mnist":
        return _mnist(split)
    if spec == "stacked":
        return stacked.load(_mnist, split)
    if spec in toys.MIXTURES:
        return toys.load(spec, split)
    if place and "\0" not in place:
        try:
            match kind:
                case "idx":
                    return idx.load_directory(_path(place), split)
                case "npz":
                    return npz.load_file(_path(place), split)
                case "folder":
                    return folder.load_directory(_path(place), split)
                case "tfds":
                    from gan_jax.data import tfds_source

                    return tfds_source.load(place, split)
        except OSError as error:  # Of the path itself, as one that is too long.
            raise InputError(f"{spec}: {error.strerror or error}; name another file or directory.") from error
    raise InputError(f"There is no dataset {spec!r}{_hint(kind)}; choose one of {', '.join(FORMS)}.")


def _mnist(split: Split) -> Dataset:
    return idx.load_directory(importlib.resources.files("gan_jax.data") / "mnist", split, name="mnist")


def _path(place: str) -> Path:
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise InputError(f"{place}: the home directory is unknown; write the path in full.") from error


def _hint(kind: str) -> str:
    """The form whose name is nearest to what was typed, where one is near."""
    names = {form.partition(":")[0]: form for form in FORMS}
    near = difflib.get_close_matches(kind.lower(), names, n=1)
    return f", did you mean {names[near[0]]}" if near else ""

"""Tags of pictures: of each picture of other data which of many tags it has, to be drawn for it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gan_jax.data import npz, robots, shapes
from gan_jax.data.dataset import Dataset, Split
from gan_jax.data.factors import Factors
from gan_jax.errors import InputError

_CHANNELS = ("red", "green", "blue")
_DIGITS = 10
_KEYS: dict[Split, str] = {"train": "tags", "test": "test_tags"}
_NAMES = "tag_names"
_FACTORS: Mapping[str, tuple[Factors, Callable[[Split], np.ndarray]]] = {
    "robots": (robots.FACTORS, robots.factors),
    "shapes": (shapes.FACTORS, shapes.factors),
}


def load(place: str, split: Split, path: Callable[[str], Path], load_whole: Callable[[str, Split], Dataset]) -> Dataset:
    """The tags of the pictures of another spec, float32 `[N, T]`, 1 where a picture has the tag; pictures beside them.

    | spec                | tags                                                                    |
    |---------------------|-------------------------------------------------------------------------|
    | `stacked`           | 30: a digit of a channel, "red 7"                                       |
    | `robots`, `shapes`  | 60, and 28: the values of all factors, whatever factor the spec names   |
    | `npz:FILE`          | the columns of `tags` [N, T], 0 or 1, with names `tag_names` [T]; and   |
    |                     | `test_tags`                                                             |
    | any other, labelled | the classes, of which each picture has one                              |

    Args:
      place: the other spec.
      split: "train" or "test".
      path: reads a path as it is typed.
      load_whole: loads a split of a spec.

    Raises:
      InputError: the data has no pictures, neither tags nor labels, or tags without names.
    """
    name, (kind, _, rest) = f"tags:{place}", place.partition(":")
    if kind == "tags":
        raise InputError(f"{name} asks for tags of tags: leave out one of them")
    whole = load_whole(place, split)
    if not whole.is_image:
        raise InputError(f"{name}: {place} is points, which have no tags: choose data of images")
    if kind == "stacked":
        assert whole.labels is not None
        digits = np.stack([whole.labels // 100, whole.labels // 10 % 10, whole.labels % 10], axis=1)
        return _tagged(name, whole, digits, {channel: tuple(map(str, range(_DIGITS))) for channel in _CHANNELS})
    if kind in _FACTORS:
        factors, numbers = _FACTORS[kind]
        return _tagged(name, whole, numbers(split), factors)
    if kind == "npz" and (found := _of_file(name, path(rest), split, whole)) is not None:
        return found
    if whole.labels is None:
        raise InputError(
            f"{name}: {place} has neither tags nor labels; give npz:FILE with tags and tag_names, or labelled images"
        )
    return _tagged(name, whole, whole.labels[:, None], {"": whole.classes})


def _tagged(name: str, whole: Dataset, numbers: np.ndarray, factors: Mapping[str, Sequence[str]]) -> Dataset:
    """Pictures with a tag for the value of each factor: numbers int `[N, len(factors)]`."""
    values = list(factors.values())
    alone = len({value for names in values for value in names}) == sum(map(len, values))
    plain = alone and not all(value.isdecimal() for value in values[0])
    tags = [
        value if plain or not factor else f"{factor} {value}" for factor, names in factors.items() for value in names
    ]
    columns = [np.eye(len(names), dtype=np.float32)[numbers[:, k]] for k, names in enumerate(values)]
    return Dataset(name, np.concatenate(columns, axis=1), conditions=whole.x, notes=whole.notes, tags=tuple(tags))


def _of_file(name: str, path: Path, split: Split, whole: Dataset) -> Dataset | None:
    """Pictures of an archive with its own tags; None where it has none."""
    arrays = npz.read_arrays(path)
    key = _KEYS[split] if any(of.startswith("test_") for of in arrays) else _KEYS["train"]
    if _KEYS["train"] not in arrays:
        return None
    if _NAMES not in arrays:
        raise InputError(f"{name}: its tags have no names; add {_NAMES}, a string for each column of tags")
    if key not in arrays:
        raise InputError(f"{name}: the file holds test images without {key}; add their tags")
    tags, names = arrays[key], arrays[_NAMES]
    if tags.dtype.kind not in "biuf" or not np.isin(tags, (0, 1)).all():
        raise InputError(f"{name}: {key} are {tags.dtype} other than 0 and 1; give 1 where an image has a tag, else 0")
    if names.dtype.kind != "U" or names.ndim != 1:
        raise InputError(f"{name}: {_NAMES} are {names.dtype} of shape {list(names.shape)}; give strings [T]")
    notes = tuple(note for note in whole.notes if not note.startswith("not read"))
    return Dataset(name, tags.astype(np.float32), conditions=whole.x, notes=notes, tags=tuple(names.tolist()))

"""The one type that every source returns."""

import dataclasses
import functools
import hashlib
from typing import Literal

import numpy as np

from gan_jax.data.rows import SMALL_BYTES, Rows
from gan_jax.errors import InputError
from gan_jax.examples import Examples

Split = Literal["train", "test"]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A whole dataset, checked when it is made; its arrays may be read-only, and x may be a memory map.

    Attributes:
      name: where the data came from, as a spec that `load` accepts.
      x: images, uint8 [N, H, W, C] in 0..255, grey (C = 1) or RGB (C = 3), or points, float32 [N, D], finite, used
        unscaled.
      labels: int32 [N] in [0, num_classes), or None.
      classes: the names of the classes by number, empty when unlabelled. Every class has a training example.
      notes: what was left out or looks odd, a phrase each, for a user to see.
      conditions: what each image is to be made from, uint8 images of the same shape, or None; of tags the pictures that
        have them, of any shape. Such data has no labels.
      tags: the names of the columns of x, where these say which tags a picture has: then x is 0 or 1.
      known_fingerprint: what `fingerprint` is, where it is known without reading everything.

    Raises:
      InputError: the arrays are not as described above, or empty.
    """

    name: str
    # Any array, to a type checker: the wrong arrays in a user's file are an InputError, not a TypeError.
    x: np.ndarray
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    conditions: np.ndarray | None = None
    tags: tuple[str, ...] = ()
    # Not a field: `dataclasses.replace` makes other data, whose fingerprint is another.
    known_fingerprint: dataclasses.InitVar[str | None] = None

    def __post_init__(self, known_fingerprint: str | None) -> None:
        if known_fingerprint is not None:
            self.__dict__["fingerprint"] = known_fingerprint
        if (str(self.x.dtype), self.x.ndim) not in (("uint8", 4), ("float32", 2)):
            raise InputError(
                f"{self.name}: expected uint8 images [N, H, W, C] or float32 points [N, D], "
                f"got {self.x.dtype} of shape {list(self.x.shape)}; {_advice(self.x)}"
            )
        if self.x.size == 0:
            raise InputError(
                f"{self.name}: the data is empty, its shape is {list(self.x.shape)}; give at least one example"
            )
        if self.is_image and self.shape[-1] not in (1, 3):
            first = self.shape[0] in (1, 3, 4) and self.shape[-1] > 4
            raise InputError(
                f"{self.name}: expected images [N, H, W, C] with one channel (grey) or three (RGB), got shape "
                f"{list(self.x.shape)}; {'move axis 1 to the end' if first else 'keep one channel or three'}"
            )
        if not self.is_image and not np.isfinite(self.x).all():
            raise InputError(f"{self.name}: some points are NaN or infinite; remove them or make them finite")
        if self.tags:
            self._check_tags()
        elif self.conditions is not None:
            self._check_conditions(self.conditions)
        if self.labels is None:
            if self.classes:
                raise InputError(f"{self.name}: {self.num_classes} classes but no labels; give labels or no classes")
            return
        if self.labels.dtype != np.int32 or self.labels.ndim != 1:
            raise InputError(
                f"{self.name}: labels must be int32 [N], got {self.labels.dtype} of shape "
                f"{list(self.labels.shape)}; give one class number per example"
            )
        if len(self.labels) != len(self.x):
            raise InputError(
                f"{self.name}: {len(self.x)} examples but {len(self.labels)} labels; give exactly one label per example"
            )
        if len(set(self.classes)) < self.num_classes:
            raise InputError(f"{self.name}: two classes have one name; give each class a name of its own")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= self.num_classes:
            raise InputError(
                f"{self.name}: labels run from {low} to {high}, expected 0 to "
                f"{self.num_classes - 1}, the {self.num_classes} classes; correct the labels"
            )

    def _check_tags(self) -> None:
        pictures = self.conditions
        if self.x.ndim != 2 or self.shape != (len(self.tags),) or not np.isin(self.x, (0, 1)).all():
            raise InputError(
                f"{self.name}: tags are {self.x.dtype} of shape {list(self.x.shape)} and {len(self.tags)} names; give "
                "each name a column, 1 where a picture has the tag, else 0"
            )
        if len(set(self.tags)) < len(self.tags):
            raise InputError(f"{self.name}: two tags have one name; give each tag a name of its own")
        if pictures is None or pictures.dtype != np.uint8 or pictures.ndim != 4 or len(pictures) != len(self.x):
            found = None if pictures is None else list(pictures.shape)
            raise InputError(
                f"{self.name}: tags of {len(self.x)} pictures beside pictures of shape {found}; give uint8 "
                "[N, H, W, C], one for each row of tags"
            )

    def _check_conditions(self, conditions: np.ndarray) -> None:
        if self.labels is not None:
            raise InputError(f"{self.name}: images have labels and conditions; leave out one of them")
        if not self.is_image or conditions.dtype != np.uint8 or conditions.shape[1:] != self.shape:
            raise InputError(
                f"{self.name}: conditions are {conditions.dtype} of shape {list(conditions.shape)} where images are "
                f"{self.x.dtype} of shape {list(self.x.shape)}; give each uint8 image one of its own size"
            )
        if len(conditions) != len(self.x):
            raise InputError(
                f"{self.name}: {len(self.x)} images but {len(conditions)} conditions; give exactly one per image"
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def num_classes(self) -> int:
        """How many classes there are, 0 when unlabelled."""
        return len(self.classes)

    @property
    def examples(self) -> Examples:
        """The arrays in the form that training takes, on the host."""
        return Examples(self.x, self.labels if self.conditions is None else self.conditions)

    @property
    def beside(self) -> tuple[int, ...] | None:
        """Shape of the picture beside one example, where there are some."""
        return None if self.conditions is None else self.conditions.shape[1:]

    def take(self, numbers: np.ndarray) -> "Dataset":
        """The examples of these numbers, int `[n]`, in memory."""
        labels, conditions = (of if of is None else Rows(of).take(numbers) for of in (self.labels, self.conditions))
        return dataclasses.replace(self, x=Rows(self.x).take(numbers), labels=labels, conditions=conditions)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example: (H, W, C), or (D,)."""
        return self.x.shape[1:]

    @property
    def is_image(self) -> bool:
        return self.x.ndim == 4

    @functools.cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that other examples, labels or class names, or another order, would change."""
        digest = hashlib.blake2b(digest_size=8)
        named = (self.classes, self.tags) if self.tags else (self.classes,)
        digest.update(repr((self.x.dtype.str, self.x.shape, *named)).encode())
        digest.update(np.ascontiguousarray(self.x).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        if self.conditions is not None:
            digest.update(np.ascontiguousarray(self.conditions).data)
        return digest.hexdigest()


def most_in_memory(dataset: Dataset) -> int:
    """How many examples may be held in memory: all of data that lies there already."""
    if not isinstance(dataset.x, np.memmap):
        return len(dataset)
    return min(len(dataset), max(1, SMALL_BYTES // dataset.x[:1].nbytes))


def check_alike(name: str, test: tuple[int, ...], train: tuple[int, ...]) -> None:
    """Raises InputError unless examples of the test split have the shape of training examples."""
    if test != train:
        raise InputError(
            f"{name}: test examples are {' x '.join(map(str, test))} where training examples are "
            f"{' x '.join(map(str, train))}; give both splits one size and number of channels"
        )


def without_alpha(x: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Images with RGBA as RGB, anything else as it is; and a note if something was dropped."""
    if x.ndim != 4 or x.shape[-1] != 4:
        return x, ()
    return np.ascontiguousarray(x[..., :3]), ("the fourth channel, alpha, is dropped",)


def _advice(x: np.ndarray) -> str:
    """How arrays of a usual wrong kind become right ones."""
    if x.ndim == 2:
        return "points are float32, and images have axes of their own: use astype, or reshape to [N, H, W, C]"
    if x.ndim not in (3, 4) or x.dtype.kind not in "biuf" or x.size == 0:
        return "convert the data"
    low, high = float(x.min()), float(x.max())
    if x.dtype.kind == "b" or (low >= 0 and high <= 1):
        return "scale 0..1 with (255 * x).round().astype(np.uint8)"
    if low >= -1 and high <= 1:
        return "scale -1..1 with (127.5 * (x + 1)).round().astype(np.uint8)"
    if low >= 0 and high <= 255:
        return "convert 0..255 with x.round().astype(np.uint8)"
    return f"bring the values, {low:g} to {high:g}, to 0..255 and use astype(np.uint8)"

"""The one type that every source returns."""

import dataclasses
import functools
import hashlib
from typing import Literal

import numpy as np

from gan_jax.errors import InputError
from gan_jax.examples import Examples

Split = Literal["train", "test"]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A whole dataset in host memory, checked when it is made; its arrays may be read-only.

    Attributes:
      name: where the data came from, as a spec that `load` accepts.
      x: images, uint8 [N, H, W, C] in 0..255, or points, float32 [N, D], finite, used unscaled.
      labels: int32 [N] in [0, num_classes), or None.
      num_classes: how many classes there are, 0 when unlabelled.

    Raises:
      InputError: the arrays are not as described above, or empty.
    """

    name: str
    # Any array, to a type checker: the wrong arrays in a user's file are an InputError, not a TypeError.
    x: np.ndarray
    labels: np.ndarray | None = None
    num_classes: int = 0

    def __post_init__(self) -> None:
        if (str(self.x.dtype), self.x.ndim) not in (("uint8", 4), ("float32", 2)):
            raise InputError(
                f"{self.name}: expected uint8 images [N, H, W, C] or float32 points [N, D], "
                f"got {self.x.dtype} of shape {list(self.x.shape)}; convert the data"
            )
        if self.x.size == 0:
            raise InputError(
                f"{self.name}: the data is empty, its shape is {list(self.x.shape)}; give at least one example"
            )
        if not self.is_image and not np.isfinite(self.x).all():
            raise InputError(f"{self.name}: some points are NaN or infinite; remove them or make them finite")
        if self.labels is None:
            if self.num_classes != 0:
                raise InputError(f"{self.name}: {self.num_classes} classes but no labels; give labels or num_classes=0")
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
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= self.num_classes:
            raise InputError(
                f"{self.name}: labels run from {low} to {high}, expected 0 to "
                f"{self.num_classes - 1}, the {self.num_classes} classes; correct the labels"
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def examples(self) -> Examples:
        """The arrays in the form that training takes, in host memory."""
        return Examples(self.x, self.labels)

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
        digest.update(repr((self.x.dtype.str, self.x.shape, self.num_classes)).encode())
        digest.update(np.ascontiguousarray(self.x).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

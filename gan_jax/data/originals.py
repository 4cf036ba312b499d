"""Images of any size, before they are prepared."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image


@dataclasses.dataclass(frozen=True, eq=False)
class Originals:
    """Images of any size, in the order in which they are prepared.

    Attributes:
      spec: where they lie, in full: "folder:/photos".
      names: of each image, relative to the source.
      tested: of which images the source itself says that they are for tests, bool `[N]`.
      labels: int32 `[N]`, numbers of `classes`; None where there are none.
      classes: names by number.
      channels: of all images; None where each has its own.
      notes: what was left out, a phrase each.
      digest: what other images, or changed ones, would change.
      open: a context with the image of a number, not decoded yet.
      there: whether the source can still be found.
    """

    spec: str
    names: Sequence[str]
    tested: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    channels: int | None
    notes: tuple[str, ...]
    digest: str
    open: "Callable[[int], contextlib.AbstractContextManager[Image.Image]]"
    there: Callable[[], bool] = lambda: True

    def __len__(self) -> int:
        return len(self.names)

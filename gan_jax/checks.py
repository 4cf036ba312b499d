"""Checks of arrays by shape and dtype, which cost nothing under jit, and of labels by value where they are known."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.typing import Axes


def is_concrete(x: Any) -> bool:
    """Whether the numbers of an array can be looked at: it is not traced, nor spread over several hosts."""
    return not isinstance(x, jax.core.Tracer) and getattr(x, "is_fully_addressable", True)


def check_labels(labels: Any, size: Axes, num_classes: int = 0) -> None:
    """Checks that labels are class numbers, one for each of `size` examples.

    Args:
      labels: integers.
      size: their shape.
      num_classes: they are in [0, num_classes); 0 where that is not known.

    Raises:
      ValueError: they are of another shape or dtype, or (where they are not traced) no such classes.
    """
    if labels.shape != size or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"labels must be integers {list(size)}, one class number for each example, got {labels.dtype} "
            f"{list(labels.shape)}"
        )
    if num_classes and math.prod(size) and is_concrete(labels):
        low, high = int(np.asarray(labels).min()), int(np.asarray(labels).max())
        if low < 0 or high >= num_classes:
            raise ValueError(f"labels must be classes 0 to {num_classes - 1}, got {low} to {high}")


def check_images(images: Any) -> None:
    """Checks that images are uint8 `[N, H, W, C]`, N >= 1, as data sets, grids and classifiers have them.

    Raises:
      ValueError: they are not.
    """
    if images.dtype != jnp.uint8 or len(images.shape) != 4 or not len(images):
        raise ValueError(
            f"images must be uint8 [N, H, W, C] in [0, 255], got {images.dtype} {list(images.shape)}: "
            "gan_jax.training.to_uint8(x, gan.data_range) makes them of a generator's"
        )
    _, height, _, channels = images.shape
    if height in (1, 3) and channels > 4:
        raise ValueError(f"images must be [N, H, W, C], got {list(images.shape)}: move the axis of the channels last")

"""Functions of many examples, applied to as many at a time as fit on a device."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def map_in_pieces(f: Callable[[Any], Any], examples: Any, *, size: int = 500) -> np.ndarray:
    """Applies `f` to a pytree with leaves `[N, ...]`, `size` examples at a time.

    Args:
      f: a pytree with leaves `[size, ...]` to an array `[size, ...]`, compiled by the caller.
      examples: leaves `[N, ...]`, N >= 1.
      size: examples per piece; the last piece overlaps the one before it, so that all have one compiled shape.

    Returns:
      What `f` returns for all examples, `[N, ...]`, on the host.

    Raises:
      ValueError: there are no examples, or the leaves are not equally long.
    """
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(examples)}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"the leaves of examples must be equally long, and not empty, got {sorted(counts)} examples")
    (n,) = counts
    size = min(size, n)
    starts = [min(start, n - size) for start in range(0, n, size)]
    pieces = [np.asarray(f(jax.tree.map(lambda x: x[start : start + size], examples))) for start in starts]  # noqa: B023
    return np.concatenate([*pieces[:-1], pieces[-1][-(n - (len(pieces) - 1) * size) :]])

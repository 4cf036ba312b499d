"""Raw data as training takes it."""

from typing import Any, NamedTuple

import numpy as np


class Examples(NamedTuple):
    """Raw data.

    Attributes:
      x: uint8 images `[..., H, W, C]`, or float32 points `[..., D]`.
      labels: what stands beside each: int32 `[...]`; what images are made from, uint8 `[..., H, W, C]`; any pytree of
        arrays `[..., *shape]` to be conditioned on (`gan_jax.conditioning.given`); or None.
    """

    x: Any
    labels: Any = None


def count(examples: Examples, *, axes: int = 1) -> int:
    """N of examples whose leaves are `[N, ...]`, from shapes and dtypes alone.

    Args:
      examples: the data.
      axes: how many axes lead the examples, `[N, ...]`; three of a chunk `[N, n_critic, B, ...]`.

    Raises:
      ValueError: there are none, the leaves are not equally long, or images are not uint8.
    """
    import jax  # Loading data needs none of it, and it is slow to import.

    shapes = [leaf.shape for leaf in jax.tree.leaves(examples)]
    if len({shape[:axes] for shape in shapes}) != 1 or 0 in shapes[0][:axes]:
        raise ValueError(f"examples must have equally many x and labels, and at least one; got shapes {shapes}")
    if len(shapes[0]) == axes + 3 and examples.x.dtype != np.uint8:
        raise ValueError(
            f"images must be uint8 in [0, 255], which training scales to the GAN's data_range, got "
            f"{examples.x.dtype}: convert them, or give GAN.train_step batches that you have scaled"
        )
    return shapes[0][0]

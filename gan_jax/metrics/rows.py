"""Shared by metrics: the check of their arrays, squared distances of one point to many, a map over points in blocks."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_BLOCK = 250


def as_float(*arrays: Any, rank: int = 2) -> list[Array]:
    """Samples as float32: features or points `[N, D]`, D the same for all arrays; numbers `[N]` where rank is 1.

    Sums of narrower floats lose digits, and squares of integers overflow.

    Raises:
      ValueError: an array is not float, has another rank, or no sample; or D differs.
    """
    found = [jnp.asarray(x) for x in arrays]
    for x in found:
        if not jnp.issubdtype(x.dtype, jnp.floating) or x.ndim != rank or not x.shape[0]:
            axes = ", ".join(["N", "D", "D", "D"][:rank])
            raise ValueError(
                f"samples must be float [{axes}] with N at least 1, got {x.dtype} {list(x.shape)}: give features, "
                "points, or images scaled to floats and flattened"
            )
    if len({x.shape[1:] for x in found}) != 1:
        raise ValueError(f"samples that are compared must be equally wide, got {[list(x.shape) for x in found]}")
    return [x.astype(jnp.float32) for x in found]


def squared_distances(x: Float[Array, " d"], y: Float[Array, "n d"]) -> Float[Array, " n"]:
    """|x - y_i|^2, as |x|^2 + |y_i|^2 - 2 x . y_i: under a map over x a matrix product, in full float32."""
    products = jnp.matmul(y, x, precision=lax.Precision.HIGHEST)
    return jnp.maximum(jnp.sum(x * x) + jnp.sum(y * y, axis=-1) - 2 * products, 0)


def map_rows(f: Callable[[Any], Any], rows: Any) -> Any:
    """`f` of every row, a few hundred rows at once, so that intermediate results of all rows never exist together."""
    return lax.map(f, rows, batch_size=_BLOCK)

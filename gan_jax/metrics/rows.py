"""Shared by metrics of distances: squared distances of one point to many, and a map over points in blocks."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

_BLOCK = 250


def squared_distances(x: Float[Array, " d"], y: Float[Array, "n d"]) -> Float[Array, " n"]:
    """|x - y_i|^2, as |x|^2 + |y_i|^2 - 2 x . y_i: under a map over x a matrix product, in full float32."""
    products = jnp.matmul(y, x, precision=lax.Precision.HIGHEST)
    return jnp.maximum(jnp.sum(x * x) + jnp.sum(y * y, axis=-1) - 2 * products, 0)


def map_rows(f: Callable[[Any], Any], rows: Any) -> Any:
    """`f` of every row, a few hundred rows at once, so that intermediate results of all rows never exist together."""
    return lax.map(f, rows, batch_size=_BLOCK)

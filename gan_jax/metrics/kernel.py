"""Kernel distance: squared maximum mean discrepancy of features under a cubic kernel. KID, with Inception's features.

Bińkowski, Sutherland, Arbel, Gretton 2018, arXiv:1801.01401: k(x, y) = (x . y / F + 1)^3, the unbiased estimate of
Gretton et al. 2012. Unlike the Frechet distance its expectation does not depend on N, and is 0 for equal distributions
(so an estimate may be negative).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gan_jax.metrics.rows import as_float


class Estimate(NamedTuple):
    """A mean over blocks `[]` and its standard error `[]`."""

    mean: Float[Array, ""]
    error: Float[Array, ""]


def distance(x: Float[Array, "n features"], y: Float[Array, "m features"], block: int = 1000) -> Estimate:
    """MMD^2 of features `[N, F]` and `[M, F]`: the mean over disjoint blocks of `block` samples of each.

    The paper averages over random subsets, which overlap; disjoint blocks are independent, so that their spread gives
    the standard error of their mean. Samples beyond the last block of both are not used.

    Args:
      x, y: features.
      block: samples per block; static.

    Raises:
      ValueError: x or y has fewer than two blocks of samples, or they are not float `[N, F]` and `[M, F]`.
    """
    x, y = as_float(x, y)
    if block < 2:
        raise ValueError(f"MMD^2 is a mean over pairs: give blocks of at least two samples, got {block}")
    count = min(x.shape[0], y.shape[0]) // block
    if count < 2:
        raise ValueError(
            f"the kernel distance needs two blocks of {block} samples on both sides for its error, got {x.shape[0]} "
            f"and {y.shape[0]} samples: give more samples, or a smaller block"
        )
    pairs = jax.tree.map(lambda f: f[: count * block].reshape(count, block, -1), (x, y))
    values = lax.map(lambda pair: mmd2(*pair), pairs)
    return Estimate(values.mean(), values.std(ddof=1) / jnp.sqrt(count))


def mmd2(x: Float[Array, "n features"], y: Float[Array, "m features"]) -> Float[Array, ""]:
    """The unbiased estimate of MMD^2 from all pairs of distinct samples, features `[N, F]` and `[M, F]`.

    It holds matrices of N x N, M x M and N x M numbers.

    Raises:
      ValueError: one side has fewer than two samples, and so no pair; or they are not float `[N, F]` and `[M, F]`.
    """
    x, y = as_float(x, y)
    n, m = x.shape[0], y.shape[0]
    if min(n, m) < 2:
        raise ValueError(f"MMD^2 is a mean over pairs, got {n} and {m} samples: give at least two on both sides")
    within_x = _sum_of_pairs(x) / (n * (n - 1))
    within_y = _sum_of_pairs(y) / (m * (m - 1))
    return within_x + within_y - 2 * _kernel(x, y).mean()


def _sum_of_pairs(x: Float[Array, "n features"]) -> Float[Array, ""]:
    return jnp.sum(_kernel(x, x) * (1 - jnp.eye(x.shape[0])))


def _kernel(x: Float[Array, "n features"], y: Float[Array, "m features"]) -> Float[Array, "n m"]:
    return (jnp.matmul(x, y.T, precision=lax.Precision.HIGHEST) / x.shape[1] + 1) ** 3

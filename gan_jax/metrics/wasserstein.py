"""Wasserstein-1 distance between samples: exact on the line, sliced in more dimensions."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from gan_jax.metrics.rows import as_float


def distance(x: Float[Array, " n"], y: Float[Array, " m"]) -> Float[Array, ""]:
    """The exact W_1 of two samples `[N]` and `[M]`, in their own unit: the area between their distribution functions.

    Vallender 1974: on the line W_1 is the integral of |F - G|. For N = M it is the mean distance of sorted samples.

    Raises:
      ValueError: x or y is not float `[N]`, N >= 1.
    """
    x, y = as_float(x, y, rank=1)
    x, y = jnp.sort(x), jnp.sort(y)
    if x.shape == y.shape:
        return jnp.abs(x - y).mean()
    values = jnp.sort(jnp.concatenate([x, y]))
    x_cdf, y_cdf = (jnp.searchsorted(sample, values[:-1], side="right") / sample.shape[0] for sample in (x, y))
    return jnp.sum(jnp.abs(x_cdf - y_cdf) * jnp.diff(values))


def sliced(
    rng: PRNGKeyArray, x: Float[Array, "n d"], y: Float[Array, "m d"], projections: int = 128
) -> Float[Array, ""]:
    """The mean W_1 of x `[N, D]` and y `[M, D]` along random directions (Bonneel et al. 2015, with W_1 for W_2).

    Points shifted by t are |t| E|cos| apart: 2 |t| / pi in the plane.

    Args:
      rng: draws the directions.
      x, y: the two samples.
      projections: how many directions; static.

    Raises:
      ValueError: x and y are not float `[N, D]` and `[M, D]`.
    """
    x, y = as_float(x, y)
    lines = directions(rng, x.shape[1], projections)
    return along(*(jnp.matmul(points, lines.T, precision=lax.Precision.HIGHEST) for points in (x, y)))


def directions(rng: PRNGKeyArray, dimension: int, count: int = 128) -> Float[Array, "count d"]:
    """Random unit vectors `[count, D]`, uniform on the sphere; dimension and count are static."""
    lines = jax.random.normal(rng, (count, dimension), jnp.float32)
    return lines / jnp.linalg.norm(lines, axis=1, keepdims=True)


def along(x: Float[Array, "n lines"], y: Float[Array, "m lines"]) -> Float[Array, ""]:
    """The mean W_1 of two samples over lines that both are projected on, `[N, lines]` and `[M, lines]`."""
    return lax.map(lambda pair: distance(*pair), (x.T, y.T)).mean()

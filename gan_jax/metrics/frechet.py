"""Frechet distance between Gaussians fitted to features: FID, where the features are Inception's.

Heusel et al. 2017, arXiv:1706.08500: d^2 = |mu_a - mu_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the covariances. It is
biased upwards, by about 1/N, so compare numbers of equal N. Numbers of different features are not comparable at all.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gan_jax.metrics.rows import as_float

Matrix = Float[Array, "features features"]


class Moments(NamedTuple):
    """Mean and spread of features.

    Attributes:
      n: number of samples, float32 (exact up to 16 million).
      mean: `[F]`.
      scatter: sum over samples of (f - mean) (f - mean)^T, `[F, F]`.
    """

    n: Float[Array, ""]
    mean: Float[Array, " features"]
    scatter: Matrix


def moments(features: Float[Array, "n features"]) -> Moments:
    """The moments of features `[N, F]`, N >= 2.

    Raises:
      ValueError: the features are not float `[N, F]`, or of one sample.
    """
    (features,) = as_float(features)
    if features.shape[0] < 2:
        raise ValueError("one sample has no spread: give features of at least two")
    mean = features.mean(axis=0)
    deviations = features - mean[None]
    n = jnp.asarray(features.shape[0], jnp.float32)
    return Moments(n, mean, _dot(deviations.T, deviations))


def distance(a: Moments, b: Moments) -> Float[Array, ""]:
    """The squared Frechet distance d^2, >= 0, in the features' units squared; covariances are sums over N - 1.

    tr(A + B - 2 (A B)^(1/2)) is the minimum over orthogonal Q of |A^(1/2) - Q B^(1/2)|_F^2 (Bures), and is computed as
    that: symmetric eigendecompositions for the roots, a polar decomposition for Q, and a sum of squares, which keeps
    float32's accuracy where the two are nearly equal. The product's own square root loses it there. Covariances without
    full rank (of fewer distinct samples than features) have roots whose small directions float32 can't tell from
    nothing: the distance is then good to a percent.

    Raises:
      ValueError: a and b are of different numbers of features.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"distances are between moments of the same features, got {a.mean.shape} and {b.mean.shape}")
    root_a, root_b = _root(a), _root(b)
    u, _, vt = jnp.linalg.svd(_dot(root_b, root_a))
    difference = root_a - _dot(_dot(vt.T, u.T), root_b)
    return jnp.sum((a.mean - b.mean) ** 2) + jnp.sum(difference**2)


def _root(m: Moments) -> Matrix:
    values, vectors = jnp.linalg.eigh(m.scatter / (m.n - 1))
    return _dot(vectors * jnp.sqrt(jnp.maximum(values, 0))[None], vectors.T)


def _dot(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)

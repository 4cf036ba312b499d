"""Parzen-window log-likelihood, by the protocol of Goodfellow et al. 2014, arXiv:1406.2661 (Breuleux et al. 2011).

10,000 samples with pixels in [0, 1]; a Gaussian of deviation sigma on each; sigma is the one of logspace(-1, 0, 10)
with the best mean log-likelihood of 1,000 validation images, train[50000:51000] for MNIST; the result is the mean over
the 10,000 test images, in nats, and its standard error. For CGAN (Mirza & Osindero 2014) there are 1,000 samples
per class.

The measure ranks badly (Theis et al. 2015, arXiv:1511.01844): k-means centres beat the training set (`kmeans`), and so
do its images when blurred (`blur`). Report both beside it, and don't select models by it.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from gan_jax.checks import is_concrete
from gan_jax.metrics.rows import as_float, map_rows, squared_distances

Points = Float[Array, "n d"]
Images = Float[Array, "n height width channels"]

SIGMAS = np.logspace(-1, 0, 10, dtype=np.float32)
"""The candidates of the protocol."""


class LogLikelihood(NamedTuple):
    """Mean over the test set, its standard error, both in nats, and the sigma that was chosen; each `[]`."""

    mean: Float[Array, ""]
    error: Float[Array, ""]
    sigma: Float[Array, ""]


def protocol(samples: Points, validation: Float[Array, "v d"], test: Float[Array, "t d"]) -> LogLikelihood:
    """The whole protocol on flat images, pixels in [0, 1].

    Args:
      samples: generated images `[N, D]`.
      validation: real images `[V, D]` that choose sigma.
      test: real images `[T, D]` to score.

    Raises:
      ValueError: they are not float and equally wide, or (where known) have pixels outside [0, 1].
    """
    samples, validation, test = as_float(samples, validation, test)
    for x in (samples, validation, test):
        if is_concrete(x) and (jnp.min(x) < 0 or jnp.max(x) > 1):
            raise ValueError(f"the protocol's pixels are in [0, 1], got {jnp.min(x):.3g} to {jnp.max(x):.3g}: rescale")
    sigma = choose_sigma(samples, validation)
    values = log_likelihoods(samples, test, sigma)
    return LogLikelihood(values.mean(), values.std() / math.sqrt(test.shape[0]), sigma)


def choose_sigma(samples: Points, validation: Float[Array, "v d"]) -> Float[Array, ""]:
    """The one of `SIGMAS` with the highest mean log-likelihood of the validation set `[V, D]`, pixels in [0, 1].

    NaN where a likelihood is.
    """
    samples, validation = as_float(samples, validation)
    sigmas = jnp.asarray(SIGMAS)
    means = lax.map(lambda sigma: log_likelihoods(samples, validation, sigma).mean(), sigmas)
    return jnp.where(jnp.isnan(means).any(), jnp.nan, sigmas[jnp.argmax(means)])  # The largest of NaN is the first.


def log_likelihoods(
    samples: Points, points: Float[Array, "m d"], sigma: Float[Array, ""] | float
) -> Float[Array, " m"]:
    """log (1/N) sum_i N(x; samples[i], sigma^2 I) for every point x, nats `[M]`.

    Args:
      samples: centres of the Gaussians `[N, D]`.
      points: what to score, `[M, D]`.
      sigma: deviation of each Gaussian, > 0.

    Raises:
      ValueError: samples and points are not float `[N, D]` and `[M, D]`.
    """
    samples, points = as_float(samples, points)
    n, d = samples.shape
    normaliser = math.log(n) + d * (jnp.log(sigma) + 0.5 * math.log(2 * math.pi))
    return map_rows(
        lambda x: jax.nn.logsumexp(-squared_distances(x, samples) / (2 * sigma**2)) - normaliser,
        points,
    )


def blur(images: Images, sigma: Float[Array, ""] | float) -> Images:
    """Images convolved with a round Gaussian of deviation sigma > 0 pixels, cut off and renormalised at the edges.

    Raises:
      ValueError: the images are not float `[N, H, W, C]`.
    """
    (images,) = as_float(images, rank=4)

    def weights(size: int) -> Float[Array, "size size"]:
        offsets = jnp.arange(size)[:, None] - jnp.arange(size)[None]
        return jax.nn.softmax(-(offsets.astype(jnp.float32) ** 2) / (2 * sigma**2), axis=1)

    rows, columns = weights(images.shape[1]), weights(images.shape[2])
    return jnp.einsum("ih,nhwc,jw->nijc", rows, images, columns, precision=lax.Precision.HIGHEST)


def kmeans(rng: PRNGKeyArray, x: Points, k: int, iterations: int = 10) -> Float[Array, "k d"]:
    """k-means centres `[k, D]`, by Lloyd's iterations from random points of x.

    An empty cluster keeps its centre.

    Args:
      rng: chooses the first centres.
      x: points `[N, D]`.
      k: number of centres, at most N; static.
      iterations: of Lloyd's algorithm; static.

    Raises:
      ValueError: x is not float `[N, D]`, or has fewer than k points.
    """
    (x,) = as_float(x)
    if not 1 <= k <= x.shape[0]:
        raise ValueError(f"{x.shape[0]} points have between 1 and {x.shape[0]} centres, got k={k}")
    start = x[jax.random.choice(rng, x.shape[0], (k,), replace=False)]

    def iterate(centres: Array, _: None) -> tuple[Array, None]:
        nearest = map_rows(lambda point: jnp.argmin(squared_distances(point, centres)), x)
        counts = jax.ops.segment_sum(jnp.ones(x.shape[0], x.dtype), nearest, k)[:, None]
        sums = jax.ops.segment_sum(x, nearest, k)
        return jnp.where(counts > 0, sums / jnp.maximum(counts, 1), centres), None

    return lax.scan(iterate, start, length=iterations)[0]

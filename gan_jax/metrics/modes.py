"""Modes found, for data whose modes are known: mixtures of Gaussians, and classes (Stacked-MNIST).

The protocols are PacGAN's (Lin et al. 2018, arXiv:1712.04086), which took them from VEEGAN (Srivastava et al. 2017,
arXiv:1705.07761) and from Unrolled GANs (Metz et al. 2017, arXiv:1611.02163).
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_jax.checks import check_images
from gan_jax.data.toys import Mixture
from gan_jax.metrics.rows import as_float

_REACH = 3.0
HIGH_QUALITY_CEILING = 1 - math.exp(-(_REACH**2) / 2)
"""The share of a round Gaussian in the plane within three sigma, .98889: more means too narrow modes."""

# E[r^2 / (2 sigma^2)] of such a Gaussian cut off at three sigma.
_CUT_VARIANCE = 1 - (_REACH**2 / 2) * math.exp(-(_REACH**2) / 2) / HIGH_QUALITY_CEILING


class Coverage(NamedTuple):
    """How a histogram over K modes covers them; each `[]`.

    Attributes:
      modes: number of modes with a sample.
      kl: KL(p || uniform) in nats, p the histogram: log K minus its entropy; PacGAN's "reverse KL". NaN if it is empty.
    """

    modes: Int[Array, ""]
    kl: Float[Array, ""]


class Quality(NamedTuple):
    """Points against a mixture of Gaussians; each `[]`.

    Attributes:
      modes: modes with at least one high-quality sample.
      high_quality: share of high-quality samples, in [0, 1]; `HIGH_QUALITY_CEILING` for the mixture itself.
      kl: KL(p || uniform) in nats, p the histogram of high-quality samples over their nearest modes.
      sigma_ratio: standard deviation of high-quality samples about their mode's mean, over that of the mixture: 1 is
        right, 0 is one point per mode. NaN without two samples in a mode.
    """

    modes: Int[Array, ""]
    high_quality: Float[Array, ""]
    kl: Float[Array, ""]
    sigma_ratio: Float[Array, ""]


def quality(x: Float[Array, "n 2"], mixture: Mixture) -> Quality:
    """PacGAN's measures of points `[N, 2]` (2,500 in the paper's table), and the width of their modes.

    High quality is within three sigma of the nearest centre. As in PacGAN's published code, the histogram behind the
    reverse KL holds high-quality samples only and is compared with the uniform distribution. The sigma ratio is ours:
    the square root of the pooled variance of high-quality samples about their own mode's mean, divided by what the
    mixture itself gives when it is cut off at three sigma (.974 sigma), so that the mixture has ratio 1.

    Args:
      x: points `[N, 2]`, N >= 1.
      mixture: the data, one of `gan_jax.data.toys.MIXTURES`.

    Raises:
      ValueError: the points are not float `[N, 2]`.
    """
    x, _ = as_float(x, mixture.centres)
    centres, count = jnp.asarray(mixture.centres), len(mixture.centres)
    offsets = x[:, None] - centres[None]
    squared = jnp.sum(offsets**2, axis=-1)
    nearest = jnp.argmin(squared, axis=1)
    near = jnp.min(squared, axis=1) < (_REACH * mixture.sigma) ** 2
    # A point that is NaN is near to nothing, and not merely of low quality: what depends on it is NaN.
    weights = jnp.where(jnp.isnan(x).any(axis=1), jnp.nan, near.astype(jnp.float32))
    counts = jax.ops.segment_sum(weights, nearest, count)
    offset = jnp.take_along_axis(offsets, nearest[:, None, None], axis=1)[:, 0]
    means = jax.ops.segment_sum(offset * weights[:, None], nearest, count) / jnp.maximum(counts, 1)[:, None]
    deviations = jnp.sum((offset - means[nearest]) ** 2, axis=-1) * weights
    modes, kl = coverage(counts)
    variance = deviations.sum() / (2 * (counts.sum() - modes))
    return Quality(modes, weights.mean(), kl, jnp.sqrt(variance / _CUT_VARIANCE) / mixture.sigma)


def coverage(counts: Float[Array, " k"] | Int[Array, " k"]) -> Coverage:
    """How samples cover K modes.

    Args:
      counts: samples in each mode, `[K]`; for class labels y, `jnp.bincount(y, length=K)`.

    Raises:
      ValueError: counts are not `[K]`.
    """
    if counts.ndim != 1:
        raise ValueError(f"counts must be [K], samples in each mode, got {list(counts.shape)}")
    p = counts / counts.sum()
    return Coverage(jnp.sum(counts > 0), jnp.log(counts.shape[0]) - jnp.sum(jax.scipy.special.entr(p)))


def kl_floor(count: int, n: int) -> float:
    """E KL(p || uniform) in nats of n samples drawn uniformly from `count` modes: what perfect samples get on average.

    Exact, from the binomial distribution of one mode's count; nearly (count - 1) / (2 n) where n is large. For 26,000
    samples of Stacked-MNIST's 1000 classes it is .0195 and the approximation .0192.
    """
    import scipy.stats  # Not earlier: it takes half a second, and every command imports this module.

    k = np.arange(1, n + 1)
    return float(math.log(count) + count * np.sum(scipy.stats.binom.pmf(k, n, 1 / count) * (k / n) * np.log(k / n)))


def stacked_labels(logits: Callable[[Array], Float[Array, "batch 10"]], images: Array) -> Int[Array, " batch"]:
    """Class 100 a + 10 b + c of Stacked-MNIST images uint8 `[B, 28, 28, 3]`, one digit per channel.

    Args:
      logits: a digit classifier, `images uint8 [B, 28, 28, 1] -> [B, 10]`.
      images: three digits as red, green and blue.

    Raises:
      ValueError: they are not uint8 `[B, H, W, 3]`.
    """
    check_images(images)
    if images.shape[-1] != 3:
        raise ValueError(f"a stacked image has three channels, a digit each, got {list(images.shape)}")
    a, b, c = (jnp.argmax(logits(images[..., i : i + 1]), axis=-1) for i in range(3))
    return 100 * a + 10 * b + c

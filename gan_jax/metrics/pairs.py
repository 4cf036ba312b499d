"""How far images are from the ones they were to be: mean absolute difference, PSNR, SSIM. Images in [0, 1]."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from gan_jax.typing import Images

PerImage = Float[Array, " batch"]

_ROUNDING = 1 / 12 / 255**2
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def l1(a: Images, b: Images) -> PerImage:
    """The mean over pixels and channels of |a - b|, `[B]` in [0, 1]."""
    return jnp.mean(jnp.abs(a - b), axis=(1, 2, 3))


def psnr(a: Images, b: Images) -> PerImage:
    """Peak signal-to-noise ratio, -10 log10 E (a - b)^2 over pixels and channels, `[B]`, decibels.

    An error below that of rounding to 8 bits (1/12 of a level squared) counts as that: 58.9 dB are the most.
    """
    return -10 * jnp.log10(jnp.maximum(jnp.mean(jnp.square(a - b), axis=(1, 2, 3)), _ROUNDING))


def ssim(a: Images, b: Images) -> PerImage:
    """Structural similarity (Wang et al. 2004, IEEE TIP 13(4), eq. 13), `[B]` in [-1, 1]; 1 of equal images.

    The mean, over channels and over all places of a window that lie inside the image, of

        (2 mean_a mean_b + C1) (2 cov_ab + C2) / ((mean_a^2 + mean_b^2 + C1) (var_a + var_b + C2)),

    moments weighted by a Gaussian of 1.5 pixels in a window of 11 x 11, C1 = .01^2, C2 = .03^2. In images smaller than
    that the window is as large as the image.
    """
    rows, columns = (_windows(size) for size in a.shape[1:3])

    def mean(x: Array) -> Array:
        return jnp.einsum("ih,bhwc,jw->bijc", rows, x, columns, precision=lax.Precision.HIGHEST)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    above = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    below = (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    return jnp.mean(above / below, axis=(1, 2, 3))


def _windows(size: int) -> np.ndarray:
    """Gaussian weights of every place of a window along an axis, `[places, size]`."""
    taps = min(_WINDOW, size)
    weights = np.exp(-((np.arange(taps) - (taps - 1) / 2) ** 2) / (2 * _SIGMA**2))
    places = size - taps + 1
    rows = np.zeros((places, size))
    for place in range(places):
        rows[place, place : place + taps] = weights / weights.sum()
    return rows.astype(np.float32)

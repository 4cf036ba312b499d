"""Initialisers of weights."""

from flax import linen as nn

from gan_jax.typing import Initializer


def he_normal() -> Initializer:
    """Normal with std sqrt(2 / fan_in) (He et al. 2015, arXiv:1502.01852, eq. 10).

    Not truncated, as in the paper: `jax.nn.initializers.he_normal` has the same std and is cut at two standard
    deviations.
    """
    return nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def normal_002() -> Initializer:
    """Normal(0, .02), as in Radford et al. 2015 (arXiv:1511.06434), but truncated at two standard deviations.

    So its standard deviation is .0176.
    """
    return nn.initializers.truncated_normal(0.02)

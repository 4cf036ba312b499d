"""Initialisers of weights, as values that can be pickled: those that Flax makes are closures, which can't."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

from gan_jax.typing import Initializer, Key, Shape


def lecun_normal(**axes: int) -> Initializer:
    """Truncated normal with std sqrt(1 / fan_in), `flax.linen.initializers.lecun_normal`, whose axes these are."""
    return functools.partial(_made, functools.partial(nn.initializers.lecun_normal, **axes))


def he_normal() -> Initializer:
    """Normal with std sqrt(2 / fan_in) (He et al. 2015, arXiv:1502.01852, eq. 10).

    Not truncated, as in the paper: `jax.nn.initializers.he_normal` has the same std and is cut at two standard
    deviations.
    """
    return functools.partial(_made, functools.partial(nn.initializers.variance_scaling, 2.0, "fan_in", "normal"))


def glorot_uniform(gain: float = 1.0) -> Initializer:
    """Uniform with std gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16, with a gain)."""
    make = functools.partial(nn.initializers.variance_scaling, gain**2, "fan_avg", "uniform")
    return functools.partial(_made, make)


def normal_002() -> Initializer:
    """Normal(0, .02), as in Radford et al. 2015 (arXiv:1511.06434), but truncated at two standard deviations.

    So its standard deviation is .0176.
    """
    return functools.partial(_made, functools.partial(nn.initializers.truncated_normal, 0.02))


def _made(make: Callable[[], Initializer], rng: Key, shape: Shape, dtype: Any = jnp.float32) -> Array:
    return make()(rng, shape, dtype)

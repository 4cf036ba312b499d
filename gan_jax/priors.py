"""Latent priors and distributions of conditions: functions `(rng, n) -> [n, ...]`, which can be pickled."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_jax.typing import Key, Labels, Latents

Prior = Callable[[Key, int], Latents]


def normal(size: int) -> Prior:
    """z ~ N(0, I), `[n, size]`."""
    return functools.partial(_normal, size)


def uniform(size: int) -> Prior:
    """z ~ U(-1, 1) in each coordinate, `[n, size]`."""
    return functools.partial(_uniform, size)


def labels(num_classes: int) -> Callable[[Key, int], Labels]:
    """y ~ U{0, ..., num_classes - 1}, int32 `[n]`: every class, the last one too."""
    return functools.partial(_labels, num_classes)


def _normal(size: int, rng: Key, n: int) -> Latents:
    return jax.random.normal(rng, (n, size), jnp.float32)


def _uniform(size: int, rng: Key, n: int) -> Latents:
    return jax.random.uniform(rng, (n, size), jnp.float32, minval=-1.0)


def _labels(num_classes: int, rng: Key, n: int) -> Labels:
    return jax.random.randint(rng, (n,), 0, num_classes, jnp.int32)

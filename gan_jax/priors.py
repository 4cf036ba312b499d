"""Latent priors and distributions of conditions: functions `(rng, n) -> [n, ...]`."""

from collections.abc import Callable

import jax

from gan_jax.typing import Key, Labels, Latents

Prior = Callable[[Key, int], Latents]


def normal(size: int) -> Prior:
    """z ~ N(0, I), `[n, size]`."""
    return lambda rng, n: jax.random.normal(rng, (n, size))


def uniform(size: int) -> Prior:
    """z ~ U(-1, 1) in each coordinate, `[n, size]`."""
    return lambda rng, n: jax.random.uniform(rng, (n, size), minval=-1.0)


def labels(num_classes: int) -> Callable[[Key, int], Labels]:
    """y ~ U{0, ..., num_classes - 1}, int32 `[n]`: every class, the last one too."""
    return lambda rng, n: jax.random.randint(rng, (n,), 0, num_classes)

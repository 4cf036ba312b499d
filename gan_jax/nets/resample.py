"""Images at twice and at half of their resolution."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.typing import Images


def double(x: Images) -> Float[Array, "batch rows columns channels"]:
    """`[B, H, W, C]` to `[B, 2 H, 2 W, C]`, every pixel four times."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def halve(x: Images) -> Float[Array, "batch rows columns channels"]:
    """`[B, 2 H, 2 W, C]` to `[B, H, W, C]`, the means of four pixels."""
    b, h, w, c = x.shape
    return jnp.mean(x.reshape(b, h // 2, 2, w // 2, 2, c), axis=(2, 4))

"""Tags that a GAN draws for pictures: drawn many times, counted, and written below the pictures."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from gan_jax import images
from gan_jax.errors import NotFiniteError
from gan_jax.gan import GAN, GANState
from gan_jax.metrics import tags as metric
from gan_jax.pieces import map_in_pieces
from gan_jax.training import to_uint8

DRAWS = 100
"""Draws for each picture (Mirza & Osindero 2014, section 4.2)."""

COLUMNS, SHOWN = 10, 40
"""Pictures in a row, and in a picture of them."""

Drawer = Callable[[GANState, Any, jax.Array], Float32[np.ndarray, "n tags"]]


def drawer(gan: GAN, *, check: bool = False) -> Drawer:
    """`(state, pictures y [N, H, W, C], rng) -> the tags that they are given [N, T]`, 0 or 1, compiled, in pieces.

    They are those of at least half of the draws.

    Args:
      gan: the GAN.
      check: whether what it returns raises `NotFiniteError`; a picture may show such tags.
    """

    @jax.jit
    def piece(state: GANState, y: jax.Array, rng: jax.Array) -> jax.Array:
        def draw(rng: jax.Array) -> jax.Array:
            return gan.generate(state, gan.prior(rng, len(y)), y)

        # Under vmap what depends on the picture alone is computed once.
        draws = jax.vmap(draw)(jax.random.split(rng, DRAWS))
        return jnp.where(jnp.isfinite(draws).all(axis=0), metric.most_frequent(draws), jnp.nan)

    def given(state: GANState, y: Any, rng: jax.Array) -> np.ndarray:
        count = 0

        def next_piece(y: Any) -> jax.Array:
            nonlocal count
            count += 1
            return piece(state, y, jax.random.fold_in(rng, count))

        found = map_in_pieces(next_piece, y)
        if check and not np.isfinite(found).all():
            raise NotFiniteError(
                "some tags are not finite (NaN or infinity): choose another checkpoint, or another run"
            )
        return found

    return given


def picture(
    names: Sequence[str], y: Any, tags: np.ndarray, *, columns: int = COLUMNS, invert: bool = False
) -> np.ndarray:
    """Pictures y `[N, H, W, C]` in [-1, 1] with their tags `[N, T]` below them, uint8 RGB."""
    texts = [[names[k] for k in np.flatnonzero(row).tolist()] for row in tags]
    pictures = np.asarray(to_uint8(jnp.asarray(y), (-1.0, 1.0)))
    return images.with_words(pictures, texts, columns, words=names, invert=invert)

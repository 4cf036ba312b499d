"""How well sets of tags that were found match the true ones."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

Tags = Float[Array, "n tags"]


class Agreement(NamedTuple):
    """How well tags match, each in [0, 1].

    Attributes:
      precision: the share of tags found that are true; 0 where none is found.
      recall: the share of true tags that are found; 0 where there are none.
      f1: the harmonic mean of the two, over all examples together ("micro").
      exact: the share of examples of which every tag is right.
    """

    precision: Float[Array, ""]
    recall: Float[Array, ""]
    f1: Float[Array, ""]
    exact: Float[Array, ""]


def agreement(found: Tags, true: Tags) -> Agreement:
    """Precision, recall, F1 and exact match of tags; one that an example has is 1, any other 0, both `[N, T]`."""
    both, of_found, of_true = (jnp.sum(tags) for tags in (found * true, found, true))
    return Agreement(
        both / jnp.maximum(of_found, 1),
        both / jnp.maximum(of_true, 1),
        2 * both / jnp.maximum(of_found + of_true, 1),
        jnp.mean(jnp.all(found == true, axis=-1)),
    )


def most_frequent(draws: Float[Array, "draws n tags"]) -> Tags:
    """Of tags drawn several times for each example, 0 or 1, those that at least half of the draws have, `[N, T]`."""
    return (jnp.mean(draws, axis=0) >= 0.5).astype(jnp.float32)

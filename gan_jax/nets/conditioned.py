"""A condition beside the input of a net."""

import jax.numpy as jnp
from jaxtyping import Array, Num

from gan_jax.nets.layers import Encode
from gan_jax.typing import Condition


def concat_condition(h: Num[Array, "batch inputs"], y: Condition, encode: Encode | None) -> Num[Array, "batch outputs"]:
    """[h, encode(y)], or h alone without an encoder."""
    return h if encode is None else jnp.concatenate([h, encode(y)], axis=-1)

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from gan_jax.reach import reach

EVERYWHERE = (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (nn.sigmoid, (0, 1)),
        (jnp.tanh, (-1, 1)),
        (lambda x: jnp.tanh(x).reshape(2, 1).astype(jnp.bfloat16), (-1, 1)),
        (lambda x: jnp.broadcast_to(jax.jit(nn.sigmoid)(3 * x)[:, None], (2, 4)), (0, 1)),
        (jax.checkpoint(lambda x: jnp.tanh(x)), (-1, 1)),
        (lambda x: 2 * nn.sigmoid(x) - 1, EVERYWHERE),
        (lambda x: x, EVERYWHERE),
        (nn.relu, EVERYWHERE),
        (lambda x: jax.lax.scan(lambda c, _: (nn.sigmoid(c), None), x, length=2)[0], EVERYWHERE),
    ],
)
def test_reach_is_that_of_the_last_operation(f: Callable[..., jax.Array], expected: tuple[float, float]) -> None:
    assert reach(f, jnp.zeros(2)) == expected

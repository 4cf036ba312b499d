from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from gan_jax.metrics import kernel, parzen, prdc
from tests.helpers import jit

N = 50_000


@pytest.mark.parametrize(
    ("metric", "shapes"),
    [
        (prdc.prdc, [(N, 64), (N, 64)]),
        (kernel.distance, [(N, 64), (N, 64)]),
        (parzen.protocol, [(N, 784), (1000, 784), (N, 784)]),
        (lambda x: parzen.kmeans(jax.random.key(0), x, 10_000), [(N, 784)]),
    ],
)
def test_fifty_thousand_samples_take_hundreds_of_rows_of_distances_at_once(
    metric: Callable[..., Any], shapes: list[tuple[int, ...]]
) -> None:
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    memory = jit(metric).lower(*arguments).compile().memory_analysis()
    # All distances would take 10 GB, or 2 GB to the centres.
    assert memory.temp_size_in_bytes < 500e6

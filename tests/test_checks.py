from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import checks


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1, 3]), "classes 0 to 2, got 0 to 3"),
        (jnp.array([-1, 1, 2]), "classes 0 to 2, got -1 to 2"),
        (np.array([[0], [1], [2]]), r"integers \[3\].* got int64 \[3, 1\]"),
        (np.array([0, 1]), r"got int64 \[2\]"),
        (np.array([0.0, 1.0, 2.0]), "got float64"),
        (np.array([True, False, True]), "got bool"),
    ],
)
def test_labels_that_are_none(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checks.check_labels(labels, (3,), 3)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_labels_of_any_integer_type_are_taken(dtype: Any) -> None:
    checks.check_labels(np.array([0, 2, 1], dtype), (3,), 3)
    checks.check_labels(np.zeros((2, 0), dtype), (2, 0), 3)
    checks.check_labels(np.array([7, 9], dtype), (2,))


def test_traced_labels_are_looked_at_by_shape_and_dtype_alone() -> None:
    def checked(labels: jax.Array) -> jax.Array:
        checks.check_labels(labels, (3,), 3)
        return labels

    jax.jit(checked)(jnp.array([7, 8, 9]))
    with pytest.raises(ValueError, match="integers"):
        jax.jit(checked)(jnp.zeros(3))


def test_constants_of_a_compiled_program_are_looked_at() -> None:
    labels = jnp.array([0, 1, 3])

    def checked(x: jax.Array) -> jax.Array:
        checks.check_labels(labels, (3,), 3)
        return x

    with pytest.raises(ValueError, match="got 0 to 3"):
        jax.jit(checked)(jnp.zeros(3))


@pytest.mark.parametrize("shape", [(4, 8, 8, 1), (1, 3, 3, 3), (2, 1, 9, 1), (2, 3, 9, 4)])
def test_images(shape: tuple[int, ...]) -> None:
    checks.check_images(np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 8, 8, 1), np.float32), "got float32"),
        (np.zeros((4, 8, 8, 1), np.int64), "got int64"),
        (np.zeros((4, 8, 8), np.uint8), r"got uint8 \[4, 8, 8\]"),
        (np.zeros((0, 8, 8, 1), np.uint8), r"got uint8 \[0, 8, 8, 1\]"),
        (np.zeros((4, 3, 32, 32), np.uint8), "move the axis of the channels last"),
        (np.zeros((4, 1, 28, 28), np.uint8), "move the axis of the channels last"),
    ],
)
def test_what_is_no_images(images: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checks.check_images(images)

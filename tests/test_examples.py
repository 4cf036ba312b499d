from typing import Any

import numpy as np
import pytest

from gan_jax.examples import Examples, count


def zeros(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    return np.zeros(shape, dtype)


def test_count() -> None:
    assert count(Examples(zeros(7, 8, 8, 1))) == 7
    assert count(Examples(zeros(7, 2, dtype=np.float32), zeros(7))) == 7
    assert count(Examples(zeros(5, 3, 7, 8, 8, 1), zeros(5, 3, 7)), axes=3) == 5
    assert count(Examples(zeros(7, 8, 8, 1), {"label": zeros(7), "image": zeros(7, 4, 4, 1)})) == 7


@pytest.mark.parametrize(
    ("examples", "axes", "message"),
    [
        (Examples(zeros(7, 8, 8, 1), zeros(6)), 1, "equally many x and labels"),
        (Examples(zeros(7, 8, 8, 1), {"label": zeros(7), "image": zeros(6, 4, 4, 1)}), 1, "equally many x and labels"),
        (Examples(zeros(5, 3, 7, 2, dtype=np.float32), zeros(5, 3, 6)), 3, "equally many"),
        (Examples(zeros(0, 8, 8, 1)), 1, "at least one"),
        (Examples(zeros(7, 8, 8, 1, dtype=np.float32)), 1, "images must be uint8 .* got float32"),
        (Examples(zeros(7, 8, 8, 1, dtype=np.int32)), 1, "images must be uint8 .* got int32"),
        (Examples(zeros(5, 3, 7, 8, 8, 1, dtype=np.float32)), 3, "images must be uint8"),
    ],
)
def test_what_training_can_not_take(examples: Examples, axes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count(examples, axes=axes)

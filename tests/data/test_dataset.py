import dataclasses

import numpy as np
import pytest

from gan_jax.data import Dataset
from gan_jax.errors import InputError

IMAGES = np.zeros((3, 4, 5, 1), np.uint8)
POINTS = np.zeros((3, 2), np.float32)


def labels(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_images_know_their_shape_and_classes() -> None:
    dataset = Dataset("d", IMAGES, labels(0, 2, 0), 4)
    assert len(dataset) == 3
    assert dataset.shape == (4, 5, 1)
    assert dataset.is_image
    assert dataset.num_classes == 4


def test_points_are_used_as_they_are_and_need_no_labels() -> None:
    dataset = Dataset("d", POINTS)
    assert dataset.shape == (2,)
    assert not dataset.is_image
    assert dataset.labels is None
    assert dataset.num_classes == 0


def test_is_frozen_and_compares_by_identity() -> None:
    dataset = Dataset("d", POINTS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.name = "other"  # type: ignore[misc]
    assert dataset == dataset
    assert dataset != Dataset("d", POINTS)


@pytest.mark.parametrize(
    ("x", "y", "num_classes", "words"),
    [
        (IMAGES.astype(np.float32), None, 0, "float32 of shape"),
        (IMAGES[..., 0], None, 0, r"\[N, H, W, C\]"),
        (POINTS.astype(np.float64), None, 0, "float64 of shape"),
        (IMAGES[:0], None, 0, "empty"),
        (IMAGES[:, :0], None, 0, "empty"),
        (POINTS * np.float32(np.nan), None, 0, "NaN"),
        (POINTS, None, 2, "no labels"),
        (POINTS, np.zeros(3, np.int64), 1, "labels must be int32"),
        (POINTS, np.zeros((3, 1), np.int32), 1, "labels must be int32"),
        (POINTS, labels(0, 0), 1, "3 examples but 2 labels"),
        (POINTS, labels(0, 1, 2), 2, "labels run from 0 to 2, expected 0 to 1"),
        (POINTS, labels(0, -1, 0), 2, "labels run from -1"),
    ],
)
def test_refuses(x: np.ndarray, y: np.ndarray | None, num_classes: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Dataset("d", x, y, num_classes)

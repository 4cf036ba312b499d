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
    dataset = Dataset("d", IMAGES, labels(0, 2, 0), ("a", "b", "c", "d"))
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
    ("x", "y", "classes", "words"),
    [
        (IMAGES.astype(np.float32), None, "", "float32 of shape"),
        (IMAGES[..., 0], None, "", r"\[N, H, W, C\]"),
        (POINTS.astype(np.float64), None, "", "float64 of shape"),
        (IMAGES[:0], None, "", "empty"),
        (IMAGES[:, :0], None, "", "empty"),
        (POINTS * np.float32(np.nan), None, "", "NaN"),
        (POINTS, None, "ab", "no labels"),
        (POINTS, np.zeros(3, np.int64), "a", "labels must be int32"),
        (POINTS, np.zeros((3, 1), np.int32), "a", "labels must be int32"),
        (POINTS, labels(0, 0), "a", "3 examples but 2 labels"),
        (IMAGES[..., [0, 0]], None, "", "one channel .* or three .*keep one channel or three"),
        (np.zeros((3, 1, 28, 28), np.uint8), None, "", "move axis 1 to the end"),
        (np.zeros((3, 3, 32, 32), np.uint8), None, "", "move axis 1 to the end"),
        (np.zeros((3, 4, 32, 32), np.uint8), None, "", "move axis 1 to the end"),
        (np.zeros((3, 5, 5, 5), np.uint8), None, "", "keep one channel or three"),
        (IMAGES.astype(bool), None, "", r"scale 0\.\.1 with"),
        (IMAGES / 255, None, "", r"scale 0\.\.1 with"),
        (IMAGES - np.float32(1), None, "", r"scale -1\.\.1 with"),
        (IMAGES.astype(int) + 255, None, "", r"convert 0\.\.255 with"),
        (IMAGES.astype(int) + 2**16, None, "", "bring the values, 65536 to 65536, to 0..255"),
        (IMAGES * np.nan, None, "", "float64 of shape"),
        (np.zeros((3, 784), np.uint8), None, "", r"reshape to \[N, H, W, C\]"),
        (POINTS, labels(0, 1, 0), "aa", "two classes have one name"),
        (POINTS, labels(0, 1, 2), "ab", "labels run from 0 to 2, expected 0 to 1"),
        (POINTS, labels(0, -1, 0), "ab", "labels run from -1"),
    ],
)
def test_refuses(x: np.ndarray, y: np.ndarray | None, classes: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Dataset("d", x, y, tuple(classes))


FINGERPRINTED = Dataset("d", IMAGES, labels(0, 1, 0), ("a", "b"))


@pytest.mark.parametrize(
    "other",
    [
        Dataset("d", IMAGES + np.uint8(1), labels(0, 1, 0), ("a", "b")),
        Dataset("d", IMAGES[:2], labels(0, 1), ("a", "b")),
        Dataset("d", IMAGES.reshape(3, 5, 4, 1), labels(0, 1, 0), ("a", "b")),
        Dataset("d", IMAGES, labels(1, 0, 0), ("a", "b")),
        Dataset("d", IMAGES, labels(0, 1, 0), ("a", "c")),
        Dataset("d", IMAGES),
    ],
)
def test_the_fingerprint_is_of_all_that_is_learned_from(other: Dataset) -> None:
    assert other.fingerprint != FINGERPRINTED.fingerprint


def test_the_fingerprint_is_not_of_where_the_data_came_from() -> None:
    x = np.broadcast_to(IMAGES[:1], IMAGES.shape)  # Not contiguous.
    again = Dataset("elsewhere", x, labels(0, 1, 0), ("a", "b"), ("a note",))
    assert again.fingerprint == FINGERPRINTED.fingerprint
    assert len(again.fingerprint) == 16


def test_the_order_of_examples_is_a_part_of_the_fingerprint() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert Dataset("d", x).fingerprint != Dataset("d", x[::-1]).fingerprint

from pathlib import Path

import numpy as np
import pytest

from gan_jax import InputError, data
from gan_jax.data.sources import moved, path_of


def test_a_stacked_image_has_the_tags_of_its_three_digits() -> None:
    tagged, stacked = data.load("tags:stacked", "test"), data.load("stacked", "test")
    assert tagged.shape == (30,) and tagged.beside == (28, 28, 3)
    assert tagged.tags[:2] == ("red 0", "red 1") and tagged.tags[-1] == "blue 9"
    np.testing.assert_array_equal(tagged.conditions, stacked.x)
    assert stacked.labels is not None
    for row, label in zip(tagged.x[:50], stacked.labels[:50], strict=True):
        digits = f"{label:03}"
        expected = {f"{channel} {digit}" for channel, digit in zip(("red", "green", "blue"), digits, strict=True)}
        assert {tagged.tags[k] for k in np.flatnonzero(row)} == expected
    np.testing.assert_array_equal(tagged.x.sum(axis=1), 3)


def test_a_shape_has_the_values_of_its_factors_as_tags() -> None:
    tagged = data.load("tags:shapes:32")
    assert len(tagged.tags) == 8 + 8 + 3 + 9
    np.testing.assert_array_equal(tagged.x.sum(axis=1), 4)
    for factor in ("shape", "color", "size", "place"):
        labelled = data.load(f"shapes:32/{factor}")
        assert labelled.labels is not None
        columns = [tagged.tags.index(name) for name in labelled.classes]
        np.testing.assert_array_equal(tagged.x[:, columns].argmax(axis=1), labelled.labels)


def test_labelled_images_have_their_class_as_the_only_tag() -> None:
    tagged, mnist = data.load("tags:mnist", "test"), data.load("mnist", "test")
    assert tagged.tags == mnist.classes
    np.testing.assert_array_equal(tagged.x.argmax(axis=1), mnist.labels)
    np.testing.assert_array_equal(tagged.x.sum(axis=1), 1)
    assert tagged.fingerprint != mnist.fingerprint
    some = tagged.take(np.array([3, 5]))
    np.testing.assert_array_equal(some.conditions, mnist.x[[3, 5]])
    assert some.tags == tagged.tags


PICTURES = np.arange(6 * 4 * 4, dtype=np.uint8).reshape(6, 4, 4)
TAGS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])


def archive(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path / "own.npz", **arrays)
    return f"tags:npz:{path / 'own.npz'}"


def test_tags_of_ones_own_come_with_their_names(tmp_path: Path) -> None:
    names = np.array(["round", "large"])
    test = {"test_images": PICTURES[4:], "test_tags": TAGS[:2]}
    spec = archive(tmp_path, images=PICTURES[:4], tags=TAGS, tag_names=names, **test)
    train, held_out = data.load(spec), data.load(spec, "test")
    np.testing.assert_array_equal(train.x, TAGS)
    np.testing.assert_array_equal(held_out.x, TAGS[:2])
    np.testing.assert_array_equal(held_out.conditions, PICTURES[4:, ..., None])
    assert train.x.dtype == np.float32 and train.tags == ("round", "large") and not train.notes
    assert path_of(spec) == tmp_path / "own.npz"
    assert moved(spec, "/elsewhere.npz") == "tags:npz:/elsewhere.npz"


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"tags": TAGS}, "its tags have no names; add tag_names"),
        ({"tags": TAGS, "tag_names": np.array(["a"])}, r"of shape \[4, 2\] and 1 names; give each name a column"),
        ({"tags": TAGS, "tag_names": np.array(["a", "a"])}, "two tags have one name"),
        ({"tags": TAGS, "tag_names": np.array([1, 2])}, "tag_names are int64"),
        ({"tags": 2 * TAGS, "tag_names": np.array(["a", "b"])}, "other than 0 and 1"),
        ({"tags": TAGS[:3], "tag_names": np.array(["a", "b"])}, "tags of 3 pictures beside"),
        ({"tags": TAGS, "tag_names": np.array(["a", "b"]), "test_images": PICTURES[4:]}, "without test_tags"),
        ({}, "neither tags nor labels"),
    ],
)
def test_tags_that_can_not_be_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    spec = archive(tmp_path, images=PICTURES[:4], **arrays)
    with pytest.raises(InputError, match=words):
        data.load(spec, "test" if "test_images" in arrays else "train")


@pytest.mark.parametrize(("spec", "words"), [("tags:ring", "ring is points"), ("tags:tags:mnist", "tags of tags")])
def test_data_without_pictures_has_no_tags(spec: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        data.load(spec)

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.data import Dataset, npz
from gan_jax.errors import InputError

IMAGES = np.arange(4 * 3 * 2 * 3, dtype=np.uint8).reshape(4, 3, 2, 3)
LABELS = np.array([0, 2, 1, 2])


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data.npz"


@pytest.mark.parametrize("key", ["images", "x"])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_images_with_labels(file: Path, key: str, dtype: type) -> None:
    dataset = npz.load_file(save(file, **{key: IMAGES}, labels=LABELS.astype(dtype)))
    np.testing.assert_array_equal(dataset.x, IMAGES)
    np.testing.assert_array_equal(dataset.labels, LABELS)
    assert dataset.num_classes == 3
    assert dataset.name == f"npz:{file}"


def test_compressed_archive(file: Path) -> None:
    np.savez_compressed(file, images=IMAGES)
    np.testing.assert_array_equal(npz.load_file(file).x, IMAGES)


def test_labels_may_have_gaps_or_be_words(file: Path) -> None:
    dataset = npz.load_file(save(file, images=IMAGES, labels=[8, 3, 3, 8]))
    assert (dataset.labels.tolist(), dataset.classes) == ([1, 0, 0, 1], ("3", "8"))
    assert dataset.notes == ("classes 0..2, 4..7 of 0..8 have no examples",)
    save(file, images=IMAGES, labels=["dog", "cat", "dog", "ape"], test_images=IMAGES, test_labels=["cat"] * 4)
    dataset = npz.load_file(file)
    assert (dataset.labels.tolist(), dataset.classes) == ([2, 1, 2, 0], ("ape", "cat", "dog"))
    assert npz.load_file(file, "test").labels.tolist() == [1, 1, 1, 1]


def test_alpha_is_dropped_and_said_to_be(file: Path) -> None:
    rgba = np.concatenate([IMAGES, IMAGES[..., :1]], axis=-1)
    dataset = npz.load_file(save(file, images=rgba, test_images=rgba))
    np.testing.assert_array_equal(dataset.x, IMAGES)
    np.testing.assert_array_equal(npz.load_file(file, "test").x, IMAGES)
    assert dataset.notes == ("the fourth channel, alpha, is dropped",)


@pytest.mark.parametrize("key", ["y", "label", "x_test"])
def test_arrays_that_are_not_read_are_named(file: Path, key: str) -> None:
    (note,) = npz.load_file(save(file, images=IMAGES, **{key: LABELS})).notes
    known = "images, x, labels, test_images, test_x, test_labels, conditions, test_conditions"
    assert note == f"not read: {key} (read are {known})"


def test_images_without_channels_get_one(file: Path) -> None:
    assert npz.load_file(save(file, images=IMAGES[..., 0])).x.shape == (4, 3, 2, 1)


def test_points_without_labels(file: Path) -> None:
    points = np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2)
    dataset = npz.load_file(save(file, images=points))
    np.testing.assert_array_equal(dataset.x, points)
    assert dataset.labels is None


def test_own_test_split_has_the_classes_of_the_training_labels(file: Path) -> None:
    save(file, images=IMAGES, labels=LABELS, test_images=IMAGES[:2] + 1, test_labels=[0, 1])
    test = npz.load_file(file, "test")
    np.testing.assert_array_equal(test.x, IMAGES[:2] + 1)
    np.testing.assert_array_equal(test.labels, [0, 1])
    assert test.num_classes == 3


def test_without_a_test_split_it_is_the_training_data(file: Path) -> None:
    test = npz.load_file(save(file, images=IMAGES, labels=LABELS), "test")
    np.testing.assert_array_equal(test.x, IMAGES)
    np.testing.assert_array_equal(test.labels, LABELS)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "the file holds nothing"),
        ({"pictures": IMAGES}, "images or x, the file holds pictures"),
        ({"images": IMAGES, "x": IMAGES}, "expected one array"),
        ({"images": IMAGES.astype(np.float32)}, "float32 of shape"),
        ({"images": IMAGES.astype(np.float64)[:, 0, 0]}, "float64 of shape"),
        ({"images": IMAGES[0, 0]}, "uint8 of shape"),
        ({"images": IMAGES[:0]}, "empty"),
        ({"images": np.array([IMAGES, None], object)}, "more than plain arrays"),
        ({"images": IMAGES, "labels": np.array([0, None, 1, 2])}, "more than plain arrays"),
        ({"images": IMAGES, "labels": LABELS / 2}, "labels must be integers"),
        ({"images": IMAGES, "labels": np.eye(4, dtype=int)}, r"labels must be integers .*labels.argmax\(1\)"),
        ({"images": IMAGES, "labels": np.eye(4)}, r"labels must be integers .*labels.argmax\(1\)"),
        ({"images": IMAGES, "labels": LABELS[:, None]}, r"labels must be integers .*labels\[:, 0\]"),
        ({"images": IMAGES, "labels": LABELS.astype(float)}, "labels must be integers"),
        ({"images": IMAGES, "labels": LABELS > 1}, "labels must be integers"),
        ({"images": IMAGES, "labels": np.array([b"a", b"b", b"a", b"a"])}, r"labels.astype\(str\)"),
        ({"images": IMAGES, "labels": np.array(["a", "", "a", "a"])}, "some labels are empty strings"),
        ({"images": np.moveaxis(IMAGES, -1, 1).repeat(3, -1)}, "move axis 1 to the end"),
        ({"images": IMAGES[:, None, ..., 0].repeat(5, -1)}, "move axis 1 to the end"),
        ({"images": IMAGES[..., :2]}, "keep one channel or three"),
        ({"images": np.zeros((32, 32, 3), np.uint8)}, r"looks like one image .*images\[None\]"),
        ({"x": np.zeros((32, 32, 4), np.uint8)}, r"looks like one image .*x\[None\]"),
        ({"images": IMAGES, "labels": LABELS[:0]}, "labels must be integers"),
        ({"images": IMAGES, "labels": LABELS - 1}, "labels run from -1 to 1"),
        ({"images": IMAGES, "labels": LABELS + 2**40}, "labels run from 1099511627776"),
        ({"images": IMAGES, "labels": LABELS[:3]}, "4 examples but 3 labels"),
    ],
)
def test_refuses_arrays(file: Path, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        npz.load_file(save(file, **arrays))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"test_images": IMAGES[:, :2]}, "test examples are 2 x 2 x 3 where training examples are 3 x 2 x 3"),
        ({"test_x": IMAGES[..., 0]}, "test examples are 3 x 2 x 1 where training examples are 3 x 2 x 3"),
        ({"test_images": np.zeros((4, 3), np.float32)}, "test examples are 3 where training examples are 3 x 2 x 3"),
        ({"test_images": IMAGES.astype(np.float32)}, "float32 of shape"),
        ({"labels": LABELS, "test_images": IMAGES}, "expected both labels and test_labels"),
        ({"test_images": IMAGES, "test_labels": LABELS}, "expected both labels and test_labels"),
        ({"labels": LABELS, "test_labels": LABELS}, "one array called test_images or test_x"),
        (
            {"labels": LABELS, "test_images": IMAGES, "test_labels": LABELS + 1},
            "the test split has class 3, of which there is no training example, only of 0 to 2",
        ),
    ],
)
def test_refuses_test_splits(file: Path, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        npz.load_file(save(file, images=IMAGES, **arrays), "test")


def test_missing_file_and_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.npz", tmp_path):
        with pytest.raises(InputError, match="there is no such file"):
            npz.load_file(path)


def test_damaged_files(file: Path) -> None:
    good = save(file, images=IMAGES).read_bytes()
    buffer = io.BytesIO()
    np.save(buffer, IMAGES)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    for data, words in (
        (b"", "can't be read as a .npz"),
        (b"no zip at all", "can't be read as a .npz"),
        (buffer.getvalue(), "can't be read as a .npz"),
        (good[: len(good) // 2], "can't be read as a .npz"),
        (bytes(flipped), "the archive is damaged .*CRC"),
    ):
        file.write_bytes(data)
        with pytest.raises(InputError, match=words):
            npz.load_file(file)


def test_zip_of_something_else(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", b"no array")
    with pytest.raises(InputError, match="images is not an array"):
        npz.load_file(file)


def test_a_header_that_promises_a_terabyte(file: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**40, 1, 1, 1)})
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(InputError, match="the archive is damaged"):
        npz.load_file(file)


@pytest.fixture(scope="module")
def fuzz_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "data.npz"


def archive_bytes() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, images=IMAGES, labels=LABELS)
    return buffer.getvalue()


ARCHIVE = archive_bytes()


@settings(max_examples=300, deadline=None)
@given(
    patches=st.lists(st.tuples(st.integers(0, len(ARCHIVE)), st.binary(min_size=1, max_size=4)), max_size=4),
    cut=st.integers(0, 2 * len(ARCHIVE)),
)
@pytest.mark.filterwarnings("ignore")  # NumPy warns about some of the headers it is shown
def test_any_bytes_give_a_dataset_or_an_input_error(
    fuzz_file: Path, patches: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(ARCHIVE)
    for position, patch in patches:
        data[position : position + len(patch)] = patch
    fuzz_file.write_bytes(data[:cut])
    with contextlib.suppress(InputError):
        assert isinstance(npz.load_file(fuzz_file), Dataset)


@settings(max_examples=200, deadline=None)
@given(patches=st.lists(st.tuples(st.integers(0, 130), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore")
def test_any_array_header_gives_a_dataset_or_an_input_error(fuzz_file: Path, patches: list[tuple[int, bytes]]) -> None:
    """Inside an archive whose checksums are right, so that the damage reaches NumPy's parser."""
    buffer = io.BytesIO()
    np.save(buffer, IMAGES)
    data = bytearray(buffer.getvalue())
    for position, patch in patches:
        data[position : position + len(patch)] = patch
    with zipfile.ZipFile(fuzz_file, "w") as archive:
        archive.writestr("images.npy", bytes(data))
    with contextlib.suppress(InputError):
        assert isinstance(npz.load_file(fuzz_file), Dataset)

import contextlib
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.data import Dataset, idx
from gan_jax.errors import InputError

TRAIN_IMAGES = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4)
TRAIN_LABELS = np.array([1, 0, 5], np.uint8)
TEST_IMAGES = 255 - TRAIN_IMAGES[:2]
TEST_LABELS = np.array([5, 1], np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + array.tobytes()


def write(directory: Path, joint: str = "-", *, gz: bool = True) -> Path:
    directory.mkdir(exist_ok=True)
    for prefix, images, labels in (
        ("train", TRAIN_IMAGES, TRAIN_LABELS),
        ("t10k", TEST_IMAGES, TEST_LABELS),
    ):
        for what, array in ((f"images{joint}idx3", images), (f"labels{joint}idx1", labels)):
            data = idx_bytes(array)
            path = directory / f"{prefix}-{what}-ubyte{'.gz' if gz else ''}"
            path.write_bytes(gzip.compress(data) if gz else data)
    return directory


def test_parses_bytes_written_by_hand() -> None:
    data = b"\x00\x00\x08\x03" + b"\x00\x00\x00\x01" + b"\x00\x00\x00\x02" * 2 + b"\x00\x01\xfe\xff"
    np.testing.assert_array_equal(idx.parse(data, "f", 3), [[[0, 1], [254, 255]]])
    np.testing.assert_array_equal(idx.parse(gzip.compress(data), "f.gz", 3), [[[0, 1], [254, 255]]])


@pytest.mark.parametrize("joint", ["-", "."])
@pytest.mark.parametrize("gz", [True, False])
def test_reads_both_splits_with_the_classes_of_the_training_labels(tmp_path: Path, joint: str, gz: bool) -> None:
    write(tmp_path, joint, gz=gz)
    train = idx.load_directory(tmp_path, "train")
    test = idx.load_directory(tmp_path, "test")
    np.testing.assert_array_equal(train.x, TRAIN_IMAGES[..., None])
    np.testing.assert_array_equal(test.x, TEST_IMAGES[..., None])
    np.testing.assert_array_equal(train.labels, [1, 0, 2])
    np.testing.assert_array_equal(test.labels, [2, 1])
    assert train.classes == test.classes == ("0", "1", "5")
    assert train.notes == ("classes 2..4 of 0..5 have no examples",)
    assert train.name == test.name == f"idx:{tmp_path}"


def test_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can't list the directory .*No such file"):
        idx.load_directory(tmp_path / "nowhere")


def test_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"can't list the directory .*Not a directory"):
        idx.load_directory(tmp_path / "file")


def test_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the directory is empty"):
        idx.load_directory(tmp_path)


@pytest.mark.parametrize("missing", ["train-images-idx3", "train-labels-idx1"])
def test_missing_file_labels_too(tmp_path: Path, missing: str) -> None:
    (write(tmp_path) / f"{missing}-ubyte.gz").unlink()
    with pytest.raises(InputError, match=f"there is no {missing}-ubyte nor {missing}-ubyte.gz"):
        idx.load_directory(tmp_path)


def test_file_that_is_a_directory(tmp_path: Path) -> None:
    path = write(tmp_path) / "train-labels-idx1-ubyte.gz"
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"can't read train-labels-idx1-ubyte.gz"):
        idx.load_directory(tmp_path)


def test_different_counts(tmp_path: Path) -> None:
    path = write(tmp_path) / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(TRAIN_LABELS[:2])))
    with pytest.raises(InputError, match="3 examples but 2 labels"):
        idx.load_directory(tmp_path)


def test_label_of_the_test_split_that_training_does_not_know(tmp_path: Path) -> None:
    path = write(tmp_path) / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.array([0, 6], np.uint8))))
    with pytest.raises(
        InputError, match="the test split has class 6, of which there is no training example, only of 0, 1, 5"
    ):
        idx.load_directory(tmp_path, "test")


@pytest.mark.parametrize("gz", [True, False])
def test_a_test_split_of_another_size(tmp_path: Path, gz: bool) -> None:
    path = write(tmp_path, gz=gz) / f"t10k-images-idx3-ubyte{'.gz' if gz else ''}"
    other = idx_bytes(np.zeros((2, 3, 4), np.uint8))
    path.write_bytes(gzip.compress(other) if gz else other)
    assert len(idx.load_directory(tmp_path)) == 3
    with pytest.raises(InputError, match="test examples are 3 x 4 x 1 where training examples are 2 x 4 x 1"):
        idx.load_directory(tmp_path, "test")


def test_the_test_split_needs_no_more_of_the_training_images_than_their_header(tmp_path: Path) -> None:
    path = write(tmp_path, gz=False) / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:16])
    assert len(idx.load_directory(tmp_path, "test")) == 2
    path.write_bytes(path.read_bytes()[:15])
    with pytest.raises(InputError, match="ends within its header"):
        idx.load_directory(tmp_path, "test")


GOOD = idx_bytes(TRAIN_IMAGES)
ZIPPED = gzip.compress(GOOD, mtime=0)
HUGE = struct.pack(">4I", 0x0803, *[2**32 - 1] * 3)


@pytest.mark.parametrize(
    ("filename", "data", "words"),
    [
        ("f.gz", GOOD, "f.gz is not a gzip file"),
        ("f.gz", b"", "f.gz is not a gzip file"),
        ("f.gz", ZIPPED[:-9], "truncated or damaged gzip"),
        ("f.gz", ZIPPED[:-8] + bytes(8), "truncated or damaged gzip"),
        ("f", b"", "f is truncated, it ends within its header"),
        ("f", GOOD[:15], "f is truncated, it ends within its header"),
        ("f", GOOD[:-1], "declares 24 bytes .* only 23 follow"),
        ("f", GOOD + b"\x00", "f is too long"),
        ("f", idx_bytes(TRAIN_LABELS) + b"\x00" * 9, "wrong magic number 0x00000801, expected 0x0"),
        ("f", b"\x00\x00\x0d\x03" + GOOD[4:], "wrong magic number 0x00000d03"),
        ("f", ZIPPED, "f is gzipped; add .gz to its name"),
        ("f", struct.pack(">4I", 0x0803, 0, 28, 28), "f is empty"),
        ("f", HUGE, "f is truncated, its header declares 79228162458924105385300197375 bytes"),
        ("f.gz", gzip.compress(HUGE, mtime=0), "f.gz is truncated"),
    ],
)
def test_refuses_bytes(filename: str, data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        idx.parse(data, filename, 3)


def test_reads_no_more_of_a_gzip_bomb_than_its_header_declares() -> None:
    bomb = gzip.compress(struct.pack(">4I", 0x0803, 1, 2, 2) + bytes(50_000_000))
    with pytest.raises(InputError, match=r"f.gz is too long, its header declares 4 bytes"):
        idx.parse(bomb, "f.gz", 3)


@settings(max_examples=200, deadline=None)
@given(
    base=st.sampled_from([b"", GOOD, ZIPPED]),
    patches=st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=8)), max_size=4),
    cut=st.integers(0, 80),
    filename=st.sampled_from(["f", "f.gz"]),
    rank=st.sampled_from([1, 3]),
)
def test_any_bytes_give_an_array_or_an_input_error(
    base: bytes, patches: list[tuple[int, bytes]], cut: int, filename: str, rank: int
) -> None:
    data = bytearray(base)
    for position, patch in patches:
        data[position : position + len(patch)] = patch
    with contextlib.suppress(InputError):
        array = idx.parse(bytes(data[:cut] if cut < 70 else data), filename, rank)
        assert array.dtype == np.uint8 and array.ndim == rank and array.size > 0
        images = array if rank == 3 else array[:, None, None]
        assert isinstance(Dataset("d", images[..., None]), Dataset)

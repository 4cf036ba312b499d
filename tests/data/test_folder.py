from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import folder
from gan_jax.errors import InputError


def grey(value: int, height: int = 3, width: int = 4) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_flat_folder_is_unlabelled_and_sorted(tmp_path: Path) -> None:
    for i, suffix in enumerate(["png", "bmp", "PGM", "tiff"]):
        save(tmp_path / f"{9 - i}.{suffix}", grey(10 * i))
    (tmp_path / "notes.txt").write_text("passed over")
    (tmp_path / ".hidden.png").write_text("passed over")
    (tmp_path / ".cache").mkdir()
    dataset = folder.load_directory(tmp_path)
    assert dataset.name == f"folder:{tmp_path}"
    assert dataset.labels is None
    assert dataset.x.shape == (4, 3, 4, 1)
    np.testing.assert_array_equal(dataset.x[:, 0, 0, 0], [30, 20, 10, 0])


def test_sub_folders_are_classes_in_sorted_order_at_any_depth(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "a.png", grey(1))
    save(tmp_path / "cat" / "b.png", grey(2))
    save(tmp_path / "cat" / "deep" / "c.png", grey(3))
    dataset = folder.load_directory(tmp_path)
    np.testing.assert_array_equal(dataset.x[:, 0, 0, 0], [2, 3, 1])
    np.testing.assert_array_equal(dataset.labels, [0, 0, 1])
    assert dataset.num_classes == 2


def test_colour_is_kept_exactly(tmp_path: Path) -> None:
    pixels = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    save(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(folder.load_directory(tmp_path).x, pixels[None])


def test_alpha_is_dropped(tmp_path: Path) -> None:
    pixels = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    save(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(folder.load_directory(tmp_path).x, pixels[None, ..., :3])


def test_grey_among_colour_becomes_rgb(tmp_path: Path) -> None:
    save(tmp_path / "a.png", grey(7))
    save(tmp_path / "b.png", np.full((3, 4, 3), [1, 2, 3], np.uint8))
    dataset = folder.load_directory(tmp_path)
    np.testing.assert_array_equal(dataset.x[:, 0, 0], [[7, 7, 7], [1, 2, 3]])


def test_lossy_formats_and_palettes(tmp_path: Path) -> None:
    for suffix in ("jpg", "webp", "gif"):
        save(tmp_path / f"a.{suffix}", np.full((8, 8, 3), 128, np.uint8))
    x = folder.load_directory(tmp_path).x
    assert x.shape == (3, 8, 8, 3)
    np.testing.assert_allclose(x, 128, atol=3)


def test_folders_named_as_splits_are_splits(tmp_path: Path) -> None:
    for path, value in (("train/a/1", 1), ("train/b/2", 2), ("val/b/3", 3), ("valid/a/4", 4)):
        save(tmp_path / f"{path}.png", grey(value))
    train, test = (folder.load_directory(tmp_path, split) for split in folder._SPLITS)
    np.testing.assert_array_equal(train.x[:, 0, 0, 0], [1, 2])
    np.testing.assert_array_equal(train.labels, [0, 1])
    np.testing.assert_array_equal(test.x[:, 0, 0, 0], [3])
    np.testing.assert_array_equal(test.labels, [1])
    assert train.num_classes == test.num_classes == 2


def test_flat_splits_are_unlabelled(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a.png", grey(1))
    save(tmp_path / "test" / "a.png", grey(2))
    assert folder.load_directory(tmp_path).x[0, 0, 0, 0] == 1
    assert folder.load_directory(tmp_path, "test").x[0, 0, 0, 0] == 2
    assert folder.load_directory(tmp_path, "test").labels is None


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("plane", "train"):
        save(tmp_path / name / "a.png", grey(1))
    assert folder.load_directory(tmp_path).num_classes == 2


def test_without_a_test_split_it_is_the_training_data(tmp_path: Path) -> None:
    save(tmp_path / "a.png", grey(5))
    np.testing.assert_array_equal(folder.load_directory(tmp_path).x, folder.load_directory(tmp_path, "test").x)


def test_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can't list the directory .*No such file"):
        folder.load_directory(tmp_path / "nowhere")


def test_directory_that_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can't list the directory .*Not a directory"):
        folder.load_directory(save(tmp_path / "a.png", grey(1)))


def test_directory_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="there are no images here"):
        folder.load_directory(tmp_path)


def test_class_without_images(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.png", grey(1))
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="no images in the class folder b/"):
        folder.load_directory(tmp_path)


def test_loose_images_beside_classes(tmp_path: Path) -> None:
    save(tmp_path / "1.png", grey(1))
    save(tmp_path / "a" / "2.png", grey(2))
    with pytest.raises(InputError, match=r"found both \(1.png beside a/\)"):
        folder.load_directory(tmp_path)


def test_test_split_with_a_class_that_training_does_not_know(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a" / "1.png", grey(1))
    save(tmp_path / "test" / "b" / "2.png", grey(2))
    with pytest.raises(InputError, match=r"test/ has classes \['b'\] where train/ has \['a'\]"):
        folder.load_directory(tmp_path, "test")


def test_labelled_training_and_unlabelled_test_images(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a" / "1.png", grey(1))
    save(tmp_path / "test" / "2.png", grey(2))
    with pytest.raises(InputError, match=r"test/ has classes none where train/ has \['a'\]"):
        folder.load_directory(tmp_path, "test")


def test_one_image_of_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    odd = save(tmp_path / "a.png", grey(1, height=5, width=6))
    for name in ("b", "c"):
        save(tmp_path / f"{name}.png", grey(1))
    with pytest.raises(InputError, match=f"{odd} is 6x5 pixels where b.png is 4x3"):
        folder.load_directory(tmp_path)


def test_sixteen_bits_are_not_clipped_in_silence(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.full((3, 4), 40_000, np.uint16))
    with pytest.raises(InputError, match=r"a.png has more than 8 bits per channel"):
        folder.load_directory(tmp_path)


def test_unreadable_images_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    noise = np.random.default_rng(0).integers(0, 256, (30, 30), np.uint8)
    good = save(tmp_path / "good.png", noise).read_bytes()
    for data in (b"", b"no image", good[: len(good) // 2], good[:20] + b"\xff" * 40):
        bad.write_bytes(data)
        with pytest.raises(InputError, match=f"{bad} is not a readable image"):
            folder.load_directory(tmp_path)

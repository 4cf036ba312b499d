import itertools
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

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
    assert dataset.notes == ("no images by their extension: notes.txt",)
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
    train, test = (folder.load_directory(tmp_path, split) for split in ("train", "test"))
    np.testing.assert_array_equal(train.x[:, 0, 0, 0], [1, 2])
    np.testing.assert_array_equal(train.labels, [0, 1])
    np.testing.assert_array_equal(test.x[:, 0, 0, 0], [3])
    np.testing.assert_array_equal(test.labels, [1])
    assert train.classes == test.classes == ("a", "b")
    assert train.notes == ("not used: valid/",)


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


def values(directory: Path, split: str = "train") -> list[int]:
    """The first pixel of each image."""
    return folder.load_directory(directory, split).x[:, 0, 0, 0].tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training", "testing"),
        ("Train", "Test"),
        ("TRAIN", "VAL"),
        ("train", "dev"),
        ("train", "eval"),
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train-images", "validation-images"),
        ("train2017", "val2017"),
        ("mnist_train", "mnist_test"),
        ("trainA", "testA"),
    ],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_splits_have_many_names(tmp_path: Path, train: str, test: str, labelled: bool) -> None:
    for (split, first), c in itertools.product(((train, 10), (test, 20)), ("dog", "cat") if labelled else ("",)):
        save(tmp_path / split / c / "0.png", grey(first + len(c) + (c == "dog")))
    expected = [13, 14] if labelled else [10]
    assert values(tmp_path) == expected
    assert values(tmp_path, "test") == [value + 10 for value in expected]
    assert folder.load_directory(tmp_path).classes == (("cat", "dog") if labelled else ())


@pytest.mark.parametrize("inner", ["", "cat"])
def test_a_training_split_alone_is_a_split(tmp_path: Path, inner: str) -> None:
    save(tmp_path / "train" / inner / "a.png", grey(1))
    save(tmp_path / "train" / ("dog" if inner else "") / "b.png", grey(2))
    dataset = folder.load_directory(tmp_path)
    assert dataset.classes == (("cat", "dog") if inner else ())
    assert values(tmp_path) == values(tmp_path, "test") == [1, 2]


def test_further_splits_are_not_used_and_named(tmp_path: Path) -> None:
    for i, name in enumerate(["train", "extra", "test", "val", "unlabeled"]):
        save(tmp_path / name / "a.png", grey(i))
    assert (values(tmp_path), values(tmp_path, "test")) == ([0], [2])
    assert folder.load_directory(tmp_path).notes == ("not used: extra/, unlabeled/, val/",)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["test"], "expected one training split among test/, .* found none; name one folder train"),
        (["test", "val"], "expected one training split among test/, val/, .* found none"),
        (["extra", "Testing"], "found none"),
        (["train", "training", "test"], "found train/ and training/"),
        (["trainA", "trainB", "testA", "testB"], "found trainA/ and trainB/; .* give folder:.*trainA"),
        (["train", "test", "masks"], "masks/ has images and stands beside train/ and test/"),
    ],
)
def test_splits_that_are_none(tmp_path: Path, names: list[str], words: str) -> None:
    for name in names:
        save(tmp_path / name / "a.png", grey(1))
    with pytest.raises(InputError, match=words):
        folder.load_directory(tmp_path)


def test_a_split_without_images_is_not_replaced_by_another(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a.png", grey(1))
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.npy").write_bytes(b"")
    with pytest.raises(InputError, match="no images in the split folder test/"):
        folder.load_directory(tmp_path, "test")


def test_classes_may_share_a_word_of_splits(tmp_path: Path) -> None:
    for name in ("freight_train", "passenger_train"):
        save(tmp_path / name / "a.png", grey(1))
    assert folder.load_directory(tmp_path).classes == ("freight_train", "passenger_train")


@pytest.mark.parametrize("split", ["train", "test"])
def test_splits_inside_classes_are_refused(tmp_path: Path, split: str) -> None:
    for c, inner in itertools.product(("cat", "dog"), ("train", "test")):
        save(tmp_path / c / inner / "a.png", grey(1))
    with pytest.raises(InputError, match=r"class folder cat/ holds splits \(test, train\).*train/cat/"):
        folder.load_directory(tmp_path, split)  # type: ignore[arg-type]


@pytest.mark.parametrize("inner", [("training/a", "testing/a"), ("a", "b"), ("a",)])
def test_one_folder_around_everything_is_no_class(tmp_path: Path, inner: tuple[str, ...]) -> None:
    for name in inner:
        save(tmp_path / "mnist_png" / name / "0.png", grey(1))
    with pytest.raises(InputError, match=r"mnist_png/ (is the only folder|holds splits)"):
        folder.load_directory(tmp_path)


def test_numbered_classes_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    for c in range(12):
        save(tmp_path / str(c) / "0.png", grey(c))
    dataset = folder.load_directory(tmp_path)
    assert dataset.classes == tuple(str(c) for c in range(12))
    assert values(tmp_path) == dataset.labels.tolist() == list(range(12))


@pytest.mark.parametrize("names", [("c1", "c2", "c10"), ("3", "4", "11"), ("07", "8", "09")])
def test_classes_keep_their_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    for i, c in enumerate(names):
        save(tmp_path / c / "0.png", grey(i))
    assert folder.load_directory(tmp_path).classes == names
    assert values(tmp_path) == [0, 1, 2]


def test_the_test_split_may_lack_a_class(tmp_path: Path) -> None:
    for path in ("train/a/0", "train/b/0", "train/c/0", "test/c/0", "test/a/0"):
        save(tmp_path / f"{path}.png", grey(1))
    test = folder.load_directory(tmp_path, "test")
    assert (test.labels.tolist(), test.classes) == ([0, 2], ("a", "b", "c"))


def test_test_images_of_another_size(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a.png", grey(1))
    save(tmp_path / "test" / "a.png", grey(1, height=4))
    assert values(tmp_path) == [1]
    with pytest.raises(InputError, match="test examples are 4 x 4 where training examples are 3 x 4"):
        folder.load_directory(tmp_path, "test")


def test_the_training_images_decide_the_channels_of_both_splits(tmp_path: Path) -> None:
    colour = np.full((3, 4, 3), [30, 60, 90], np.uint8)
    save(tmp_path / "a" / "train" / "0.png", grey(7))
    save(tmp_path / "a" / "test" / "0.png", colour)
    save(tmp_path / "b" / "train" / "0.png", colour)
    save(tmp_path / "b" / "test" / "0.png", grey(7))
    assert [folder.load_directory(tmp_path / "a", split).shape for split in ("train", "test")] == [(3, 4, 1)] * 2
    assert [folder.load_directory(tmp_path / "b", split).shape for split in ("train", "test")] == [(3, 4, 3)] * 2
    # The luma of ITU-R 601: .299 R + .587 G + .114 B.
    assert values(tmp_path / "a", "test") == [54]


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_photographs_is_followed(tmp_path: Path, kind: str, orientation: int) -> None:
    """All eight, against what each means: where the first row and the first column of what is seen are stored."""
    seen = np.zeros((16, 8), np.uint8)
    seen[:8, :4] = 255  # Bright at the top left.
    stored = {
        1: seen, 2: seen[:, ::-1], 3: seen[::-1, ::-1], 4: seen[::-1],
        5: seen.T, 6: seen.T[::-1], 7: seen.T[::-1, ::-1], 8: seen.T[:, ::-1],
    }[orientation]  # fmt: skip
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    image.save(tmp_path / f"0.{kind}", exif=exif)
    save(tmp_path / "1.png", seen)
    x = folder.load_directory(tmp_path).x
    assert x.shape[:3] == (2, 16, 8)
    np.testing.assert_allclose(x[0].astype(float), x[1].astype(float), atol=40)


def test_an_orientation_that_stands_behind_the_pixels_is_seen_in_time(tmp_path: Path) -> None:
    save(tmp_path / "1.png", grey(0))
    image = Image.fromarray(grey(0))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 6
    image.save(tmp_path / "0.png", exif=exif)
    content = (tmp_path / "0.png").read_bytes()
    start = content.index(b"eXIf") - 4
    stop = start + 12 + int.from_bytes(content[start : start + 4], "big")
    end = content.index(b"IEND") - 4
    (tmp_path / "0.png").write_bytes(content[:start] + content[stop:end] + content[start:stop] + content[end:])
    with pytest.raises(InputError, match=r"0\.png is 3x4 pixels where .* is 4x3"):
        folder.load_directory(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA"])
def test_what_is_stored_as_grey_has_one_channel(tmp_path: Path, mode: str) -> None:
    Image.fromarray(grey(255)).convert(mode).save(tmp_path / ("a.tiff" if mode == "PA" else "a.png"))
    dataset = folder.load_directory(tmp_path)
    assert dataset.shape == (3, 4, 1)
    assert (dataset.x == 255).all()


@pytest.mark.parametrize("colour", [(200, 200, 200), (10, 200, 30)])
def test_palettes_with_transparency_are_read_without_a_warning(tmp_path: Path, colour: tuple[int, ...]) -> None:
    image = Image.new("P", (4, 3), 1)
    image.putpalette([0, 0, 0, *colour])
    image.save(tmp_path / "a.png", transparency=b"\x00\x80")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = folder.load_directory(tmp_path).x
    assert (x == colour[: x.shape[-1]]).all()
    assert x.shape[-1] == len(set(colour))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "RGBA", "RGBX"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    Image.fromarray(np.full((8, 8, 3), [200, 100, 50], np.uint8)).convert(mode).save(tmp_path / "a.tiff")
    x = folder.load_directory(tmp_path).x
    np.testing.assert_allclose(x[0, 0, 0].astype(int), [200, 100, 50], atol=3)


def test_sixteen_bits_of_colour_keep_their_high_byte(tmp_path: Path) -> None:
    """Pillow scales these, unlike grey ones: a PNG written by hand, one pixel of 0x0102, 0x8000, 0xff00."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x01\x02\x80\x00\xff\x00")
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    assert folder.load_directory(tmp_path).x.ravel().tolist() == [0x01, 0x80, 0xFF]


def test_of_animations_and_stacks_the_first_frame_is_read_and_they_are_named(tmp_path: Path) -> None:
    frames = [Image.fromarray(grey(value)) for value in (10, 20, 30)]
    for kind in ("gif", "tiff", "png"):
        frames[0].save(tmp_path / f"a.{kind}", save_all=True, append_images=frames[1:])
    save(tmp_path / "b.png", grey(40))
    dataset = folder.load_directory(tmp_path)
    assert dataset.x[:, 0, 0, 0].tolist() == [10, 10, 10, 40]
    assert dataset.notes == ("of several frames only the first is read: a.gif, a.png, a.tiff",)


@pytest.mark.parametrize("name", ["a.PNG", "a.Jpeg", "a.JFIF", "a.jpe", "a.tga", "a.ppm", "a.avif"])
def test_extensions_in_any_case(tmp_path: Path, name: str) -> None:
    kind = {"jfif": "JPEG", "jpe": "JPEG"}.get(name[2:].lower())
    Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save(tmp_path / name, format=kind)
    assert len(folder.load_directory(tmp_path)) == 1


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    save(root / "a" / "0.png", grey(0))
    save(root / "b" / "deep" / "1.png", grey(1))
    save(tmp_path / "elsewhere" / "2.png", grey(2))
    save(tmp_path / "elsewhere" / "deep" / "3.png", grey(3))
    (root / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (root / "c").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "b" / "4.png").symlink_to(tmp_path / "elsewhere" / "2.png")
    dataset = folder.load_directory(root)
    assert dataset.x[:, 0, 0, 0].tolist() == [0, 2, 3, 2, 1, 2, 3]
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_links_in_a_circle_are_followed_once(tmp_path: Path) -> None:
    save(tmp_path / "a" / "0.png", grey(0))
    save(tmp_path / "b" / "1.png", grey(1))
    (tmp_path / "a" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "root").symlink_to(tmp_path)
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "itself").symlink_to("itself")
    dataset = folder.load_directory(tmp_path)
    assert dataset.x[:, 0, 0, 0].tolist() == [0, 1, 1, 0]
    assert dataset.labels.tolist() == [0, 0, 1, 1]


def test_a_link_to_nothing_is_not_an_image_less(tmp_path: Path) -> None:
    save(tmp_path / "0.png", grey(0))
    (tmp_path / "1.png").symlink_to(tmp_path / "not_fetched")
    with pytest.raises(InputError, match=r"1.png is not a readable image \(FileNotFoundError\)"):
        folder.load_directory(tmp_path)


@pytest.mark.parametrize("junk", ["__MACOSX", "@eaDir", ".ipynb_checkpoints", "lost+found"])
@pytest.mark.parametrize("layout", ["classes", "splits", "loose"])
def test_what_systems_leave_behind_is_no_data(tmp_path: Path, junk: str, layout: str) -> None:
    folders = {"classes": ["cat", "dog"], "splits": ["train/cat", "test/cat"], "loose": [""]}[layout]
    for inner in folders:
        save(tmp_path / inner / "0.png", grey(1))
    expected = folder.load_directory(tmp_path)
    for inner in ["", *folders]:
        save(tmp_path / inner / junk / "0.png", grey(9))
    found = folder.load_directory(tmp_path)
    np.testing.assert_array_equal(found.x, expected.x)
    assert (found.classes, found.notes) == (expected.classes, ())


@pytest.mark.parametrize("layout", [["train/cat", "test/cat"], ["train", "val"], [""]])
def test_folders_without_images_beside_splits_or_images_are_passed_over(tmp_path: Path, layout: list[str]) -> None:
    for inner in layout:
        save(tmp_path / inner / "0.png", grey(1))
    (tmp_path / "annotations" / "deep").mkdir(parents=True)
    (tmp_path / "annotations" / "deep" / "a.json").write_text("{}")
    for split in ("train", "test"):
        assert values(tmp_path, split) == [1]
    assert "not used: annotations/" in folder.load_directory(tmp_path).notes


def test_a_damaged_image_among_many_is_named(tmp_path: Path) -> None:
    for i in range(20):
        save(tmp_path / f"{i:02d}.png", np.random.default_rng(i).integers(0, 256, (30, 30), np.uint8))
    whole = (tmp_path / "13.png").read_bytes()
    (tmp_path / "13.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"13\.png is not a readable image"):
        folder.load_directory(tmp_path)
    shutil.copy(tmp_path / "12.png", tmp_path / "13.png")
    assert len(folder.load_directory(tmp_path)) == 20

import dataclasses
import itertools
import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import finding, load, prepared, preparing
from gan_jax.data.originals import Originals
from gan_jax.data.prepared import Record
from gan_jax.data.preparing import Options
from gan_jax.errors import InputError
from tests.data.helpers import blobs, save

SMALL = Options((8, 6))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 images of two classes, of all sizes; three of them are none."""
    root = tmp_path_factory.mktemp("pictures")
    for i in range(100):
        height, width = 5 + i % 7, 4 + i % 11
        save(root / ("cat", "dog")[i % 2] / f"{i:03d}.png", blobs(1, height, width, seed=i)[0])
    for number in (10, 11, 70):
        next(root.rglob(f"{number:03d}.png")).write_bytes(b"no image")
    return root


def prepare(source: "Path | Originals", out: Path, options: Options = SMALL, **settings: Any) -> Record | None:
    out.mkdir(exist_ok=True)
    found = source if isinstance(source, Originals) else finding.find(str(source))
    return preparing.prepare(found, options, out, **{"workers": 1, **settings})


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def of(image: Image.Image, options: Options = SMALL, channels: int = 3) -> np.ndarray:
    return preparing.fitted(image, options, channels)


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    x = blobs(1, 8, 6)[0]
    for crop in ("center", "none"):
        np.testing.assert_array_equal(of(Image.fromarray(x), Options((8, 6), crop)), x)  # type: ignore[arg-type]


def test_the_centre_is_cut_to_the_aspect_ratio() -> None:
    x = blobs(1, 8, 10)[0]
    np.testing.assert_array_equal(of(Image.fromarray(x)), x[:, 2:8])
    x = blobs(1, 12, 6)[0]
    np.testing.assert_array_equal(of(Image.fromarray(x)), x[2:10])


def test_without_a_crop_the_whole_image_is_squeezed() -> None:
    x = np.repeat(np.array([[0, 255]], np.uint8), 6, axis=1).repeat(8, axis=0)  # Left half black, right half white.
    squeezed = of(Image.fromarray(x), Options((8, 6), "none"), 1)
    assert (squeezed[:, :2] < 30).all() and (squeezed[:, -2:] > 225).all()
    cut = of(Image.fromarray(x), Options((8, 6), "center"), 1)
    np.testing.assert_array_equal(cut[..., 0], x[:, 3:9])


def test_smaller_images_are_averages_not_samples() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    np.testing.assert_allclose(of(Image.fromarray(stripes), Options((8, 8)), 1)[:, 1:-1], 127.5, atol=3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_any_mode_becomes_grey_or_colour(mode: str) -> None:
    grey = np.full((8, 6), 255, np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    assert image.mode == mode
    for channels in (1, 3):
        np.testing.assert_array_equal(of(image, channels=channels), np.full((8, 6, channels), 255))


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    x = np.arange(0, 48 * 1300, 1300, dtype=np.uint16).reshape(8, 6)
    np.testing.assert_array_equal(of(Image.fromarray(x), channels=1)[..., 0], np.round(x / 257))


def test_turns_in_exif_are_followed(tmp_path: Path) -> None:
    x = blobs(1, 6, 8)[0]
    exif = Image.Exif()
    exif[274] = 6  # To be seen turned by a quarter, clockwise.
    Image.fromarray(x).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(of(image), np.rot90(x, -1))


def test_a_picture_of_one_pixel_and_a_long_one() -> None:
    assert (of(Image.new("RGB", (1, 1), (1, 2, 3))) == [1, 2, 3]).all()
    assert of(Image.new("RGB", (1000, 1))).shape == (8, 6, 3)


def test_folder_to_data(pictures: Path, tmp_path: Path) -> None:
    record = prepare(pictures, tmp_path / "out", dataclasses.replace(SMALL, test_share=0.1))
    assert record is not None
    assert (record.splits["train"].count, record.splits["test"].count) == (87, 10)
    assert record.left_out == {name: "UnidentifiedImageError" for name in ("cat/010.png", "cat/070.png", "dog/011.png")}
    train, test = (load(f"prepared:{tmp_path / 'out'}", split) for split in ("train", "test"))
    assert isinstance(train.x, np.memmap)
    assert (train.shape, train.classes, test.classes) == ((8, 6, 3), ("cat", "dog"), ("cat", "dog"))
    assert train.notes == ("not readable and left out: cat/010.png, cat/070.png, dog/011.png",)
    assert train.labels is not None and test.labels is not None
    # Every image that can be read, in the order of names, in one of the splits.
    tested = preparing.split_off(finding.find(str(pictures)), 0.1)
    paths = np.array(sorted(pictures.rglob("*.png")))
    for dataset, files in ((train, paths[~tested]), (test, paths[tested])):
        readable = [path for path in files if path.stat().st_size > 10]
        assert len(readable) == len(dataset)
        for row, label, path in zip(dataset.x, dataset.labels, readable, strict=True):
            with Image.open(path) as image:
                np.testing.assert_array_equal(row, of(image))
            assert path.parent.name == dataset.classes[label]
    assert not {"json", "partial"} & {path.suffix[1:] for path in (tmp_path / "out").glob(".*")}


def test_grey_images_have_one_channel_unless_one_is_in_colour(tmp_path: Path) -> None:
    for i in range(40):
        save(tmp_path / "grey" / f"{i}.png", blobs(1, 8, 6, seed=i)[0, ..., 0])
    assert prepare(tmp_path / "grey", tmp_path / "a").shape == (8, 6, 1)  # type: ignore[union-attr]
    save(tmp_path / "grey/99.png", blobs(1, 8, 6)[0])
    assert prepare(tmp_path / "grey", tmp_path / "b").shape == (8, 6, 3)  # type: ignore[union-attr]
    options = dataclasses.replace(SMALL, channels=1)
    assert prepare(tmp_path / "grey", tmp_path / "c", options).shape == (8, 6, 1)  # type: ignore[union-attr]


def test_the_bytes_are_the_same_by_any_number_of_workers(pictures: Path, tmp_path: Path) -> None:
    for workers in (1, 2, 5):
        prepare(pictures, tmp_path / f"{workers}", workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "5")


def stop_after(times: int) -> Any:
    asked = itertools.count(1)
    return lambda: next(asked) >= times


def test_stopped_and_continued_has_the_bytes_of_one_go(pictures: Path, tmp_path: Path) -> None:
    options = dataclasses.replace(SMALL, test_share=0.2)
    prepare(pictures, tmp_path / "whole", options)
    out, reports = tmp_path / "stopped", []
    for _ in range(3):
        assert prepare(pictures, out, options, stopped=stop_after(1), report=reports.append) is None
        with pytest.raises(InputError, match="the preparation is not finished: type the same command again"):
            load(f"prepared:{out}")
    assert prepare(pictures, out, options, workers=3) is not None
    assert reports == [0, 32, 32, 64, 64, 96]
    assert contents(out) == contents(tmp_path / "whole")


def test_killed_and_continued_has_the_bytes_of_one_go(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_SECONDS_BETWEEN_NOTES", 0.0)
    prepare(pictures, tmp_path / "whole")
    out, found = tmp_path / "killed", finding.find(str(pictures))
    # What a kill leaves: files that are further than what was noted, by a part of an image.
    prepare(pictures, out, stopped=stop_after(2))
    note = json.loads((out / prepared.UNFINISHED).read_text())
    assert note["done"] == 64
    with open(out / "train-images.npy", "ab") as file:
        file.write(b"more" * 50)
    assert preparing.prepare(found, SMALL, out, workers=1) is not None
    assert contents(out) == contents(tmp_path / "whole")
    # Killed between the last two files.
    (out / prepared.UNFINISHED).write_text(json.dumps(note))
    assert prepare(pictures, out) is not None
    assert contents(out) == contents(tmp_path / "whole")


def test_after_a_power_cut_what_is_missing_is_made_again(pictures: Path, tmp_path: Path) -> None:
    prepare(pictures, tmp_path / "whole")
    prepare(pictures, tmp_path / "cut", stopped=stop_after(2))
    os.truncate(tmp_path / "cut/train-images.npy", 1000)
    prepare(pictures, tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_prepared_twice_is_left_as_it_is(pictures: Path, tmp_path: Path) -> None:
    first = prepare(pictures, tmp_path / "out")
    before = contents(tmp_path / "out")
    assert prepare(pictures, tmp_path / "out") == first
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("other", ["data", "options", "changed"])
def test_another_preparation_is_not_overwritten(tmp_path: Path, finished: bool, other: str) -> None:
    for i in range(40):
        save(tmp_path / "a" / f"{i}.png", blobs(1, 4, 4, seed=i)[0])
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    out, options = tmp_path / "out", SMALL
    prepare(tmp_path / "a", out, stopped=lambda: not finished)
    before = contents(out)
    if other == "changed":
        save(tmp_path / "a/9.png", blobs(1, 5, 5)[0])
    if other == "options":
        options = Options((9, 9))
    words = {"data": "other data", "options": "prepared with other options", "changed": "before files of it changed"}
    with pytest.raises(InputError, match=rf"holds .*{words[other]}: delete it, or choose a different --out"):
        prepare(tmp_path / ("b" if other == "data" else "a"), out, options)
    assert contents(out) == before


@pytest.mark.parametrize("name", ["notes.txt", "train-images.npy"])
def test_a_directory_with_other_files_is_refused(pictures: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=r"holds other files already .*choose a different --out"):
        prepare(pictures, tmp_path)
    assert contents(tmp_path) == {name: b"mine"}


def test_strict_stops_at_the_first_that_is_broken(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cat/010\.png is not a readable image .*or leave out --strict"):
        prepare(pictures, tmp_path / "out", strict=True)


def test_images_that_none_can_be_read(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"none of the 3 images can be read, such as 0\.png \(UnidentifiedImageError"):
        prepare(tmp_path, tmp_path / "out")


def test_classes_without_a_readable_image_are_none(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "train" / name / "1.png", blobs(1, 4, 4)[0])
        save(tmp_path / "test" / name / "1.png", blobs(1, 4, 4)[0])
    (tmp_path / "train/b/1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="no training image of class b can be read, and the test split has some"):
        prepare(tmp_path, tmp_path.parent / "out")
    (tmp_path / "test/b/1.png").write_bytes(b"no image")
    prepare(tmp_path, tmp_path.parent / "out2")
    dataset = load(f"prepared:{tmp_path.parent / 'out2'}")
    assert dataset.classes == ("a", "c")
    assert dataset.labels is not None and dataset.labels.tolist() == [0, 1]
    assert dataset.notes[-1] in (
        "classes without a readable image: b",
        "every example has a class of its own: sub-folders or labels are classes",
    )


def test_the_test_share_is_of_each_class_and_stays_when_others_are_added(tmp_path: Path) -> None:
    def sources(n: int) -> Originals:
        names = [f"{i}.png" for i in range(n)]
        return Originals("folder:x", names, np.zeros(n, bool), np.arange(n, dtype=np.int32) % 3, ("a", "b", "c"),
                         None, (), "", open)  # fmt: skip

    few, many = preparing.split_off(sources(300), 0.2), preparing.split_off(sources(330), 0.2)
    assert [few[label::3].sum() for label in range(3)] == [20, 20, 20]
    assert [many[label::3].sum() for label in range(3)] == [22, 22, 22]
    assert (few & many[:300]).sum() > 45
    assert preparing.split_off(sources(6), 0.9).sum() == 3  # Of two images one is for training.
    with pytest.raises(InputError, match=r"--test-share 0\.01 of folder:x is less than one image"):
        preparing.split_off(sources(30), 0.01)


def test_a_source_with_tests_takes_no_test_share() -> None:
    with pytest.raises(InputError, match="mnist has a test split of its own: leave out --test-share"):
        preparing.split_off(finding.find("mnist"), 0.1)


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files can't grow beyond 5,000 bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_loses_nothing(pictures: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    prepare(pictures, tmp_path / "whole")
    found, out = finding.find(str(pictures)), tmp_path / "out"
    request.getfixturevalue("small_disk")
    with pytest.raises(InputError, match=r"can't be written any more \(File too large\): make room"):
        prepare(found, out)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert json.loads((out / prepared.UNFINISHED).read_text())["done"] in (0, 32)
    prepare(found, out)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_disk_that_is_too_small_is_noticed_before(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=14_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"needs 0 MiB and its disk has 0: free some space"):
        prepare(pictures, tmp_path / "out")


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), MemoryError()])
def test_a_disk_that_fails_is_no_broken_image(pictures: Path, tmp_path: Path, failure: Exception) -> None:
    found = finding.find(str(pictures))

    def opened(number: int) -> Any:
        if number == 40:
            raise failure
        return found.open(number)

    with pytest.raises(InputError, match=r"can't be read any more \((Input/output error|MemoryError)\): see to that"):
        prepare(dataclasses.replace(found, open=opened), tmp_path / "out")
    prepare(pictures, tmp_path / "out")
    prepare(pictures, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_source_that_goes_away_is_no_broken_image(pictures: Path, tmp_path: Path) -> None:
    found = dataclasses.replace(finding.find(str(pictures)), there=lambda: False)
    with pytest.raises(InputError, match=r"cat/010\.png can't be read any more"):
        prepare(found, tmp_path / "out")

import importlib.util
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import load, robots
from gan_jax.errors import InputError

SET = Path(robots._package()) / "sets" / "set1"


@pytest.fixture(scope="module")
def art() -> robots.Art:
    return robots.Art()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, art: robots.Art) -> Path:
    """An empty cache for 64 robots, whose art is decoded already."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(robots.COUNTS, "train", 44)
    monkeypatch.setitem(robots.COUNTS, "test", 20)
    monkeypatch.setattr(robots, "Art", lambda: art)
    return tmp_path / "gan_jax" / "data"


def kept_files(cache: Path) -> dict[str, bytes]:
    (directory,) = cache.iterdir()
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_all_robots_are_different_and_every_value_is_in_both_splits() -> None:
    train, test = robots.factors("train"), robots.factors("test")
    assert (train.shape, test.shape) == ((50_000, 6), (10_000, 6))
    assert len(np.unique(np.concatenate([train, test]), axis=0)) == 60_000
    for numbers in (train, test):
        for column in numbers.T:
            counts = np.bincount(column)
            # Five standard deviations of a draw with replacement; that without has a smaller one.
            assert len(counts) == 10 and abs(counts - len(column) / 10).max() < 5 * np.sqrt(0.09 * len(column))
    assert [len(values) for values in robots.FACTORS.values()] == [10] * 6


@pytest.mark.parametrize("color", [0, 9])
def test_a_robot_is_what_robohash_makes_of_the_same_parts(color: int, art: robots.Art) -> None:
    from robohash import Robohash  # type: ignore[import-untyped]

    theirs = Robohash("any")
    picks = [3, 1, 4, 5, 9]  # Of each folder of parts, in their order, the file of this number.
    theirs.hasharray = [color, 0, 0, 0, *picks]
    theirs.assemble(roboset="set1")
    name = robots.FACTORS["color"][color]
    folders = sorted((SET / name).iterdir())
    files = [sorted(folder.iterdir())[pick] for folder, pick in zip(folders, picks, strict=True)]
    numbers = np.array([color, *(int(file.stem[-2:]) - 1 for file in files)])
    expected = Image.new("RGB", (300, 300), (200, 215, 230))
    expected.paste(theirs.img, mask=theirs.img)

    def difference(numbers: np.ndarray) -> float:
        # Robohash enlarges layers and reduces what it has composed, which blurs lines by a pixel.
        ours = np.asarray(art.robot(numbers).reduce(6), np.float64)
        return float(abs(ours - np.asarray(expected.reduce(6))).mean())

    assert art.robot(numbers).size == (300, 300)
    assert difference(numbers) < 0.5
    for factor in range(6):
        other = numbers.copy()
        other[factor] = (other[factor] + 1) % 10
        assert difference(other) > 0.7


def test_images_and_labels_are_of_the_factors(cache: Path, art: robots.Art) -> None:
    for place, size, factor in (("", 32, "color"), (":64/colour", 64, "color"), (":32/face", 32, "face")):
        for split in ("train", "test"):
            dataset, numbers = load(f"robots{place}", split), robots.factors(split)  # type: ignore[arg-type]
            assert dataset.name == f"robots:{size}/{factor}"
            assert dataset.x.shape == (robots.COUNTS[split], size, size, 3)  # type: ignore[index]
            assert dataset.classes == robots.FACTORS[factor]
            np.testing.assert_array_equal(dataset.labels, numbers[:, list(robots.FACTORS).index(factor)])
            for row in (0, 19):
                image = art.robot(numbers[row]).resize((size, size), Image.Resampling.LANCZOS)
                np.testing.assert_array_equal(dataset.x[row], np.asarray(image))
    assert load("robots").fingerprint != load("robots:32/face").fingerprint
    assert load("robots").fingerprint != load("robots", "test").fingerprint


def test_the_data_says_whose_art_it_is(cache: Path) -> None:
    assert load("robots:32").notes == ("robots by Zikri Kader (robohash.org), CC-BY 3.0",)
    assert json.loads(kept_files(cache)["prepared.json"])["notes"] == [robots.CREDIT]


def test_they_are_composed_once_by_any_number_at_a_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed, together, compose = [], threading.Barrier(3), robots._compose

    def counted(size: int, directory: Path) -> None:
        composed.append(size)
        compose(size, directory)

    def loaded(_: int) -> bytes:
        together.wait()
        return load("robots").x.tobytes()

    monkeypatch.setattr(robots, "_compose", counted)
    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(loaded, range(3)))) == 1
    load("robots:32/face", "test")
    assert composed == [32]


def test_a_preparation_that_was_stopped_goes_on_and_is_never_taken_for_a_whole_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch, art: robots.Art, tmp_path: Path
) -> None:
    class Stopping:
        made = 0

        def robot(self, numbers: np.ndarray) -> Image.Image:
            self.made += 1
            if self.made > 40:
                raise KeyboardInterrupt
            return art.robot(numbers)

    monkeypatch.setattr(robots, "Art", Stopping)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        load("robots")
    assert "prepared.json" not in kept_files(cache)
    assert json.loads(kept_files(cache)[".unfinished.json"])["done"] == 32
    monkeypatch.setattr(robots, "Art", lambda: art)
    load("robots")
    stopped = kept_files(cache)
    assert ".unfinished.json" not in stopped
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    load("robots")
    assert kept_files(tmp_path / "other" / "gan_jax" / "data") == stopped


def test_what_is_kept_and_was_changed_is_composed_again(cache: Path) -> None:
    load("robots")
    whole = kept_files(cache)
    (images,) = cache.glob("*/train-images.npy")
    images.write_bytes(images.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=r"composing the robots again.*train-images.npy is truncated"):
        load("robots")
    assert kept_files(cache) == whole


def test_other_robots_are_kept_elsewhere(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load("robots")
    monkeypatch.setitem(robots.COUNTS, "test", 21)
    assert len(load("robots", "test")) == 21
    monkeypatch.setattr("importlib.metadata.version", lambda name: "3.0")
    load("robots")
    assert len(list(cache.iterdir())) == 3


@pytest.fixture
def _nothing_composed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(robots, "_compose", lambda *_: pytest.fail("robots are composed"))


@pytest.mark.usefixtures("_nothing_composed")
def test_without_robohash_the_extra_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        InputError,
        match=r"^robots are composed from the art in robohash, which is not installed: pip install 'gan-jax\[robots\]'",
    ):
        load("robots")


@pytest.mark.usefixtures("_nothing_composed")
@pytest.mark.parametrize(
    ("place", "words"),
    [("128", "choose robots:32 or robots:64$"), ("32/nose", "choose one of color, mouth, eyes, accessory, body, face")],
)
def test_what_robots_have_not(cache: Path, place: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load(f"robots:{place}")


@pytest.mark.usefixtures("_nothing_composed")
def test_without_a_place_to_keep_them_the_variable_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(InputError, match=r"cache directory can't be written: set XDG_CACHE_HOME"):
        load("robots")


def test_art_of_another_layout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sets/set1/blue/000#Mouth").mkdir(parents=True)
    Image.new("RGBA", (200, 200)).save(tmp_path / "sets/set1/blue/000#Mouth/000#blue_mouth-01.png")
    monkeypatch.setattr(robots, "_package", lambda: tmp_path)
    with pytest.raises(InputError, match=r"no layer blue mouth-01 of 300 x 300 pixels: pip install"):
        robots.Art()

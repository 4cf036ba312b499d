import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax.data import finding, load, prepared, preparing
from gan_jax.errors import InputError
from tests.data.helpers import blobs, save


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    for i in range(12):
        save(root / "in" / f"{i % 2}" / f"{i}.png", blobs(1, 6, 5, seed=i)[0])
    (root / "out").mkdir()
    options = preparing.Options((4, 4), test_share=0.2)
    preparing.prepare(finding.find(str(root / "in")), options, root / "out", workers=1)
    return root / "out"


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """A copy whose prepared.json is newer than the arrays."""
    shutil.copytree(made, tmp_path / "prep")
    os.utime(tmp_path / "prep" / prepared.RECORD)
    return tmp_path / "prep"


def age(directory: Path) -> None:
    """Lets all files be as old as each other, as after copying."""
    for path in directory.iterdir():
        os.utime(path, ns=(10**9, 10**9))


def test_images_are_mapped_and_labels_read(directory: Path) -> None:
    train, test = load(f"prepared:{directory}"), load(f"prepared:{directory}", "test")
    assert isinstance(train.x, np.memmap) and not isinstance(train.labels, np.memmap)
    assert (len(train), len(test), train.shape, train.classes) == (10, 2, (4, 4, 3), ("0", "1"))
    np.testing.assert_array_equal(train.x, np.load(directory / "train-images.npy"))
    np.testing.assert_array_equal(test.labels, np.load(directory / "test-labels.npy"))


def test_the_fingerprint_is_known_without_reading(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "checksum", None)
    train, test = load(f"prepared:{directory}"), load(f"prepared:{directory}", "test")
    assert train.fingerprint == load(f"prepared:{directory}").fingerprint != test.fingerprint
    assert train.take(np.arange(10)).fingerprint != train.fingerprint  # Of other arrays it is computed.


def test_without_a_test_split_it_is_the_training_data(directory: Path) -> None:
    file = directory / prepared.RECORD
    record = json.loads(file.read_text())
    del record["splits"]["test"]
    file.write_text(json.dumps(record))
    assert load(f"prepared:{directory}", "test").fingerprint == load(f"prepared:{directory}").fingerprint


def test_copies_are_checked_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(directory)
    checked: list[Path] = []
    checksum = prepared.checksum
    monkeypatch.setattr(prepared, "checksum", lambda path: checked.append(path) or checksum(path))
    first = load(f"prepared:{directory}")
    assert len(checked) == 4
    assert load(f"prepared:{directory}").fingerprint == first.fingerprint
    assert len(checked) == 4


@pytest.mark.parametrize("name", ["train-images.npy", "train-labels.npy", "test-images.npy", "test-labels.npy"])
@pytest.mark.parametrize("place", [0, 60, -1])
def test_a_change_of_one_bit_is_noticed(directory: Path, name: str, place: int) -> None:
    data = bytearray((directory / name).read_bytes())
    data[place] ^= 1
    (directory / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"{name} was changed since it was prepared: copy it again, or prepare"):
        load(f"prepared:{directory}")


@pytest.mark.parametrize(("size", "words"), [(-1, "is truncated"), (0, "is truncated"), (1, "is too long")])
def test_a_truncated_file_is_noticed(directory: Path, size: int, words: str) -> None:
    path = directory / "train-images.npy"
    os.truncate(path, path.stat().st_size + size if size else 0)
    with pytest.raises(InputError, match=rf"train-images\.npy {words}, it has \d+ bytes where 608 were prepared"):
        load(f"prepared:{directory}")


def test_a_missing_file_is_noticed(directory: Path) -> None:
    (directory / "test-labels.npy").unlink()
    with pytest.raises(InputError, match=r"test-labels\.npy can't be read \(No such file"):
        load(f"prepared:{directory}")


def test_another_version_is_refused(directory: Path) -> None:
    file = directory / prepared.RECORD
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 2}))
    with pytest.raises(
        InputError, match=r"^prepared:[^ ]*: the data was prepared by version 2 of .* this program reads version 1"
    ):
        load(f"prepared:{directory}")


@pytest.mark.parametrize("changes", [
    {"shape": [4, 4]}, {"shape": [4, 4, 2]}, {"shape": [4, 4, "3"]}, {"classes": [1, 2]}, {"classes": []},
    {"splits": {}}, {"splits": {"train": {"count": 0, "images": "", "labels": ""}}}, {"splits": {"train": 3}},
    {"notes": 3}, {"notes": [3]}, {"left_out": 3}, {"options": None}, {"version": None},
])  # fmt: skip
def test_a_record_that_prepare_did_not_write(directory: Path, changes: dict[str, Any]) -> None:
    file = directory / prepared.RECORD
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(InputError, match=r"prepared\.json is not what prepare wrote|by version None"):
        load(f"prepared:{directory}")


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000])
def test_a_record_that_is_no_json(directory: Path, text: str) -> None:
    (directory / prepared.RECORD).write_text(text)
    with pytest.raises(InputError, match=r"prepared\.json (can't be read|is not what prepare wrote)"):
        load(f"prepared:{directory}")


def test_directories_that_hold_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"there is no prepared\.json in the directory: prepare data with"):
            load(f"prepared:{path}")


def test_a_folder_of_mixed_sizes_says_how_to_prepare_it(tmp_path: Path) -> None:
    source = tmp_path / "my pets"
    save(source / "a.png", blobs(1, 4, 4)[0])
    save(source / "b.png", blobs(1, 5, 4)[0])
    with pytest.raises(InputError) as error:
        load(f"folder:{source}")
    assert f"`gan-jax prepare '{source}' --size 64 --out prepared/my-pets-64`" in str(error.value)
    assert str(error.value).endswith("train with --data prepared:prepared/my-pets-64")


def test_a_path_alone_is_asked_about(directory: Path) -> None:
    with pytest.raises(InputError, match=rf"did you mean prepared:{directory}\?"):
        load(str(directory))

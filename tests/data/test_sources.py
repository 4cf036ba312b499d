import gzip
import hashlib
import importlib.resources
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan_jax.data
from gan_jax.data import load
from gan_jax.data.sources import path_of
from gan_jax.errors import InputError

MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@pytest.mark.parametrize(("name", "digest"), MNIST_SHA256.items())
def test_the_embedded_files_are_mnist(name: str, digest: str) -> None:
    data = (importlib.resources.files("gan_jax.data") / "mnist" / f"{name}.gz").read_bytes()
    assert hashlib.sha256(gzip.decompress(data)).hexdigest() == digest


@pytest.mark.parametrize(
    ("split", "first_labels", "counts"),
    [
        (
            "train",
            [5, 0, 4, 1, 9],
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        ),
        ("test", [7, 2, 1, 0, 4], [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ],
)
def test_mnist(split: str, first_labels: list[int], counts: list[int]) -> None:
    start = time.process_time()
    dataset = load("mnist", split)
    assert time.process_time() - start < 1
    assert dataset.name == "mnist"
    assert dataset.x.shape == (sum(counts), 28, 28, 1)
    assert dataset.labels is not None
    assert dataset.labels[:5].tolist() == first_labels
    assert np.bincount(dataset.labels).tolist() == counts
    assert dataset.num_classes == 10
    assert (dataset.x.min(), dataset.x.max()) == (0, 255)


def test_mnist_has_the_mean_and_deviation_everyone_quotes() -> None:
    counts = np.bincount(load("mnist").x.ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = np.average(values, weights=counts)
    std = np.sqrt(np.average((values - mean) ** 2, weights=counts))
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert std == pytest.approx(0.3081, abs=5e-5)


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_toys(name: str) -> None:
    assert load(name).shape == load(name, "test").shape == (2,)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    mnist = Path(str(importlib.resources.files("gan_jax.data"))) / "mnist"
    np.testing.assert_array_equal(load(f"idx:{mnist}", "test").x, load("mnist", "test").x)
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    assert load("folder:~/images").shape == (2, 3, 1)
    np.savez(tmp_path / "a:b.npz", images=np.zeros((1, 2, 3), np.uint8))
    assert load("npz:~/a:b.npz").shape == (2, 3, 1)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            "mnits",
            r"^there is no dataset 'mnits' \(did you mean mnist\?\); choose one of mnist, stacked, ring, grid",
        ),
        ("Ring", r"did you mean ring\?\);"),
        ("mnist:9", r"did you mean mnist\?\);"),
        ("folders:/tmp", r"did you mean folder:DIR\?\);"),
        ("npz", r"did you mean npz:FILE\?\);"),
        ("idx:", r"did you mean idx:DIR\?\);"),
        ("", "no dataset ''; choose one of"),
        ("lfasjdhf", "no dataset 'lfasjdhf'; choose one of"),
        ("npz:~no_such_user/a.npz", "home directory is unknown"),
        ("own.npz", r"did you mean npz:own.npz\?\);"),
        ("~/deep/Own.NPZ", r"did you mean npz:~/deep/Own.NPZ\?\);"),
        ("pictures", r"did you mean folder:pictures\?\);"),
        (".", r"did you mean folder:\.\?\);"),
        ("~", r"did you mean folder:~\?\);"),
        ("digits", r"did you mean idx:digits\?\);"),
        ("nzp:own.npz", r"did you mean npz:FILE\?\);"),
        ("shape", r"did you mean shapes\[:SIZE\[/FACTOR\]\]\?\);"),
        ("robots:", r"did you mean robots\[:SIZE\[/FACTOR\]\]\?\);"),
    ],
)
def test_unknown_spec(spec: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    Path("digits").mkdir()
    Path("digits/train-images-idx3-ubyte.gz").touch()
    for given in (spec, Path(spec)) if str(Path(spec)) == spec else (spec,):
        with pytest.raises(InputError, match=words):
            load(given)


def test_a_path_object_may_hold_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((1, 2, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    assert load(Path("npz:a.npz")).name == "npz:a.npz"
    assert load(Path("mnist"), "test").name == "mnist"


def test_the_absolute_path_of_a_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/a")
    monkeypatch.chdir(tmp_path)
    assert path_of("npz:a/b.npz") == tmp_path / "a" / "b.npz"
    assert path_of("folder:~/a") == Path("/home/a/a")
    assert path_of("idx:/a") == Path("/a")
    assert path_of("mnist") is path_of("tfds:mnist") is path_of("ring") is path_of("shapes:64") is None


@pytest.mark.parametrize(
    ("arrays", "note"),
    [
        ({"images": np.ones((2, 4, 4), np.uint8)}, r"no pixel is above 1, and white is 255"),
        ({"images": np.zeros((2, 4, 4), np.uint8)}, r"no pixel is above 0"),
        ({"images": np.ones((2, 784), np.float32)}, r"points of 784 numbers, used unscaled"),
        ({"images": np.full((3, 4, 4), 255, np.uint8), "labels": [0, 2, 1]}, "every example has a class of its own"),
        ({"images": np.full((2, 4, 4), 255, np.uint8), "labels": ["a.png", "b.png"]}, "every example has a class"),
    ],
)
def test_what_is_seldom_meant_is_noted(tmp_path: Path, arrays: dict[str, np.ndarray], note: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    (found,) = load(f"npz:{tmp_path / 'a.npz'}").notes
    assert re.match(note, found)


@pytest.mark.parametrize("name", ["mnist", "stacked", "ring", "grid"])
def test_of_the_packages_own_data_nothing_is_noted_and_classes_are_numbers(name: str) -> None:
    for split in ("train", "test"):
        dataset = load(name, split)
        assert dataset.notes == ()
        assert dataset.classes == tuple(map(str, range(dataset.num_classes)))
        assert np.array_equal(np.unique(dataset.labels), np.arange(dataset.num_classes))


def test_unknown_split() -> None:
    with pytest.raises(InputError, match="no split 'val'; choose train or test"):
        load("ring", "val")


def test_import_and_mnist_need_nothing_slow() -> None:
    """Without `gan_jax/__init__.py`, whose own imports are another matter."""
    package = Path(gan_jax.data.__file__).parents[1]
    code = f"""
import sys, types
stub = sys.modules["gan_jax"] = types.ModuleType("gan_jax")
stub.__path__ = [{str(package)!r}]
import gan_jax.data
gan_jax.data.load("mnist", "test")
slow = {{"tensorflow_datasets", "tensorflow", "PIL", "scipy", "jax", "flax", "urllib.request"}}
print(sorted(slow & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n", result.stderr

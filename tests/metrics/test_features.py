import importlib.resources
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import data
from gan_jax.errors import InputError
from gan_jax.metrics import classify, features
from gan_jax.nets.classifier import Classifier
from tests.lab.helpers import call


def test_mnist_is_read_with_the_accuracy_on_record() -> None:
    test, mnist = data.load("mnist", "test"), features.load("mnist")
    logits = features.in_pieces(mnist.logits, test.x)
    accuracy = float(classify.gan_test(jnp.asarray(logits), jnp.asarray(test.labels)))
    assert accuracy == pytest.approx(mnist.record["test_accuracy"], abs=2e-4)
    assert accuracy >= 0.992


@pytest.mark.parametrize(("name", "accuracy"), [("mnist", 0.992), ("fashion_mnist", 0.90)])
def test_the_shipped_weights_are_small_and_on_record(name: str, accuracy: float) -> None:
    trained = features.load(name)
    assert trained.record["test_accuracy"] >= accuracy
    assert trained.record["command"].startswith("python -m experiments.classifier ")
    found = trained.features(jnp.zeros((3, 28, 28, 1), jnp.uint8))
    assert (found.shape, found.dtype) == ((3, 64), jnp.float32)
    assert trained.logits(jnp.zeros((3, 28, 28, 1), jnp.uint8)).shape == (3, 10)
    file = importlib.resources.files("gan_jax.metrics") / "weights" / f"{name}.npz"
    assert len(file.read_bytes()) < 1_000_000


def test_a_training_set_is_known_however_it_is_ordered() -> None:
    mnist = data.load("mnist")
    assert mnist.labels is not None
    shuffled = data.Dataset("shuffled", mnist.x[::-1], mnist.labels[::-1], mnist.classes)
    assert features.of_dataset(shuffled) == "mnist"
    assert features.of_dataset(data.load("mnist", "test")) is None
    assert features.of_dataset(data.load("ring")) is None


@pytest.mark.parametrize("n", [1, 5, 10, 13])
def test_pieces_are_the_whole(n: int) -> None:
    images = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)
    doubled = features.in_pieces(lambda x: 2 * x[:, 0, 0].astype(jnp.float32), images, 5)
    np.testing.assert_array_equal(doubled[:, 0], 2 * np.arange(n))


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """Images of four classes, a bright quarter each."""
    rng = np.random.default_rng(0)
    labels = np.arange(400, dtype=np.int32) % 4
    images = rng.integers(0, 60, (400, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 150
    np.savez(tmp_path / "tiny.npz", images=images.astype(np.uint8), labels=labels)
    return f"npz:{tmp_path / 'tiny.npz'}"


@pytest.mark.slow
def test_the_command_is_deterministic_and_its_file_loads(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        assert call("classifier", tiny, "--steps", 5, "--out", tmp_path / f"{name}.npz") == 0
    assert "5 steps, accuracy" in capsys.readouterr().out
    a, b = (features.load(tmp_path / f"{name}.npz") for name in "ab")
    dataset = data.load(tiny)
    assert 0 <= a.record["test_accuracy"] <= 1
    assert a.record["steps"] == 5
    assert a.record["fingerprint"] == features.fingerprint(dataset)
    np.testing.assert_array_equal(a.features(jnp.asarray(dataset.x)), b.features(jnp.asarray(dataset.x)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ring", "--out", "a.npz"], "no labelled images"),
        (["mnist", "--out", "a.json"], "must end in .npz"),
        (["mnist", "--out", "nowhere/a.npz"], "no directory nowhere"),
    ],
)
def test_what_can_not_be_is_one_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("classifier", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_a_file_that_holds_no_classifier(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="holds no classifier"):
        features.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.zeros(3))
    with pytest.raises(InputError, match="holds no classifier"):
        features.load(tmp_path / "b.npz")
    with pytest.raises(InputError, match="can't be read"):
        features.load("cifar")


@pytest.mark.parametrize(
    "change",
    [{"shape": None}, {"shape": [8, 8]}, {"fingerprint": None}, {"test_accuracy": None}, {"num_classes": 5},
     {"width": 16}, {"Dense_1/bias": None}, {"Dense_1/bias": np.zeros(3, np.float16)},
     {"more/bias": np.zeros(3, np.float16)}],
    ids=str,
)  # fmt: skip
def test_a_classifier_that_is_not_whole_is_none(change: dict[str, Any], tmp_path: Path) -> None:
    net = Classifier(4, width=8, hidden=16)
    params = net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]
    record = {"shape": [8, 8, 1], "fingerprint": [1, 8, 8, 1, 0], "test_accuracy": 0.5}
    features.save(tmp_path / "a.npz", net, params, record)
    assert features.load(tmp_path / "a.npz").record["num_classes"] == 4
    with np.load(tmp_path / "a.npz") as whole:
        arrays = {key: whole[key] for key in whole if key != "record"}
        record = json.loads(str(whole["record"]))
    for key, value in change.items():
        target = arrays if "/" in key else record
        target[key] = value
        if value is None:
            del target[key]
    np.savez(tmp_path / "b.npz", record=json.dumps(record), **arrays)
    with pytest.raises(InputError, match=r"b\.npz holds no classifier"):
        features.load(tmp_path / "b.npz")


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    net, found = Classifier(4, width=8, hidden=16), []
    for seed in (0, 1, 0):
        params = net.init(jax.random.key(seed), jnp.zeros((1, 8, 8, 1)))["params"]
        record = {"shape": [8, 8, 1], "fingerprint": [1, 8, 8, 1, 0], "test_accuracy": 0.5}
        features.save(tmp_path / "a.npz", net, params, record)
        found.append(np.asarray(features.load(tmp_path / "a.npz").logits(jnp.full((1, 8, 8, 1), 200, jnp.uint8))))
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0], found[1])


def test_the_library_imports_no_metrics() -> None:
    code = """
import sys
import gan_jax
assert "gan_jax.metrics" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0

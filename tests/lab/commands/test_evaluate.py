import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax.lab.measuring import measures
from gan_jax.metrics import modes
from tests.lab.helpers import call


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny run each of an unconditional, a labelled, an image-conditioned and a toy GAN, and a classifier."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (90, 8, 8, 1)).astype(np.uint8)
    np.savez(
        folder / "tiny.npz",
        images=pixels[:60],
        labels=np.arange(60) % 3,
        test_images=pixels[60:],
        test_labels=np.arange(30) % 3,
    )
    images = f"npz:{folder / 'tiny.npz'}"
    for name, spec in (("gan", images), ("cgan", images), ("completion", images), ("wgan", "ring")):
        arguments = ["--data", spec, "--steps", 1, "--batch-size", 4, "--width", 16, "--out", folder / name]
        assert call("run", name, *arguments) == 0
    assert call("classifier", images, "--steps", 5, "--out", folder / "classifier.npz") == 0
    return folder


@pytest.fixture(autouse=True)
def _short_gan_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "GAN_TRAIN_STEPS", 3)


def _record(path: Path) -> dict[str, Any]:
    return json.loads((path / "evaluation.json").read_text())


_READ = ["frechet", "kernel", "precision", "recall", "density", "coverage"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gan", [*_READ, "parzen", "parzen_blurred", "parzen_kmeans"]),
        ("cgan", [*_READ, "gan_test", "gan_train", "parzen", "parzen_blurred", "parzen_kmeans"]),
    ],
)
def test_images(name: str, expected: list[str], runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--classifier", runs / "classifier.npz", "--n", 20, "--sets", 2]
    assert call("evaluate", runs / name, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    metrics = _record(runs / name)["metrics"]
    assert list(metrics) == [line.split()[0] for line in lines[2:-1]] == expected
    for key, entry in metrics.items():
        once = key.startswith(("kernel", "gan_train", "parzen"))
        assert len(entry["values"]) == (1 if once else 2)
        assert entry["value"] == pytest.approx(np.mean(entry["values"]))
        assert entry["spread"] is not None
        bound = entry["floor"] if key in measures.LOWER_IS_BETTER else entry["ceiling"]
        assert bound is not None
    if "gan_test" in metrics:
        accuracy = _record(runs / name)["classifier"]["test_accuracy"]
        assert metrics["gan_test"]["ceiling"] == pytest.approx(accuracy)
    # A generator of one step is further from the data than the data is from itself.
    assert metrics["frechet"]["value"] > metrics["frechet"]["floor"]


def test_that_nothing_was_held_out_is_said(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "all.npz", images=np.random.default_rng(1).integers(0, 256, (20, 8, 8, 1)).astype(np.uint8))
    options = ["--data", f"npz:{tmp_path / 'all.npz'}", "--steps", 1, "--batch-size", 4, "--width", 16]
    assert call("run", "gan", *options, "--out", tmp_path / "run") == 0
    for path, held_out in ((tmp_path / "run", False), (runs / "gan", True)):
        assert call("evaluate", path, "--metrics", "parzen", "--n", 10, "--sets", 1) == 0
        assert ("against the training data: there is no test split" in capsys.readouterr().out) == (not held_out)
        assert _record(path)["held_out"] == held_out


def test_points(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "ring.json"
    assert call("evaluate", runs / "wgan", "--metrics", "modes", "--n", 500, "--out", out) == 0
    metrics = json.loads(out.read_text())["metrics"]
    assert list(metrics) == ["modes", "high_quality", "kl", "sigma_ratio"]
    assert metrics["modes"]["ceiling"] == 8
    assert metrics["high_quality"]["ceiling"] == pytest.approx(0.98889, abs=1e-5)
    assert metrics["kl"]["floor"] == modes.kl_floor(8, 500)


def test_the_seed_decides_the_numbers(runs: Path, tmp_path: Path) -> None:
    def values(seed: int) -> Any:
        arguments = ["--metrics", "sliced", "--n", 100, "--seed", seed, "--out", tmp_path / "a.json"]
        assert call("evaluate", runs / "wgan", *arguments) == 0
        return json.loads((tmp_path / "a.json").read_text())["metrics"]

    assert values(1) == values(1)
    assert values(1) != values(2)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("completion", [], "contain a part of a real image"),
        ("gan", ["--metrics", "frechet"], "makes the one that evaluate --classifier takes: classifier npz:"),
        ("gan", ["--metrics", "gan_train"], "gan_train does not fit gan"),
        ("gan", ["--metrics", "modes,fid"], "expected one of frechet"),
        ("wgan", ["--metrics", "parzen"], "which has sliced, modes"),
        ("gan", ["--classifier", "cifar"], "cifar can't be read"),
        ("gan", ["--out", "/nowhere/a.json"], "no directory /nowhere"),
        ("gan", ["--n", "1"], "at least 10"),
        ("nothing", [], "not a run"),
    ],
)
def test_what_can_not_be_evaluated_is_one_sentence(
    name: str, options: list[str], words: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", runs / name, *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1

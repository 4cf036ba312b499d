import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import gan_jax
from gan_jax import data
from gan_jax.gan import GAN
from gan_jax.lab.measuring import evaluation, measures
from gan_jax.lab.runs import tracking
from gan_jax.metrics import features, modes, random_net
from gan_jax.nets.recognition import recognised
from gan_jax.training import Examples, as_batch
from tests.lab.exports.helpers import made
from tests.lab.helpers import call, tiny


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
        made(folder / name, name, spec)
    assert call("classifier", images, "--steps", 5, "--out", folder / "classifier.npz") == 0
    return folder


@pytest.fixture(autouse=True)
def _short_gan_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "GAN_TRAIN_STEPS", 3)


def _record(path: Path) -> dict[str, Any]:
    return json.loads((path / "evaluation.json").read_text())


_READ = ["frechet", "kernel", "precision", "recall", "density", "coverage"]
_ANY, _SLOW = ["sliced_wasserstein"], ["parzen", "parzen_blurred", "parzen_kmeans"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("gan", [*_READ, *_ANY, *_SLOW], marks=pytest.mark.slow),
        ("cgan", [*_READ, "gan_test", *_ANY, "gan_train", *_SLOW]),
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
    made(tmp_path / "run", "gan", f"npz:{tmp_path / 'all.npz'}")
    for path, held_out in ((tmp_path / "run", False), (runs / "gan", True)):
        assert call("evaluate", path, "--metrics", "parzen", "--n", 10, "--sets", 1) == 0
        assert ("against the training data: there is no test split" in capsys.readouterr().out) == (not held_out)
        assert _record(path)["held_out"] == held_out


@pytest.mark.slow
def test_what_the_features_are_is_said_and_written(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("def five(images):\n    return images.reshape(len(images), -1)[:, :5]\n")
    default = random_net.load((8, 8, 1)).label
    k = runs / "classifier.npz"
    digest = features.of_classifier(features.load(k)).label
    for typed, label in (
        ([], default),
        (["--features", "random:2", "--classifier", k], random_net.load((8, 8, 1), 2).label),
        (["--classifier", k], digest),
        (["--features", k], digest),
        (["--features", f"{tmp_path / 'mine.py'}:five"], f"{tmp_path / 'mine.py'}:five (5 numbers)"),
    ):
        out = tmp_path / "a.json"
        options = ["--metrics", "frechet,sliced", "--n", 20, "--sets", 1, "--out", out]
        assert call("evaluate", runs / "cgan", *options, *typed) == 0
        assert f"20 samples per set, features of {label}\n" in capsys.readouterr().out
        record = json.loads(out.read_text())
        assert " ".join(filter(None, record["features"].values())) == label
        assert (record["classifier"] is None) == ("--classifier" not in typed)
    # A record names no code: the default is what the run is measured with, unless features are typed again.
    assert "mine" not in (runs / "cgan" / "config.json").read_text()
    assert call("evaluate", runs / "cgan", "--metrics", "sliced", "--n", 20, "--sets", 1, "--out", out) == 0
    assert "features of" not in capsys.readouterr().out
    assert json.loads(out.read_text())["features"] is None


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


@pytest.mark.slow
def test_the_error_of_a_code_is_that_of_what_d_reads_in_test_images(runs: Path, tmp_path: Path) -> None:
    images = f"npz:{runs / 'tiny.npz'}"
    arguments = ["--data", images, "--steps", 1, *tiny("infogan"), "--categories", 3]
    assert call("run", "infogan", *arguments, "--out", tmp_path / "run") == 0
    assert call("evaluate", tmp_path / "run", "--metrics", "code,sliced", "--n", 20, "--sets", 2) == 0
    found = _record(tmp_path / "run")["metrics"]
    assert len(found["sliced_wasserstein"]["values"]) == 2
    test = data.load(images, "test")
    trained = gan_jax.load(tmp_path / "run")
    x, y = as_batch(trained.gan, Examples(jnp.asarray(test.x)))
    state = trained.state.discriminator
    read = np.asarray(recognised(trained.gan.discriminator, state.variables, x, y)["c1"])
    assert test.labels is not None
    error = min(np.mean(np.array(match)[read] != test.labels) for match in itertools.permutations(range(3)))
    assert found["code_error"]["value"] == pytest.approx(error)
    assert found["code_error"]["spread"] == pytest.approx(np.sqrt(error * (1 - error) / 30))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("completion", [], "contain a part of a real image"),
        ("cgan", ["--metrics", "gan_test"], "make one with the command classifier (classifier npz:"),
        ("gan", ["--metrics", "sliced,parzen", "--features", "random"], "sliced, parzen is not made of features"),
        ("wgan", ["--features", "random"], "ring is points, which need no features"),
        ("gan", ["--features", "mnist"], "takes images of 28x28x1 and npz:"),
        ("gan", ["--features", "inception:nowhere.pth"], "nowhere.pth can't be read"),
        ("gan", ["--features", "nothing"], "expected random[:SEED], inception:FILE"),
        ("gan", ["--metrics", "gan_train"], "gan_train does not fit gan"),
        ("gan", ["--metrics", "gan_test"], "it needs a GAN that is conditioned on labels"),
        ("gan", ["--metrics", "code"], "it needs a GAN with a categorical code, and labelled data"),
        ("gan", ["--classifier", "mnist"], "takes images of 28x28x1 and npz:"),
        ("wgan", ["--classifier", "mnist"], "ring is points, which need no classifier"),
        ("wgan", ["--metrics", "frechet"], "it is made for images"),
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


def test_rows_are_written_as_they_are_measured(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, seen = tmp_path / "a.json", []

    def looking(reference: Any, draw: Any) -> Any:
        seen.append((json.loads(out.read_text()), capsys.readouterr().out))
        return measures._modes(reference, draw)

    modes_row = measures.MEASURES["modes"]._replace(of=looking)
    monkeypatch.setattr(measures, "MEASURES", {**measures.MEASURES, "modes": modes_row})
    monkeypatch.setattr(evaluation, "MEASURES", measures.MEASURES)
    assert (
        call("evaluate", runs / "wgan", "--n", 100, "--sets", 2, "--out", out, "--metrics", "sliced,modes,sliced") == 0
    )
    (before, said), _ = seen
    assert list(before["metrics"]) == ["sliced_wasserstein"]
    assert not before["complete"]
    assert said.splitlines()[-1].startswith("sliced_wasserstein ")
    assert len(before["metrics"]["sliced_wasserstein"]["values"]) == 2
    after = json.loads(out.read_text())
    assert after["complete"]
    assert after["metrics"]["sliced_wasserstein"] == before["metrics"]["sliced_wasserstein"]


def test_interrupted_it_leaves_at_once_with_what_was_measured(runs: Path, tmp_path: Path) -> None:
    code = f"""
import time
from gan_jax.lab import main
from gan_jax.lab.measuring import evaluation, measures
slow = measures.MEASURES["modes"]._replace(of=lambda *_: time.sleep(60))
measures.MEASURES = evaluation.MEASURES = {{**measures.MEASURES, "modes": slow}}
main(argv=["evaluate", {str(runs / "wgan")!r}, "--n", "100", "--out", {str(tmp_path / "a.json")!r}])
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("sliced"):
        assert process.poll() is None
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, error = process.communicate()
    assert time.monotonic() - started < 2
    assert process.returncode == 130
    assert f"stopped: {tmp_path / 'a.json'} has the first 1 of 2 metrics" in error
    record = json.loads((tmp_path / "a.json").read_text())
    assert (list(record["metrics"]), record["complete"]) == (["sliced_wasserstein"], False)


def test_where_nothing_can_be_written_nothing_is_measured(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "measured", None)
    for out, words in ((runs, "is a directory"), (Path("/proc/a.json"), "can't be written")):
        assert call("evaluate", runs / "wgan", "--out", out) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(np.full((1, 8, 8), 7, np.uint8), id="image", marks=pytest.mark.slow),
        pytest.param(np.ones((1, 2), np.float32), id="point"),
    ],
)
def test_data_of_one_example_is_measured_without_bounds(
    data: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "one.npz", images=data)
    options = ["--data", f"npz:{tmp_path / 'one.npz'}", "--steps", 1, *tiny("gan", points=data.ndim == 2)]
    assert call("run", "gan", *options, "--out", tmp_path / "run") == 0
    assert call("evaluate", tmp_path / "run", "--n", 20, "--sets", 2) == 0
    assert "no floors and ceilings" in capsys.readouterr().out

    def refuse(word: str) -> None:
        raise AssertionError(word)

    record = json.loads((tmp_path / "run" / "evaluation.json").read_text(), parse_constant=refuse)
    assert record["complete"]
    assert all(entry["floor"] is None and entry["ceiling"] is None for entry in record["metrics"].values())
    assert all(entry["value"] is not None for entry in record["metrics"].values())


@pytest.mark.slow
def test_samples_that_are_not_finite_are_not_measured(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = GAN.generate
    monkeypatch.setattr(GAN, "generate", lambda *arguments: generate(*arguments) * np.float32(np.nan))
    for name in ("wgan", "gan"):
        assert call("evaluate", runs / name, "--n", 20, "--out", tmp_path / "a.json") == 2
        assert "some samples are not finite" in capsys.readouterr().err
        assert call("sample", runs / name, "--n", 20, "--out", tmp_path / "a.png") == 2
        assert "some samples are not finite" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_labels_that_the_test_set_has_unequally_often_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    for name, labels in (("even", np.arange(60) % 3), ("uneven", np.minimum(np.arange(60) % 10, 2))):
        np.savez(tmp_path / f"{name}.npz", images=pixels, labels=labels)
        made(tmp_path / name, "cgan", f"npz:{tmp_path / name}.npz")
        assert call("evaluate", tmp_path / name, "--n", 20, "--sets", 1, "--metrics", "sliced") == 0
        assert ("between 10.0% and 80.0% of each" in capsys.readouterr().out) == (name == "uneven")


@pytest.mark.slow
def test_a_runs_own_classifier_is_what_it_is_measured_with(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs)
    monkeypatch.setattr(tracking, "SAMPLES", 50)
    options = ["--data", f"npz:{runs / 'tiny.npz'}", "--steps", 2, *tiny("gan")]
    options += ["--classifier", "classifier.npz", "--track", "frechet", "--track-every", 1]
    assert call("run", "gan", *options, "--out", tmp_path / "run") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["options"]["classifier"] == str(runs / "classifier.npz")
    monkeypatch.chdir(tmp_path)
    assert call("run", "gan", "--resume", "run", "--steps", 3) == 0
    best = json.loads(Path("run/best.json").read_text())
    assert best["metric"] == "frechet"
    assert call("evaluate", "run", "--metrics", "frechet", "--n", 20, "--sets", 1) == 0
    assert _record(Path("run"))["classifier"]["data"].endswith("tiny.npz")

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from gan_jax.data import Dataset
from gan_jax.lab.measuring import classifiers
from gan_jax.lab.progress import Progress
from gan_jax.nets.classifier import Classifier
from tests.helpers import optimised
from tests.lab.helpers import call

_NET = Classifier(3, width=4, hidden=8)


@pytest.fixture(autouse=True, scope="module")
def _optimised() -> Iterator[None]:
    with optimised():
        yield


def _bars(n: int, noise: int = 50) -> Dataset:
    """Images of three classes: a bright row at the top, in the middle, below."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=n).astype(np.int32)
    images = rng.integers(0, noise, (n, 12, 8, 1))
    images[np.arange(n), 1 + 4 * labels] += 200
    return Dataset("bars", images.astype(np.uint8), labels, tuple("012"))


def _noise(n: int) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 12, 8, 1)).astype(np.uint8)
    return Dataset("noise", x, rng.integers(3, size=n).astype(np.int32), tuple("012"))


def _learned(dataset: Dataset) -> tuple[classifiers.Learned, Progress]:
    with Progress(classifiers.most_steps(len(dataset)), what="test", quiet=True) as progress:
        return classifiers.learn(_NET, dataset, jax.random.key(0), progress), progress


class _Training(NamedTuple):
    learned: classifiers.Learned
    progress: Progress
    rates: list[float]


@pytest.fixture(scope="module")
def of_bars() -> _Training:
    """What can be learned, learned, with the rate of every step."""
    rates: list[float] = []
    to = classifiers._Learner.to

    def noting(learner: Any, end: int, rate: Any) -> None:
        rates.extend(np.asarray(rate(np.arange(learner.step, end))))
        to(learner, end, rate)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers._Learner, "to", noting)
        return _Training(*_learned(_bars(300)), rates)


def test_steps_scale_with_the_data() -> None:
    assert [classifiers.most_steps(n) for n in (1, 1000, 20_000, 60_000, 10**6)] == [500, 500, 2656, 7968, 8000]


def _assert_ended_early(dataset: Dataset, learned: classifiers.Learned, progress: Progress) -> None:
    assert learned.steps == progress.n < classifiers.most_steps(len(dataset))
    held_out = learned.held_out
    assert held_out is not None and len(held_out) == 30
    # Each held-out example is one of the data's, with its label, and none is there twice.
    labels = {image.tobytes(): label for image, label in zip(dataset.x, dataset.labels, strict=True)}
    assert [labels[image.tobytes()] for image in held_out.x] == held_out.labels.tolist()
    assert len({image.tobytes() for image in held_out.x}) == 30


def test_training_ends_when_held_out_accuracy_no_longer_rises(of_bars: _Training) -> None:
    _assert_ended_early(_bars(300), of_bars.learned, of_bars.progress)


@pytest.mark.slow
def test_training_ends_where_nothing_is_learned() -> None:
    _assert_ended_early(_noise(300), *_learned(_noise(300)))


def test_what_can_be_learned_is_learned_and_the_rates_end_at_zero(of_bars: _Training) -> None:
    learned, rates = of_bars.learned, of_bars.rates
    assert len(rates) == learned.steps
    peak = classifiers.PEAK_RATE
    assert max(rates) == pytest.approx(peak)
    top = np.flatnonzero(np.isclose(rates, peak))
    # Up, along, down: it falls for a third of the steps before.
    assert (np.diff(rates[: top[0] + 1]) > 0).all() and (np.diff(rates[top[-1] :]) < 0).all()
    assert 0 < rates[-1] < 0.05 * peak
    assert learned.steps - top[-1] == pytest.approx(learned.steps / 4, abs=2)


def test_too_few_images_to_hold_any_out_are_all_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers, "_FEWEST_STEPS", 5)
    learned, _ = _learned(_bars(6))
    assert (learned.steps, learned.held_out) == (5, None)


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    whole = _bars(120)
    np.savez(
        tmp_path / "bars.npz", images=whole.x[:80], labels=whole.labels[:80],
        test_images=whole.x[80:], test_labels=whole.labels[80:],
    )  # fmt: skip
    np.savez(tmp_path / "train.npz", images=whole.x[:80], labels=whole.labels[:80])
    return tmp_path


def _record(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        return json.loads(str(arrays["record"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "options", "of", "held_out"),
    [
        ("bars", [], "40 test images", True),
        ("bars", ["--steps", 7], "40 test images", True),
        ("train", [], "8 held-out training images", True),
        ("train", ["--steps", 7], "80 training images", False),
    ],
)
def test_the_file_says_how_long_it_trained_and_what_was_held_out(
    data: str, options: list[Any], of: str, held_out: bool, bars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = bars / "k.npz"
    assert call("classifier", f"npz:{bars / data}.npz", "--out", out, *options) == 0
    record = _record(out)
    said = capsys.readouterr().out
    assert said == f"{record['steps']} steps, accuracy {record['test_accuracy']:.4f} on {of}: {out}\n"
    assert record["steps"] == 7 if options else 0 < record["steps"] <= 500
    assert record["seconds"] > 0
    assert record["held_out"] == held_out
    assert record["shape"] == [12, 8, 1]
    assert f"npz:{bars / data}.npz" in record["command"]


def test_what_can_not_be_learned_is_one_sentence_before_training(
    bars: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = _bars(20).x, _bars(20).labels
    np.savez(bars / "unlabelled.npz", images=x)
    np.savez(bars / "points.npz", images=np.ones((9, 2), np.float32), labels=np.arange(9) % 2)
    np.savez(bars / "one.npz", images=x, labels=np.ones(20, int))
    np.savez(bars / "sizes.npz", images=x, labels=y, test_images=x[:, :8], test_labels=y)
    monkeypatch.setattr(classifiers, "_Learner", None)
    for name, out, words in (
        ("unlabelled", bars / "k.npz", "no labelled images"),
        ("points", bars / "k.npz", "no labelled images"),
        ("one", bars / "k.npz", "of one class: a classifier needs two"),
        ("sizes", bars / "k.npz", "sizes.npz"),
        ("bars", Path("/nowhere/k.npz"), "no directory /nowhere"),
        ("bars", Path("/proc/k.npz"), "can't be written"),
        ("bars", bars / "k.png", "must end in .npz"),
    ):
        assert call("classifier", f"npz:{bars / name}.npz", "--out", out) == 2
        error = capsys.readouterr().err
        assert words in error, error
        assert error.count("\n") == 1
    assert not (bars / "k.npz").exists()

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, sampling
from gan_jax.lab.measuring import evaluation, measures
from gan_jax.lab.runs import directory
from gan_jax.metrics import random_net
from tests.lab.helpers import call, tiny

_RING = ["--data", "ring", *tiny("gan", points=True), "--lr", 0.01, "--log-every", 3, "--save-every", 3]
_TRACKED = ["--track", "sliced,modes", "--track-every", 2]


@pytest.fixture(scope="module", autouse=True)
def _runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One run tracked, one not, one tracked that was cut and resumed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("runs"))
        assert call("run", "gan", *_RING, *_TRACKED, "--steps", 12, "--out", "tracked") == 0
        assert call("run", "gan", *_RING, "--steps", 12, "--out", "plain") == 0
        assert call("run", "gan", *_RING, *_TRACKED, "--steps", 6, "--out", "cut") == 0
        assert call("run", "gan", "--resume", "cut", "--steps", 12) == 0
        yield


def _scores(path: str) -> dict[int, float]:
    records = [json.loads(line) for line in Path(path, "metrics.jsonl").read_text().splitlines()]
    return {r["step"]: r["sliced_wasserstein"] for r in records if "sliced_wasserstein" in r}


def _restored(path: str, *, best: bool) -> Any:
    loaded = directory.load(Path(path), EXPERIMENTS)
    return loaded.restore_best() if best else loaded.restore()


def test_numbers_stand_in_the_metrics_at_every_nth_step() -> None:
    assert sorted(_scores("tracked")) == [2, 4, 6, 8, 10, 12]
    last = json.loads(Path("tracked/metrics.jsonl").read_text().splitlines()[-1])
    assert {"modes", "high_quality", "d_loss"} <= last.keys()


def test_the_best_checkpoint_is_that_of_the_best_number() -> None:
    scores = _scores("tracked")
    step = min(scores, key=lambda step: scores[step])
    best = json.loads(Path("tracked/best.json").read_text())
    assert best == {"metric": "sliced_wasserstein", "value": scores[step], "step": step}
    assert int(_restored("tracked", best=True).step) == step
    assert int(_restored("tracked", best=False).step) == 12


def test_tracking_changes_no_bit_of_the_training_and_resumes() -> None:
    for leaf, plain, cut in zip(
        *(jax.tree.leaves(_restored(path, best=False)) for path in ("tracked", "plain", "cut")), strict=True
    ):
        np.testing.assert_array_equal(leaf, plain)
        np.testing.assert_array_equal(leaf, cut)
    assert _scores("cut") == _scores("tracked")
    assert Path("cut/best.json").read_text() == Path("tracked/best.json").read_text()


def test_the_best_is_what_best_samples_and_evaluates(capsys: pytest.CaptureFixture[str]) -> None:
    step = json.loads(Path("tracked/best.json").read_text())["step"]
    assert call("sample", "tracked", "--best", "--out", "a.npz") == 0
    assert f"at step {step}:" in capsys.readouterr().out
    assert call("evaluate", "tracked", "--best", "--metrics", "modes", "--sets", 1) == 0
    assert json.loads(Path("tracked/evaluation.json").read_text())["step"] == step
    assert call("sample", "plain", "--best", "--out", "a.npz") == 2
    assert "kept no best checkpoint" in capsys.readouterr().err


def test_of_what_is_better_when_higher_the_highest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.1, 0.3, 0.2])
    share = measures.MEASURES["sliced"]._replace(of=lambda *_: {"share": measures.Value(next(values))}, decides="share")
    monkeypatch.setattr(measures, "MEASURES", {**measures.MEASURES, "sliced": share})
    assert call("run", "gan", *_RING, "--track", "sliced", "--track-every", 2, "--steps", 6, "--out", "high") == 0
    assert json.loads(Path("high/best.json").read_text()) == {"metric": "share", "value": 0.3, "step": 4}


@pytest.mark.parametrize("content", ["", "{}", '{"metric": "sliced_wasserstein", "value": "low"}', "[]"])
def test_a_damaged_record_of_the_best_is_one_sentence(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("tracked", "damaged", dirs_exist_ok=True)
    Path("damaged/best.json").write_text(content)
    assert call("run", "gan", "--resume", "damaged", "--steps", 14) == 2
    error = capsys.readouterr().err
    assert "best.json is not what --track wrote" in error
    assert error.count("\n") == 1


def test_parzen_windows_choose_nothing() -> None:
    assert (measures.decider("prdc"), measures.decider("frechet")) == ("coverage", "frechet")
    with pytest.raises(InputError, match="nothing is chosen by parzen_blurred"):
        measures.decider("parzen_blurred")


def test_a_metric_that_does_not_fit_is_refused_before_anything_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "gan", *_RING, "--track", "parzen", "--out", "new") == 2
    assert "parzen does not fit gan on ring, which has sliced, modes" in capsys.readouterr().err
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--track", "frechet", "--classifier", "nowhere.npz"], "nowhere.npz can't be read"),
        (["--track", "sliced", "--classifier", "mnist"], "takes images of 28x28x1"),
        (["--classifier", "fashion_mnist"], "takes images of 28x28x1"),
        (["--track", "frechet", "--features", "nowhere.npz"], "nowhere.npz can't be read"),
        (["--track", "sliced", "--features", "random"], "sliced is not made of features"),
        (["--features", "random"], "--features says what --track measures with"),
        (["--track", "gan_test"], "conditioned on labels"),
    ],
)
def test_a_classifier_that_does_not_fit_is_refused_before_anything_is_written(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("own.npz", images=np.zeros((20, 8, 8), np.uint8), labels=np.arange(20) % 2)
    assert call("run", "gan", "--data", "npz:own.npz", "--width", 4, *options, "--out", "new") == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not Path("new").exists()


@pytest.mark.slow
def test_unlabelled_images_are_tracked_by_their_pixels() -> None:
    np.savez("plain.npz", images=np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8))
    options = [*tiny("gan"), "--steps", 2, "--track", "sliced", "--track-every", 1]
    assert call("run", "gan", "--data", "npz:plain.npz", *options, "--out", "pixels") == 0
    assert json.loads(Path("pixels/best.json").read_text())["metric"] == "sliced_wasserstein"


def test_a_run_goes_on_with_the_features_that_it_was_tracked_with(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("plain.npz", images=np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8))
    typed = ["--data", "npz:plain.npz", *tiny("gan"), "--track", "frechet", "--track-every", 1]
    assert call("run", "gan", *typed, "--steps", 2, "--features", "random:1", "--out", "features") == 0
    label = random_net.load((8, 8, 1), 1).label
    assert f"--track measures features of {label}" in capsys.readouterr().out
    for file in ("best.json", "run.json"):
        assert json.loads(Path("features", file).read_text())["features"] == label
    assert "random" not in Path("features/config.json").read_text()
    for other in ([], ["--features", "random:2"]):
        assert call("run", "gan", "--resume", "features", "--steps", 3, *other) == 2
        error = capsys.readouterr().err
        assert f"features was tracked with features of {label}, and would be with random net" in error
        assert error.count("\n") == 1
    assert (
        call("run", "gan", *typed, "--steps", 3, "--features", "random:1", "--out", "features", "--resume", "auto") == 0
    )
    assert json.loads(Path("features/run.json").read_text())["features"] == label


def test_of_samples_that_are_not_finite_there_are_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise sampling.NotFiniteError("some samples are not finite")

    monkeypatch.setattr(evaluation, "sample_drawer", lambda *_: refuse)
    assert call("run", "gan", *_RING, *_TRACKED, "--steps", 2, "--out", "broken") == 0
    assert _scores("broken") == {}
    assert not Path("broken/best.json").exists()

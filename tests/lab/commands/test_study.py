import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.commands import study
from gan_jax.lab.runs import directory
from gan_jax.lab.sweep import cohorts, plan
from gan_jax.lab.sweep.plan import Axis
from gan_jax.lab.values import Penalties, Scheduled
from tests.lab.helpers import call

_TINY = ["gan", "--data", "npz:points.npz", "--width", 8, "--batch-size", 8, "--steps", 4, "--log-every", 2]
_SEARCH = [*_TINY, "--score-samples", 100, "--storage", "out/study.log"]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "points.npz", images=np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))


def _trials(storage: str) -> list[optuna.trial.FrozenTrial]:
    found = optuna.load_study(study_name="gan", storage=optuna.storages.JournalStorage(JournalFileBackend(storage)))
    return found.get_trials()


def _best(output: str) -> tuple[str, Path]:
    """The last line that a study prints, and the directory of the run in it."""
    line = output.splitlines()[-1]
    return line, Path(line.rpartition("(")[2].rstrip(")"))


def test_a_study_is_shared_by_all_that_name_its_storage(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_SEARCH, "--lr", "log:1e-4:1e-1", "--b1", "0.0,0.5"]
    assert call("study", *typed, "--trials", 2, "--population", 2) == 0
    assert call("study", *typed, "--trials", 5, "--population", 2) == 0
    trials = _trials("out/study.log")
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 5
    assert all(1e-4 <= trial.params["lr"] <= 1e-1 and trial.params["b1"] in (0.0, 0.5) for trial in trials)
    assert len({trial.params["lr"] for trial in trials}) == 5
    best = min(trials, key=lambda trial: trial.value or np.inf)
    output, path = _best(capsys.readouterr().out)
    assert output.startswith("5 trials; best sliced_wasserstein")
    assert f": lr {best.params['lr']:.3g}, b1 {best.params['b1']:.3g} (" in output
    options = json.loads((path / "config.json").read_text())["options"]
    assert options["lr"] == best.params["lr"]
    assert options["b1"] == best.params["b1"]
    loaded = directory.load(path, EXPERIMENTS)
    assert int(loaded.restore(loaded.job.gan()).step) == 4
    # A study is of one set of choices.
    capsys.readouterr()
    assert call("study", *_SEARCH, "--lr", "log:1e-4:1e-1", "--b1", "0.0,0.9", "--trials", 6) == 2
    error = capsys.readouterr().err
    assert "out/study.log holds a study of gan with other choices" in error
    assert error.count("\n") == 1


def test_a_study_searches_ends_of_schedules_and_objectives(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_SEARCH, "--lr", "cosine:log(1e-4,1e-1):1e-5", "--loss", "recipe,hinge"]
    typed += ["--penalty", "none,r1:log(0.1,10)"]
    assert call("study", *typed, "--trials", 6, "--population", 6) == 0
    trials = _trials("out/study.log")
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 6
    for trial in trials:
        assert 1e-4 <= trial.params["lr"] <= 1e-1
        assert trial.params["loss"] in (None, "hinge")
        weighted = trial.params["penalty"] == "r1:log(0.1,10.0)"
        assert weighted or trial.params["penalty"] == "none"
        assert ("penalty.1" in trial.params) == weighted
    assert len({trial.params["lr"] for trial in trials}) == 6
    best = min(trials, key=lambda trial: trial.value or np.inf)
    output, path = _best(capsys.readouterr().out)
    weight = best.params.get("penalty.1")
    assert f": lr cosine:{best.params['lr']:.3g}:1e-05, loss {best.params['loss'] or 'recipe'}, penalty " in output
    options = directory.load(path, EXPERIMENTS).job.options
    assert options["lr"] == Scheduled("cosine", (best.params["lr"], 1e-5))
    assert options["loss"] == best.params["loss"]
    assert options["penalty"] == Penalties(() if weight is None else (("r1", weight),))


def _axis(option: str, text: str) -> Axis:
    return plan.axis(EXPERIMENTS["gan"].options[option], text)


@pytest.mark.parametrize(
    ("option", "text", "parameters", "expected"),
    [
        ("lr", "log:1e-5:1e-3", {"lr": 1e-4}, 1e-4),
        ("lr", "cosine:log(1e-5,1e-3):0", {"lr": 1e-4}, Scheduled("cosine", (1e-4, 0.0))),
        ("lr", "cosine:log(1e-5,1e-3):uniform(0,1e-4)", {"lr": 1e-4, "lr.1": 5e-5}, Scheduled("cosine", (1e-4, 5e-5))),
        ("lr", "1e-3,cosine:1e-3:0", {"lr": "cosine:0.001:0.0"}, Scheduled("cosine", (1e-3, 0.0))),
        ("lr", "1e-3,cosine:1e-3:0", {"lr": 1e-3}, 1e-3),
        # Of two ranges with the same low end, each has parameters of its own, drawn in its own way.
        ("lr", "log:1e-5:1e-3,uniform:1e-5:1e-2", {"lr": "log(1e-05,0.001)", "lr.0": 1e-4}, 1e-4),
        ("lr", "log:1e-5:1e-3,uniform:1e-5:1e-2", {"lr": "uniform(1e-05,0.01)", "lr.1": 9e-3}, 9e-3),
        # The recipe's own penalty, which is typed recipe, and none are two choices.
        ("penalty", "recipe,none", {"penalty": None}, None),
        ("penalty", "recipe,none", {"penalty": "none"}, Penalties(())),
        ("penalty", "r1:1,r1:1+r2:log(0.1,10)", {"penalty": "r1:1.0+r2:log(0.1,10.0)", "penalty.1.1": 0.5},
         Penalties((("r1", 1.0), ("r2", 0.5)))),
    ],
)  # fmt: skip
def test_what_optuna_proposes_is_the_options_value(
    option: str, text: str, parameters: dict[str, Any], expected: object
) -> None:
    trial = optuna.trial.FixedTrial(parameters)
    assert study._suggest(trial, {option: _axis(option, text)}) == {option: expected}
    assert trial.params == parameters


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gna"], "did you mean gan?"),
        ([*_TINY, "--storage", "s.log"], "nothing to search"),
        ([*_TINY, "--lr", "1e-3,1e-2"], "--storage"),
        ([*_TINY, "--lr", "log:1:1e-3", "--storage", "s.log"], "LOW < HIGH"),
        ([*_TINY, "--lr", "cosine:log(1e-2,1e-3):0", "--storage", "s.log"], "LOW < HIGH"),
        ([*_TINY, "--lr", "cosine:1e-3:0", "--storage", "s.log"], "nothing to search"),
        ([*_TINY, "--penalty", "r1:log(1,10),recipe", "--lazy", "1,4", "--storage", "s.log"], "--lazy needs a penalty"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[object], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohorts, "train", None)
    assert call("study", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from experiments import rundir, study
from tests.experiments.helpers import call

_TINY = ["gan", "--data", "npz:points.npz", "--width", 8, "--batch-size", 8, "--steps", 4, "--log-every", 2]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "points.npz", images=np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))


def _trials(storage: str) -> list[optuna.trial.FrozenTrial]:
    found = optuna.load_study(study_name="gan", storage=optuna.storages.JournalStorage(JournalFileBackend(storage)))
    return found.get_trials()


def test_a_study_is_shared_by_all_that_name_its_storage(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_TINY, "--lr", "log:1e-4:1e-1", "--b1", "0.0,0.5", "--score-samples", 100, "--storage", "out/study.log"]
    assert call(study.main, *typed, "--trials", 2, "--population", 2) == 0
    assert call(study.main, *typed, "--trials", 5, "--population", 2) == 0
    trials = _trials("out/study.log")
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 5
    assert all(1e-4 <= trial.params["lr"] <= 1e-1 and trial.params["b1"] in (0.0, 0.5) for trial in trials)
    assert len({trial.params["lr"] for trial in trials}) == 5
    best = min(trials, key=lambda trial: trial.value or np.inf)
    output = capsys.readouterr().out.splitlines()[-1]
    assert output.startswith("5 trials; best sliced_wasserstein")
    path = Path(output.rpartition("(")[2].rstrip(")"))
    recipe = json.loads((path / "config.json").read_text())["recipe"]
    assert recipe["lr"] == best.params["lr"]
    loaded = rundir.load(path)
    assert int(loaded.restore(loaded.gan()).step) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gna"], "did you mean gan?"),
        ([*_TINY, "--storage", "s.log"], "nothing to search"),
        ([*_TINY, "--lr", "1e-3,1e-2"], "--storage"),
        ([*_TINY, "--lr", "log:1:1e-3", "--storage", "s.log"], "LOW < HIGH"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(study.main, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1

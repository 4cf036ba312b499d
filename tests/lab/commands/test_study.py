import contextlib
import csv
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from gan_jax import checkpoint
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, files, signals
from gan_jax.lab.runs import chunks, directory
from gan_jax.lab.sweep import cohorts, plan, trials
from gan_jax.lab.sweep.plan import Axis
from gan_jax.lab.values import Penalties, Scheduled
from gan_jax.metrics import random_net
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
    """The last line about the best trial, and the directory of the run in it."""
    line = [line for line in output.splitlines() if " trials; best " in line][-1]
    return line, Path(line.rpartition("(")[2].rstrip(")"))


def _said(error: str) -> str:
    """The line on standard error that is no progress."""
    progress = r"(study of )?\w+(, trials [\d-]+ of \d+)?: \w+ing"
    (line,) = [line for line in error.splitlines() if not re.match(progress, line)]
    return line


def test_a_study_is_shared_by_all_that_name_its_storage(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_SEARCH, "--lr", "log:1e-4:1e-1", "--b1", "0.0,0.5"]
    assert call("study", *typed, "--trials", 2, "--population", 2) == 0
    assert call("study", *typed, "--trials", 5, "--population", 2) == 0
    found = _trials("out/study.log")
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 5
    assert all(1e-4 <= trial.params["lr"] <= 1e-1 and trial.params["b1"] in (0.0, 0.5) for trial in found)
    assert len({trial.params["lr"] for trial in found}) == 5
    best = min(found, key=lambda trial: trial.value or np.inf)
    output, path = _best(capsys.readouterr().out)
    assert output.startswith("5 trials; best sliced_wasserstein")
    assert f": lr {best.params['lr']:.3g}, b1 {best.params['b1']:.3g} (" in output
    options = json.loads((path / "config.json").read_text())["options"]
    assert options["lr"] == best.params["lr"]
    assert options["b1"] == best.params["b1"]
    loaded = directory.load(path, EXPERIMENTS)
    assert int(loaded.restore().step) == 4


def test_what_a_study_was_started_with_it_goes_on_with(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trials are of the same data, options, ranges and metric, or they could not be compared."""
    search = {"--lr": "log:1e-4:1e-1", "--b1": "0.0,0.5"}
    typed = [*_SEARCH, "--population", 1, *(word for pair in search.items() for word in pair)]
    assert call("study", *typed, "--trials", 1) == 0
    before = Path("out/study.log").read_bytes()
    for other, words in {
        ("--b1", "0.0,0.9"): "another --b1, 0.0,0.5:",
        ("--b1", "0.5,0.0"): "another --b1, 0.0,0.5:",
        ("--b1", "0.5"): "another --b1, 0.0,0.5:",
        ("--lr", "log:1e-5:1e-1"): "another --lr, log(0.0001,0.1):",
        ("--lr", "uniform:1e-4:1e-1"): "another --lr, log(0.0001,0.1):",
        ("--lr", "1e-4,1e-1"): "another --lr, log(0.0001,0.1):",
        ("--b2", "0.9,0.99"): "another --b2, 0.999:",
        ("--data", "ring"): "another --data, npz:points.npz:",
        ("--steps", "6"): "another --steps, 4:",
        ("--width", "16"): "another --width, 8:",
        ("--batch-size", "4"): "another --batch-size, 8:",
        ("--seed", "1"): "another --seed, 0:",
        ("--loss", "hinge"): "another --loss, recipe:",
        ("--score-samples", "200"): "another --score-samples, 100:",
        ("--steps", "6", "--seed", "1"): "another --steps, 4 and another --seed, 0:",
    }.items():
        capsys.readouterr()
        rest = [*_SEARCH, "--population", 1, *(w for pair in (search | {other[0]: other[1]}).items() for w in pair)]
        monkeypatch.setattr(cohorts, "train", None)
        assert call("study", *rest, *other[2:], "--trials", 2) == 2
        assert f"out/study.log was started with {words}" in _said(capsys.readouterr().err)
    assert Path("out/study.log").read_bytes() == before
    # The same name with other points in it.
    points = np.load("points.npz")["images"]
    np.savez("points.npz", images=points[:-1])
    assert call("study", *typed, "--trials", 2) == 2
    assert "npz:points.npz has changed since out/study.log was started" in _said(capsys.readouterr().err)
    assert Path("out/study.log").read_bytes() == before


@pytest.mark.slow
def test_another_metric_is_another_study(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["gan", "--data", "ring", *_SEARCH[3:], "--lr", "1e-4,1e-2", "--population", 1]
    assert call("study", *typed, "--trials", 1) == 0
    assert call("study", *typed, "--trials", 2, "--metric", "modes") == 2
    assert "out/study.log was started with another --metric, sliced:" in _said(capsys.readouterr().err)
    # The one that would have been chosen may be typed; how many trials, and how many at a time, may change.
    assert call("study", *typed[:-1], 2, "--trials", 2, "--metric", "sliced", "--log-every", 4, "--save-every", 1) == 0
    assert len(_trials("out/study.log")) == 2


@pytest.mark.slow
def test_other_features_are_another_study(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("images.npz", images=np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8))
    typed = ["gan", "--data", "npz:images.npz", *_SEARCH[3:], "--lr", "1e-4,1e-2", "--population", 1]
    assert call("study", *typed, "--trials", 1, "--features", "random:1") == 0
    said = capsys.readouterr().out
    label = random_net.load((8, 8, 1), 1).label
    assert f"scored by frechet in features of {label}" in said and "--features random:1" in said
    assert call("study", *typed, "--trials", 2) == 2
    assert f"out/study.log was started with another --features, {label}:" in _said(capsys.readouterr().err)


@pytest.mark.slow
def test_studies_of_several_experiments_share_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("gan", "wgan"):
        assert call("study", name, *_SEARCH[1:], "--lr", "1e-4,1e-2", "--trials", 1, "--population", 1) == 0
    gan, wgan = (Path("out/study-trials", name, "00000") for name in ("gan", "wgan"))
    assert json.loads((wgan / "best/config.json").read_text())["experiment"] == "wgan"
    assert json.loads((gan / "best/config.json").read_text())["experiment"] == "gan"
    assert len(_trials("out/study.log")) == 1


def test_trials_of_a_study_that_was_removed_are_not_those_of_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_SEARCH, "--lr", "1e-4,1e-2", "--trials", 1, "--population", 1]
    assert call("study", *typed) == 0
    Path("out/study.log").unlink()
    assert call("study", *typed) == 2
    assert "out/study-trials/gan has the trials of another study: remove it" in _said(capsys.readouterr().err)


@pytest.mark.parametrize(
    "content",
    [
        b"# a log\nof something\n", b"{}\n", b"[]\n", b"7\n", b'{"op_code":4}\n', b"\x89PNG\r\n\x1a\n\xff", b"no end",
        b'{"op_code":0}\n', b"SQLite format 3\0", b"\n", b"[" * 100_000, b'{"op_code":0,"study_name":"gan"',
        b'{"op_code":0,"worker_id":"a","study_name":"gan","directions":[1]}\nbroken\n{"op_code":1}\n',
        b'{"op_code":0,"worker_id":"a","study_name":"gan","directions":[1]}\n{"op_code":99}\n',
    ],
)  # fmt: skip
def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s.log").write_bytes(content)
    assert call("study", *_TINY, "--lr", "1e-4,1e-2", "--storage", "s.log") == 2
    assert "s.log can't be used, it is not the journal of a study" in _said(capsys.readouterr().err)
    assert Path("s.log").read_bytes() == content


def test_a_directory_is_no_storage(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("study", *_TINY, "--lr", "1e-4,1e-2", "--storage", ".") == 2
    assert ". can't be used" in _said(capsys.readouterr().err)


def test_a_study_that_says_nothing_of_itself_is_not_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    storage = optuna.storages.JournalStorage(JournalFileBackend("s.log"))
    optuna.create_study(study_name="gan", storage=storage).add_trial(optuna.trial.create_trial(value=0.0))
    typed = [*_TINY, "--lr", "1e-4,1e-2", "--storage", "s.log", "--score-samples", 100]
    assert call("study", *typed) == 2
    assert "a study of gan that does not say what it was started with" in _said(capsys.readouterr().err)


def test_the_end_of_a_line_that_was_lost_harms_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_SEARCH, "--lr", "log:1e-4:1e-1", "--population", 1]
    assert call("study", *typed, "--trials", 1) == 0
    with open("out/study.log", "a") as file:
        file.write('{"op_code":4,"worker')
    assert call("study", *typed, "--trials", 2) == 0
    assert [trial.state.name for trial in _trials("out/study.log")] == ["COMPLETE"] * 2


def test_workers_that_start_at_once_agree_on_what_the_study_is_of() -> None:
    """The first in the journal says it, whichever has been refused by then."""

    def started(**changes: str) -> optuna.Study:
        record = {"data": "ring", "lr": "log(1e-05,0.01)", "metric": "sliced"} | changes
        return trials.opened(
            Path("s.log"),
            "gan",
            record,
            ["a", "b"],
            lower_is_better=True,
            sampler=optuna.samplers.RandomSampler(seed=0),
        )

    records = trials._records

    def race(study: optuna.Study) -> list[dict[str, Any]]:
        """Another worker starts after this one has looked, and before it has written."""
        patch.undo()
        found = records(study)
        started(data="grid")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "_records", race)
        with pytest.raises(InputError, match=r"s.log was started with another --data, grid:"):
            started()
    with pytest.raises(InputError, match=r"another --data, grid and another --lr, log\(1e-05,0.01\):"):
        started(lr="0.1")
    assert started(data="grid").user_attrs == started(data="grid").user_attrs


@pytest.mark.slow
def test_what_a_worker_left_the_next_goes_on_with(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials of a process that was stopped are trained to their end, with what they had come to."""
    typed = [*_SEARCH, "--lr", "log:1e-4:1e-1", "--save-every", 1, "--population", 2]

    @contextlib.contextmanager
    def stop_signals(sentence: str) -> Iterator[list[int]]:
        yield [15]

    with monkeypatch.context() as patch:
        patch.setattr(signals, "stop_signals", stop_signals)
        patch.setattr(chunks, "next_pace", lambda pace, n, seconds: 1)
        assert call("study", *typed, "--trials", 3) == 143
    assert "the same command continues" in capsys.readouterr().out
    assert [trial.state.name for trial in _trials("out/study.log")] == ["RUNNING"] * 2
    assert checkpoint.steps(Path("out/study-trials/gan/00000/states/0-0")) == [1]
    # Another that is at work has locked what it trains: that is left alone, and not made up for.
    with files.lock(Path("out/study-trials/gan/00000")):
        assert call("study", *typed, "--trials", 2) == 0
    assert "0 of 2 trials are finished, other processes train the rest" in capsys.readouterr().out
    assert call("study", *typed, "--trials", 3) == 0
    found = _trials("out/study.log")
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 3
    lines = [json.loads(line) for line in Path("out/study-trials/gan/00000/metrics.jsonl").read_text().splitlines()]
    assert sorted((line["member"], line["step"]) for line in lines) == [(k, step) for k in (0, 1) for step in (2, 4)]
    # They are what they would have been.
    rates = ",".join(repr(trial.params["lr"]) for trial in found[:2])
    assert call("sweep", *_TINY, "--score-samples", 100, "--lr", rates, "--out", "alone") == 0
    with open("alone/members.csv", newline="") as file:
        assert [float(m["sliced_wasserstein"]) for m in csv.DictReader(file)] == [trial.value for trial in found[:2]]


@pytest.mark.slow
def test_the_best_setting_is_repeated_by_the_command_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_SEARCH, "--lr", "cosine:log(1e-4,1e-1):0", "--penalty", "none,r1:1", "--population", 2]
    assert call("study", *typed, "--trials", 2) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    command = shlex.split(line.partition("fresh seeds: ")[2])
    assert command[:4] == ["python", "-m", "experiments.sweep", "gan"]
    assert call("sweep", *command[3:], "--out", "again") == 0
    with open("again/members.csv", newline="") as file:
        members = list(csv.DictReader(file))
    assert [member["seed"] for member in members] == ["1", "2", "3"]
    best = min(_trials("out/study.log"), key=lambda trial: trial.value or np.inf)
    assert {member["lr"] for member in members} == {f"cosine:{best.params['lr']!r}:0.0"}
    assert {member["penalty"] for member in members} == {{"none": "none", "r1:1.0": "r1:1.0"}[best.params["penalty"]]}


@pytest.mark.slow
def test_a_study_searches_ends_of_schedules_and_objectives(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_SEARCH, "--lr", "cosine:log(1e-4,1e-1):1e-5", "--loss", "recipe,hinge"]
    typed += ["--penalty", "none,r1:log(0.1,10)"]
    assert call("study", *typed, "--trials", 6, "--population", 6) == 0
    found = _trials("out/study.log")
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 6
    for trial in found:
        assert 1e-4 <= trial.params["lr"] <= 1e-1
        assert trial.params["loss"] in (None, "hinge")
        weighted = trial.params["penalty"] == "r1:log(0.1,10.0)"
        assert weighted or trial.params["penalty"] == "none"
        assert ("penalty.1" in trial.params) == weighted
    assert len({trial.params["lr"] for trial in found}) == 6
    best = min(found, key=lambda trial: trial.value or np.inf)
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
    assert trials.suggest(trial, {option: _axis(option, text)}) == {option: expected}
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
        ([*_TINY, "--lr", "1e-3,1e-2", "--lr", "1e-3", "--storage", "s.log"], "--lr is typed twice"),
        ([*_TINY, "--lr", "1e-3,1e-2", "--metric", "frechet", "--storage", "s.log"], "frechet does not fit"),
        ([*_TINY, "--lr", "1e-3,1e-2", "--metric", "parzen", "--storage", "s.log"], "parzen"),
        (["completion", "--lr", "1e-3,1e-2", "--storage", "s.log"], "members of completion can't be scored"),
        ([*_TINY, "--penalty", "r1:log(1,10),recipe", "--lazy", "1,4", "--storage", "s.log"], "--lazy needs a penalty"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[object], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohorts, "train", None)
    assert call("study", *arguments) == 2
    assert words in _said(capsys.readouterr().err)
    assert not Path("s.log").exists()

"""Runs that were copied in part, edited, or made by other versions, and what `--resume` says of them."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.runs import directory, logs
from tests.helpers import few
from tests.lab.helpers import call, tiny

_TINY = ["--data", "ring", *tiny("gan", points=True), "--log-every", 2, "--save-every", 2, "--sample-every", 9]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps, with the checkpoints of 4 and 6."""
    path = tmp_path_factory.mktemp("whole") / "a"
    assert call("run", "gan", *_TINY, "--lr", 1e-3, "--steps", 6, "--out", path) == 0
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    return Path(shutil.copytree(whole, tmp_path / "a"))


def _without(*patterns: str) -> Callable[[Path], None]:
    def remove(path: Path) -> None:
        for pattern in patterns:
            for found in list(path.glob(pattern)):
                shutil.rmtree(found) if found.is_dir() else found.unlink()

    return remove


_PARTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no manifests": (_without("checkpoints/*.json"), "a/checkpoints holds 4, 6 without 4.json"),
    "one step folder alone": (_without("checkpoints/*.json", "checkpoints/4"), "a/checkpoints holds 6 without 6.json"),
    "nor metrics": (_without("checkpoints/*.json", "metrics.jsonl"), "a/checkpoints holds 4, 6 without 4.json"),
    "no checkpoints": (_without("checkpoints"), "its metrics.jsonl goes to step 6 and a/checkpoints holds no"),
    "an empty folder": (_without("checkpoints/*"), "its metrics.jsonl goes to step 6 and a/checkpoints holds no"),
}


def _entries(path: Path) -> dict[str, bytes]:
    files = (file for file in path.rglob("*") if file.is_file() and file.name != ".lock")
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.parametrize("case", few(_PARTS, "one step folder alone", "no checkpoints"))
def test_a_run_that_was_copied_in_part_is_left_as_it_is(
    case: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remove, words = _PARTS[case]
    remove(copy)
    before = _entries(copy)
    assert call("run", "gan", "--resume", "a", "--steps", 8) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert _entries(copy) == before
    # What it advises works.
    typed = shlex.split(re.findall(r"start it again: python -m experiments\.(.*)$", error)[0])
    options = directory.load(copy, EXPERIMENTS).job.options
    assert call(*typed) == 0
    assert directory.load(copy, EXPERIMENTS).job.options == options
    assert list(logs.read(copy / "metrics.jsonl")) == [2, 4, 6]


def test_resume_auto_takes_one_folder_for_a_killed_save_and_two_for_a_copy(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "gan", *_TINY, "--lr", 1e-3, "--steps", 6, "--out", "a", "--resume", "auto"]
    _without("checkpoints/*.json")(copy)
    before = _entries(copy)
    assert call(*command) == 2
    assert "a/checkpoints holds 4, 6 without 4.json" in capsys.readouterr().err
    assert _entries(copy) == before
    shutil.rmtree(copy / "checkpoints" / "6")
    assert call(*command) == 0
    assert "run: a has no checkpoint: starting from step 0\n" in capsys.readouterr().err
    assert directory.load(copy, EXPERIMENTS).finished


def test_a_run_that_never_came_to_a_step_starts_from_its_first(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _without("checkpoints", "metrics.jsonl", "samples", "tensorboard")(copy)
    assert call("run", "gan", "--resume", "a") == 0
    assert "run: a has no checkpoint: starting from step 0\n" in capsys.readouterr().err
    assert list(logs.read(copy / "metrics.jsonl")) == [2, 4, 6]


_METRICS: dict[str, tuple[Callable[[str], str | None], str]] = {
    "missing": (lambda text: None, "lacks lines up to step 6"),
    "empty": (lambda text: "", "lacks lines up to step 6"),
    "cut": (lambda text: "".join(text.splitlines(keepends=True)[:2]), "lacks lines up to step 6"),
    "cut within a line": (lambda text: text[:-20], "lacks lines up to step 6"),
    "edited": (lambda text: text.replace("{", "", 1), "is not what the run wrote"),
    "of something else": (lambda text: "[1]\n", "is not what the run wrote"),
}


@pytest.mark.parametrize("case", few(_METRICS, "missing", "cut within a line", "edited"))
def test_metrics_that_lack_something_are_said_to_and_go_on(
    case: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = _METRICS[case]
    file = copy / "metrics.jsonl"
    text = change(file.read_text())
    file.unlink()
    if text is not None:
        file.write_text(text)
    assert call("run", "gan", "--resume", "a", "--steps", 8) == 0
    assert f"run: a/metrics.jsonl {words}" in capsys.readouterr().err
    assert json.loads(file.read_text().splitlines()[-1])["step"] == 8


def test_another_version_is_named_and_a_whole_run_of_this_one_needs_no_word(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "gan", "--resume", "a", "--steps", 8) == 0
    assert "run: " not in capsys.readouterr().err
    record = json.loads((copy / "config.json").read_text())
    now = record["versions"]["jax"]
    record["versions"] |= {"jax": "0.9.1", "a package that is gone": "1"}
    (copy / "config.json").write_text(json.dumps(record))
    assert call("run", "gan", "--resume", "a", "--steps", 10) == 0
    error = capsys.readouterr().err
    assert f"a was started with jax 0.9.1 (now {now}): it goes on, but not to the same bits" in error
    assert "gone" not in error


@pytest.mark.slow
def test_a_best_checkpoint_that_was_not_copied_is_chosen_anew(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracked = ["--track", "sliced", "--track-every", 2]
    assert call("run", "gan", *_TINY, *tracked, "--steps", 2, "--out", "b") == 0
    best = json.loads(Path("b/best.json").read_text())
    # Better than whatever comes: it must not stand for a checkpoint that is gone.
    Path("b/best.json").write_text(json.dumps(best | {"value": 0.0}))
    shutil.copytree("b", "c")
    shutil.rmtree("b/checkpoints-best")
    for path, step in (("b", 4), ("c", 2)):
        capsys.readouterr()
        assert call("run", "gan", "--resume", path, "--steps", 4) == 0
        said = f"{path}/checkpoints-best lacks the checkpoint of best.json" in capsys.readouterr().err
        assert said == (path == "b")
        assert json.loads(Path(path, "best.json").read_text())["step"] == step
        assert call("sample", path, "--best", "--out", "a.png") == 0


def test_options_that_a_resumed_run_cant_take_are_offered_to_a_new_one(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = dict(directory.load(copy, EXPERIMENTS).job.options)
    assert call("run", "gan", "--resume", "a", "--lr", "cosine:5e-5:0", "--out", "b c", "--steps", 2) == 2
    error = capsys.readouterr().err
    assert "only --steps may be given with --resume, not --lr, --out: start a new run with: " in error
    assert call(*shlex.split(error.rpartition("python -m experiments.")[2])) == 0
    run = directory.load(Path("b c"), EXPERIMENTS)
    assert run.job.config.spelled("lr") == "cosine:5e-05:0.0"
    assert {**run.job.options, "lr": before["lr"], "steps": 6} == before


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--lr", "cosine:1e-3:0"], "run: --lr of a is 0 from step 2 on, where its schedule ends: to train longer, "),
        pytest.param(
            ["--lr", "1e-3", "--d-lr", "linear:1e-3:0:0.5"],
            "run: --d-lr of a is 0 from step 2 on",
            marks=pytest.mark.slow,
        ),
        pytest.param(["--lr", "cosine:1e-3:1e-4"], "", marks=pytest.mark.slow),
    ],
)
def test_who_trains_on_where_the_rate_has_fallen_to_0_is_told(
    typed: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("run", "gan", *_TINY, *typed, "--steps", 2, "--out", "a") == 0
    capsys.readouterr()
    assert call("run", "gan", "--resume", "a", "--steps", 3) == 0
    error = capsys.readouterr().err
    assert error.startswith(words) and ("--steps 3" in error) == bool(words)

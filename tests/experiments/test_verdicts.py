from pathlib import Path

import pytest

from experiments import verdicts
from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.report.verdict import Verdict
from tests.experiments.helpers import call
from tests.helpers import optimised


def test_a_healthy_run_may_have_any_verdict_but_a_fault_and_a_made_fault_has_its_own() -> None:
    cases = verdicts.cases(1.0)
    assert cases.keys() == EXPERIMENTS.keys() | verdicts.MADE.keys()
    assert cases["wgan"].steps == EXPERIMENTS["wgan"].defaults["steps"]
    assert verdicts.cases(0.5)["wgan"].steps == EXPERIMENTS["wgan"].defaults["steps"] // 2
    for kind, healthy in (("done", True), ("improving", True), ("early", True), ("flat", False), ("d_wins", False)):
        said = Verdict(kind, "", "")  # type: ignore[arg-type]
        assert cases["wgan"].right(said) == healthy
        assert cases["wgan-clip"].right(said) == (kind == "flat")


@pytest.mark.slow
def test_runs_are_trained_judged_and_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command itself; what it says of so short a run is that it is too early to say."""
    monkeypatch.setenv("PYTHONPATH", str(Path(verdicts.__file__).parents[1]))
    tiny = ("--data", "ring", "--width", 4, "--batch-size", 2)
    monkeypatch.setattr(
        verdicts, "MADE", {"a": verdicts.Case("gan", 7, tiny), "b": verdicts.Case("gan", 7, tiny, frozenset({"flat"}))}
    )
    typed = ["--only", "a,b", "--jobs", 2, "--runs", tmp_path]
    assert call(verdicts.main, *typed) == 1
    a, b = capsys.readouterr().out.splitlines()[2:]
    assert a.startswith("| `a` | 7 | early | right | ") and b.startswith("| `b` | 7 | early | wrong | ")
    assert call(verdicts.main, "--only", "a", "--runs", tmp_path) == 0


def test_bad_options_are_refused_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(verdicts.main, "--only", "wgn") == 2
    assert call(verdicts.main, "--jobs", 0) == 2
    assert capsys.readouterr().err.count("\n") >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", verdicts.MADE)
def test_a_run_that_was_made_to_have_a_fault_has_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(verdicts.__file__).parents[1]))
    with optimised():
        assert verdicts.trained(verdicts.MADE[name], tmp_path / "a") == 0
    said, _ = verdicts.judged(tmp_path / "a")
    assert verdicts.MADE[name].right(said), said

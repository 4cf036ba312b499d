import json
from pathlib import Path
from typing import Any

import pytest

from experiments import verdicts
from gan_jax import InputError
from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.report.verdict import Verdict
from tests.experiments.helpers import call
from tests.helpers import optimised

# Of runs that were trained by the command, which takes minutes: it says how.
RECORDED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "verdicts.json").read_text())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_runs_have_the_verdict_that_is_right(name: str) -> None:
    case = verdicts.cases(1.0)[name]
    assert RECORDED[name]["step"] == RECORDED[name]["steps"] == case.steps
    said = verdicts.judged(RECORDED[name])
    assert case.right(said), said


def test_of_every_kind_of_fault_a_run_is_recorded() -> None:
    assert RECORDED.keys() >= verdicts.MADE.keys()
    assert frozenset().union(*(case.faults for case in verdicts.MADE.values())) == verdicts.FAULTS


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
    file = tmp_path / "verdicts.json"
    assert call(verdicts.main, "--only", "a", "--runs", tmp_path, "--record", file) == 0
    assert call(verdicts.main, "--only", "b", "--runs", tmp_path, "--record", file) == 1
    recorded = json.loads(file.read_text())
    assert [recorded[name]["step"] for name in ("a", "b")] == [7, 7]
    assert verdicts.judged(recorded["a"]).kind == "early"


def test_evidence_is_put_beside_that_of_others_and_into_no_other_file(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.json"
    for name in ("b", "a", "b"):
        verdicts.record(file, name, RECORDED["gan-lr"])
    assert json.loads(file.read_text()) == {"a": RECORDED["gan-lr"], "b": RECORDED["gan-lr"]}
    for content in ("not JSON", "[1]"):
        file.write_text(content)
        with pytest.raises(InputError, match="is not what --record writes"):
            verdicts.record(file, "a", RECORDED["gan-lr"])
        assert file.read_text() == content
    with pytest.raises(InputError, match="can't be written"):
        verdicts.record(tmp_path, "a", RECORDED["gan-lr"])


def test_bad_options_are_refused_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(verdicts.main, "--only", "wgn") == 2
    assert call(verdicts.main, "--jobs", 0) == 2
    assert capsys.readouterr().err.count("\n") >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gan-wasserstein", "wgan-clip"])
def test_a_run_that_was_made_to_have_a_fault_has_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Trained here: what training logs is what verdicts read."""
    monkeypatch.setenv("PYTHONPATH", str(Path(verdicts.__file__).parents[1]))
    with optimised():
        assert verdicts.trained(verdicts.MADE[name], tmp_path / "a") == 0
    found = verdicts.evidence(tmp_path / "a")
    said = verdicts.judged(found)
    assert verdicts.MADE[name].right(said), said
    assert found["lines"].keys() == RECORDED[name]["lines"].keys()

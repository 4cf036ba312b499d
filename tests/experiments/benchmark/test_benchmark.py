import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from experiments.benchmark import commands, metrics, report, steps
from experiments.benchmark.cases import CASES
from tests.experiments.helpers import call
from tests.helpers import read_png

benchmark = importlib.import_module("experiments.benchmark.__main__")


def test_the_flops_of_a_step_are_those_of_its_matrix_products() -> None:
    case = CASES["wgan"]
    examples = steps.examples_of(case)
    gan = steps.build(case)
    state = jax.eval_shape(lambda: steps.training.initial_state(gan, jax.random.key(0), examples))
    state = jax.tree.map(lambda leaf: jax.numpy.zeros(leaf.shape, leaf.dtype), state)
    g_forward, d_forward = 2 * 64 * (100 * 128 + 128 * 784), 2 * 64 * (784 * 128 + 128)
    # A critic step: G forward; D forward, and the gradient of its weights, on real and on fake; and the gradient of its
    # hidden layer. A generator step: both forward, D's gradient of its input, G's of its weights and hidden layer.
    d_step = g_forward + 2 * (2 * d_forward + 2 * 64 * 128)
    g_step = g_forward + d_forward + d_forward + g_forward + 2 * 64 * 128 * 784
    counted = steps.step_flops(gan, state, examples, 64)
    assert 5 * d_step + g_step < counted < 1.15 * (5 * d_step + g_step)


@pytest.mark.slow
def test_a_case_is_measured_written_and_kept_beside_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jax.config, "update", lambda *setting: None)  # The session has its devices and its cache.
    monkeypatch.setitem(CASES, "cgan", CASES["gan"])  # Whose programs are compiled.
    for case, clock in (("gan", "wall"), ("cgan", "cpu")):
        options = ("--clock", clock, "--turns", 1, "--seconds", 0.01, "--out", tmp_path)
        assert call(benchmark.main, case, *options) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert [(case, result["record"]["clock"]) for case, result in results.items()] == [("gan", "wall"), ("cgan", "cpu")]
    monkeypatch.setattr(metrics, "_PAIRS", 2)
    assert call(benchmark.main, "metrics", "--turns", 1, "--out", tmp_path) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["metrics"]["record"]["pairs"] == 2
    assert 0.3 < results["metrics"]["record"]["ratio"]["median"] < 3
    assert "take " in (tmp_path / "table.md").read_text()
    assert results["gan"]["machine"]["versions"]["jax"] == jax.__version__
    record = results["gan"]["record"]
    share = record["steps_per_s"]["gan_jax"]["median"] * record["gflop_per_step"] / record["peak_gflop_per_s"]
    assert record["share_of_peak"] == pytest.approx(share)
    assert (tmp_path / "table.md").read_text() == report.table(results)
    assert read_png(tmp_path / "speed.png").std() > 0


def test_processes_that_are_timed_end_with_the_command() -> None:
    process = commands._started([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    commands.end()
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert process.stdin is not None
    process.stdin.close()
    commands.end()


@pytest.mark.parametrize("rates", [(0.2117089898100191,) * 3, (33846.69257127748,) * 3, (1e-3, 1.0, 1e5)])
def test_the_figure_shows_any_rates(rates: tuple[float, float, float], tmp_path: Path) -> None:
    low, median, high = rates
    report._plot(
        [{"case": "gan", "steps_per_s": {"gan_jax": {"median": median, "low": low, "high": high}}}], tmp_path / "f.png"
    )
    assert read_png(tmp_path / "f.png").std() > 0


@pytest.mark.parametrize(("arguments", "words"), [(["wgn"], "did you mean wgan?"), (["--turns", "0"], "at least 1")])
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(benchmark.main, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_sweep_against_its_members_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    commanded = []

    def timed(command: list[str], directory: Path) -> float:
        commanded.append(command[2:])
        out = Path(command[command.index("--out") + 1])
        if "experiments.sweep" not in command:
            return 5.0 + len(commanded)
        out.mkdir()
        (out / "summary.json").write_text('{"compilations": 1}')
        return {"cold": 32.0, "cached": 16.0}[out.name]

    monkeypatch.setattr(commands, "_timed", timed)
    record = commands.sweep(steps=400, runs=2, members=8)
    assert "--lr=2e-05,0.0001 --clip=0.003,0.02 --seeds=2" in record["command"]
    assert [own[0] for own in commanded] == 2 * ["experiments.sweep"] + 2 * ["experiments.run"]
    assert [own[-5:-2] for own in commanded[2:]] == [
        ["--lr=2e-05", "--clip=0.003", "--seed=0"],
        ["--lr=0.0001", "--clip=0.003", "--seed=0"],
    ]
    # The runs took 8 and 9 seconds.
    assert (record["run_s"], record["ratio"], record["cached_ratio"]) == ([8.0, 9.0], 8 * 8.5 / 32, 8 * 8.5 / 16)


@pytest.mark.slow
def test_the_first_sample_against_the_least_that_a_process_takes() -> None:
    record = commands.first_sample(turns=1)
    assert 0 < record["cpu_s"]["import_jax"] < record["cpu_s"]["first_sample"]
    assert "mnist-cdcgan" in record["code"]

import contextlib
import csv
import errno
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh
from orbax.checkpoint import v1 as ocp

from gan_jax import population
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS, devices, files, signals
from gan_jax.lab.progress import Progress
from gan_jax.lab.runs import chunks, directory
from gan_jax.lab.runs.directory import RunDir
from gan_jax.lab.sweep import cohorts, lines, programs, report
from gan_jax.lab.sweep.plan import Plan
from tests.helpers import assert_close, assert_same, differ, read_png
from tests.lab.helpers import call, changed

_REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    np.savez(tmp_path / "points.npz", images=points)


_SCORED = ["--score-samples", 100]
_ALONE = ["--data", "npz:points.npz", "--width", 8, "--batch-size", 8, "--log-every", 2]
_TINY = [*_ALONE, *_SCORED]
_WGAN = ["wgan", *_TINY, "--ema", "none", "--n-critic", 2, "--save-every", 2]
_WARM_UP = ["--warmup-steps", 3, "--warmup-critic", 4]


def _table(file: str) -> list[dict[str, str]]:
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def _run(path: str | Path) -> tuple[RunDir, GANState]:
    loaded = directory.load(Path(path), EXPERIMENTS)
    return loaded, loaded.restore()


def _said(error: str) -> list[str]:
    """The lines on standard error that are no progress."""
    return [line for line in error.splitlines() if not re.match(r"\d+ x \w+: ", line)]


def _best(path: str) -> GANState:
    return _run(Path(path) / "best")[1]


def _swept(*typed: object) -> tuple[Plan, list[GANState]]:
    """The plan of a sweep, and the last states of all its members."""
    train, kept = cohorts.train, []

    def kept_train(sweep: cohorts.Sweep, received: Sequence[int], bar: Progress) -> cohorts.Result:
        result = train(sweep, received, bar)
        kept.append((sweep.plan, cohorts.states_of(result, sweep.plan.members)))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cohorts, "train", kept_train)
        assert call("sweep", *typed) == 0
    return kept[0]


def test_a_sweep_scores_every_member_and_leaves_the_best_as_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_WGAN, "--steps", 5, "--lr", "1e-4,1e-2", "--clip", "0.01,0.1", "--seeds", 2, "--out", "out"]
    assert call("sweep", *typed) == 0
    output = capsys.readouterr().out
    assert "8 members (4 settings x 2 seeds) in 1 program, on 8 devices" in output
    members, settings = _table("out/members.csv"), _table("out/settings.csv")
    assert [(m["lr"], m["clip"], m["seed"], m["status"], m["step"]) for m in members][:3] == [
        ("0.0001", "0.01", "0", "done", "5"), ("0.0001", "0.01", "1", "done", "5"), ("0.0001", "0.1", "0", "done", "5"),
    ]  # fmt: skip
    scores = np.array([float(m["sliced_wasserstein"]) for m in members])
    means = [float(s["sliced_wasserstein_mean"]) for s in settings]
    np.testing.assert_allclose(means, scores.reshape(4, 2).mean(axis=1))
    np.testing.assert_allclose(
        [float(s["sliced_wasserstein_sd"]) for s in settings], scores.reshape(4, 2).std(axis=1, ddof=1)
    )
    for picture in ("curves", "scores", "samples"):
        assert read_png(f"out/{picture}.png").std() > 0
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["compilations"] == 1
    assert summary["best_member"] == scores.argmin()
    logged = [json.loads(line) for line in Path("out/metrics.jsonl").read_text().splitlines()]
    assert sorted((line["member"], line["step"]) for line in logged) == [(k, s) for k in range(8) for s in (2, 4, 5)]

    # The best member is what the run that its config.json describes would have been.
    best = members[scores.argmin()]
    alone = [*_WGAN, "--steps", 5, "--lr", best["lr"], "--clip", best["clip"], "--seed", best["seed"], "--out", "alone"]
    alone = [option for option in alone if option not in _SCORED]
    assert call("run", *alone) == 0
    (alone_run, alone_state), (best_run, best_state) = _run("alone"), _run("out/best")
    assert alone_run.job == best_run.job
    assert_same(best_state, alone_state)
    assert call("sample", "out/best", "--out", "samples.npz") == 0
    assert call("run", "wgan", "--resume", "out/best", "--steps", 7) == 0


# A batch that is no power of two: divided by it, numbers round.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(
            *("wgan", ["--lr", "1e-4,1e-2", "--clip", "0.01,0.1", "--ema", "none", "--n-critic", 2, *_WARM_UP]),
            id="lr-clip-warm-up",
        ),
        pytest.param(
            *("gan", ["--b1", "0.0,0.9", "--ema", "0.9,0.3", "--lr", "linear:3e-3:1e-4:0.7,linear:7e-4:0:0.7"]),
            id="schedules-b1-ema",
        ),
        pytest.param(
            *("gan", ["--lr", "cosine:log(1e-5,1e-2):0,steps:1e-3,log(1e-5,1e-2)", "--draws", 4]), id="drawn-ends"
        ),
        pytest.param(
            *(
                "gan",
                [
                    "--penalty",
                    "wgan_gp:10,wgan_gp:3,r1:1.7+r2:linear:1:0.3",
                    "--b2",
                    "0.9,0.999",
                    "--b1",
                    "cosine:0.9:0",
                ],
            ),
            id="penalty-b2",
        ),
        pytest.param(
            *("r3gan", ["--gamma", "cosine:1:0.1,cosine:10:0.3", "--lr", "cosine:2e-4:5e-5:0.78"]), id="gamma"
        ),
        pytest.param(
            *("gan", ["--penalty", "dragan:10,dragan:7", "--loss", "hinge", "--lazy", 2, "--accumulate", 2]),
            id="objective",
        ),
    ],
)
def test_every_member_has_the_bits_of_its_run_alone(name: str, options: list[object]) -> None:
    common = [*_ALONE, "--batch-size", 6, "--steps", 6, "--save-every", 6]
    plan, states = _swept(name, *common, *_SCORED, *options, "--out", "sweep")
    assert len(states) >= 2 and differ(states[0], states[1])
    for member, state in zip(plan.members, states, strict=True):
        config, out = plan.config(member), f"alone/{member.number}"
        own = [word for key in config.options for word in (f"--{key.replace('_', '-')}", config.spelled(key))]
        assert call("run", name, *own, "--out", out) == 0
        found, alone = _run(out)
        assert found.job.config == config
        assert_same(state, alone)


@pytest.mark.slow
def test_a_warm_up_is_trained_as_it_is_alone_whatever_the_number_of_dispatches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The warm-up ends in the middle of what would be one dispatch."""
    typed = [*_WGAN, "--steps", 6, "--lr", "1e-4,1e-3", *_WARM_UP]
    assert call("sweep", *typed, "--out", "two") == 0
    assert call("sweep", *typed, "--log-every", 6, "--save-every", 6, "--out", "six") == 0
    assert_same(_best("two"), _best("six"))
    # A phase each.
    assert json.loads(Path("two/summary.json").read_text())["compilations"] == 2
    assert "in 1 program," in capsys.readouterr().out


# Two widths of eight steps each; or of four, and then the better half of six settings, of both widths or of one; or
# schedules and penalties of one program, in two phases.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "halving", "steps"),
    [
        (["--lr", "1e-4,1e-3,1e-2", "--width", "8,12"], False, 16),
        (["--lr", "1e-4,1e-3,1e-2", "--width", "8,12"], True, 12),
        (["--lr", "cosine:1e-3:0,cosine:1e-2:1e-4", "--penalty", "r1:1,r1:3", *_WARM_UP], False, 8),
    ],
    ids=["widths", "halving", "schedules and penalties"],
)  # fmt: skip
def test_a_sweep_stopped_anywhere_goes_on_to_the_same_bits(
    options: list[object], halving: bool, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [*_WGAN, "--steps", 8, *options, *(["--halving"] if halving else [])]
    assert call("sweep", *typed, "--out", "whole") == 0

    class Later(list[int]):
        """A signal that arrives while the last step but one is taken: it is asked for after every dispatch."""

        asked = 0

        def __bool__(self) -> bool:
            self.asked += 1
            return self.asked == steps - 1

    @contextlib.contextmanager
    def stop_signals(sentence: str) -> Iterator[list[int]]:
        yield Later([15])

    with monkeypatch.context() as patch:
        patch.setattr(signals, "stop_signals", stop_signals)
        patch.setattr(chunks, "next_pace", lambda pace, n, seconds: 1)
        # The machine that it is stopped on has other devices than the one that it goes on with.
        patch.setattr(devices, "population_mesh", lambda: Mesh(np.array(jax.devices()[:3]), (population.AXIS,)))
        assert call("sweep", *typed, "--out", "cut") == 143
    assert not Path("cut/members.csv").exists()
    # Typed again, or by its name alone.
    again = ["wgan", "--resume", "cut"] if halving else [*typed, "--resume", "auto", "--out", "cut"]
    assert call("sweep", *again) == 0
    assert_same(_best("cut"), _best("whole"))
    for file in ("members.csv", "metrics.jsonl"):
        assert Path("cut", file).read_text() == Path("whole", file).read_text()
    if halving:
        assert sorted(m["step"] for m in _table("whole/members.csv")) == ["4", "4", "4", "8", "8", "8"]


@pytest.mark.slow
def test_the_same_command_goes_on_until_there_is_nothing_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [*_WGAN, "--steps", 4, "--lr", "1e-4,1e-3", "--resume", "auto"]

    def fail_once(*arguments: object, **options: object) -> None:
        patch.undo()
        raise OSError(errno.ENOSPC, "No space left on device")

    for what in ((ocp, "save"), (report, "write_tables")):
        with monkeypatch.context() as patch:
            patch.setattr(*what, fail_once)
            assert call("sweep", *typed) == 1
        error = capsys.readouterr().err
        (said,) = _said(error)
        assert "sweeps/wgan/001 can't be written any more (No space left on device)" in said
    assert call("sweep", *typed) == 0
    assert call("sweep", *typed, "--out", "sweeps/wgan/001") == 0
    assert "sweeps/wgan/001 is finished" in capsys.readouterr().out
    assert call("sweep", *typed[:-2], "--out", "whole") == 0
    assert_same(_best("sweeps/wgan/001"), _best("whole"))
    assert not Path("sweeps/wgan/002").exists()

    assert call("sweep", *typed, "--seeds", 2, "--out", "whole") == 2
    assert "whole was started with other options" in capsys.readouterr().err
    with files.lock(Path("whole")):
        assert call("sweep", "wgan", "--resume", "whole") == 2
        assert "whole is in use by another process" in capsys.readouterr().err


@pytest.mark.slow
def test_what_does_not_fit_is_split_into_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_WGAN, "--steps", 2, "--lr", "log:1e-5:1e-2", "--draws", 20]
    assert call("sweep", *typed, "--out", "whole") == 0
    whole = capsys.readouterr().out
    assert "20 members (20 settings x 1 seed) in 1 program," in whole
    assert "20 members, 24 at a time by map:" in whole
    kib = float(whole.split(" KiB per device")[0].split()[-1])
    # Three members a device need it all; of states, the largest part, two need two thirds.
    assert call("sweep", *typed, "--memory", 0.9 * kib / 2**20, "--out", "split") == 0
    assert "20 members, 16 at a time by map, in 2 rounds:" in capsys.readouterr().out
    assert Path("split/members.csv").read_text() == Path("whole/members.csv").read_text()
    assert_same(_best("split"), _best("whole"))
    # The data takes 1,600 bytes.
    for kib, words in ((2, "one member per device needs"), (1, "a sweep keeps its data on the device")):
        assert call("sweep", *typed, "--memory", kib / 2**20, "--out", f"none-{kib}") == 2
        assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_member_that_breaks_is_marked_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["wgan_gp", *_TINY, "--ema", "none", "--steps", 6]
    assert call("sweep", *options, "--weight", "10,3e38", "--out", "out") == 0
    well, sick = _table("out/members.csv")
    assert well["status"] == "done"
    assert sick["status"].endswith("not finite at step 2") or "not finite at step 1" in sick["status"]
    assert sick["sliced_wasserstein"] == ""
    assert "1 member stopped being finite" in capsys.readouterr().out
    assert call("sweep", *options, "--weight", "10,20", "--out", "healthy") == 0
    assert _table("out/members.csv")[0] == _table("healthy/members.csv")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["wgn"], "did you mean wgan?"),
        (["wgan", "--lr", "log:1e-5:1e-3"], "--draws N"),
        (["wgan", "--lr", "1e-3,cosine:log(1e-5,1e-3):0"], "--draws N"),
        (["wgan", "--seeds", "70000"], "70000 members requested, at most 65536 allowed"),
        (["wgan", "--lr", "1e-3,fast"], "expected a number"),
        (["wgan", "--clp", "1"], "did you mean --clip?"),
        (["wgan", "--seeds", "0"], "at least 1"),
        (["wgan", "--resume", "nowhere"], "is not a sweep"),
        (["wgan", "--resume", "nowhere", "--lr", "1e-3"], "type only --resume"),
        (["wgan", "--data", "npz:points.npz", "--metric", "frechet"], "does not fit"),
        (["wgan", "--distributed", "here"], "HOST:PORT,COUNT,INDEX"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("sweep", *arguments) == 2
    error = capsys.readouterr().err
    assert len(_said(error)) == 1
    assert words in _said(error)[0]
    assert not Path("sweeps").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gan", *_TINY, "--penalty", "r1:1,recipe", "--lazy", "1,4"], "--lazy needs a penalty"),
        (["gan", *_TINY, "--loss", "hinge,wasserstein", "--accumulate", "2,3"], "can't be divided into 3 equal parts"),
        (["gan", *_TINY, "--data", "ring", "--depth", "3,2"], "--depth would change nothing: ring is points"),
        (["acgan", *_TINY, "--data", "ring", "--penalty", "r1:1,r1:1+wgan_gp:10"], "wgan_gp needs the same labels"),
        (["acgan", *_TINY, "--metric", "sliced"], "labels"),
    ],
)
def test_what_cant_be_combined_is_said_before_anything_is_compiled(
    arguments: list[object], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohorts, "train", None)
    assert call("sweep", *arguments) == 2
    error = capsys.readouterr().err
    assert len(_said(error)) == 1
    assert words in _said(error)[0]
    assert not Path("sweeps").exists()


@pytest.mark.slow
def test_options_are_combined_with_each_other_and_not_with_defaults_that_no_member_has() -> None:
    """This recipe has no penalty to be lazy with, and a minibatch of the default size has no three equal parts."""
    typed = ["gan", *_ALONE, *_SCORED, "--steps", 2, "--lazy", 2, "--penalty", "r1:1,r1:10"]
    assert call("sweep", *typed, "--batch-size", "6,9", "--accumulate", 3, "--out", "out") == 0
    members = _table("out/members.csv")
    assert [(m["batch_size"], m["penalty"], m["status"]) for m in members] == [
        ("6", "r1:1.0", "done"), ("6", "r1:10.0", "done"), ("9", "r1:1.0", "done"), ("9", "r1:10.0", "done"),
    ]  # fmt: skip
    # The metric of that name has a column of its own.
    assert all(float(m["penalty_value"]) > 0 for m in members)
    assert json.loads(Path("out/summary.json").read_text())["compilations"] == 2


@pytest.mark.slow
def test_the_best_member_is_named_as_it_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["gan", *_TINY, "--steps", 2, "--lr", "cosine:0.00333333:0", "--penalty", "recipe,none", "--seed", 3]
    assert call("sweep", *typed, "--out", "out") == 0
    best = json.loads(Path("out/summary.json").read_text())["best_member"]
    assert f"member {best} (penalty {['recipe', 'none'][best]}, seed 3)" in capsys.readouterr().out
    assert _run("out/best")[0].job.config.spelled("lr") == "cosine:0.00333333:0.0"


@pytest.mark.slow
def test_two_processes_share_a_sweep() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    typed: list[Any] = [*_WGAN, "--steps", 4, "--lr", "1e-4,1e-3,1e-2", "--seeds", 2]
    flags = os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=2")
    environment = os.environ | {"PYTHONPATH": str(_REPOSITORY), "XLA_FLAGS": flags}
    command_line = [sys.executable, "-m", "gan_jax", "sweep", *map(str, typed), "--out", "two"]
    processes = [
        subprocess.Popen(
            [*command_line, "--distributed", f"127.0.0.1:{port},2,{index}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=100)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert "on 4 devices" in outputs[0]
    assert call("sweep", *typed, "--out", "one") == 0
    assert_close(_best("two"), _best("one"), rtol=1e-4, atol=1e-6)
    assert len(_table("two/members.csv")) == 6
    logged = [json.loads(line) for line in Path("two/metrics.jsonl").read_text().splitlines()]
    assert sorted((line["member"], line["step"]) for line in logged) == [(k, s) for k in range(6) for s in (2, 4)]
    assert jax.process_count() == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labelled", "typed", "features"),
    [
        (False, [], "random net 1 "),
        (True, [], "random net 1 "),
        (True, ["--classifier", "k.npz"], "classifier of npz:"),
    ],
)
def test_images_of_ones_own_are_swept(
    labelled: bool,
    typed: list[str],
    features: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)).astype(np.uint8)
    np.savez("own.npz", images=images, **({"labels": np.arange(30) % 3} if labelled else {}))
    if typed:
        assert call("classifier", "npz:own.npz", "--steps", 2, "--out", "k.npz") == 0
    options = ["--data", "npz:own.npz", "--steps", 1, "--width", 4, "--batch-size", 4, "--lr", "1e-4,1e-3", *typed]
    assert call("sweep", "gan", *options, "--score-samples", 100, "--out", "sweep") == 0
    summary = json.loads(Path("sweep/summary.json").read_text())
    assert (summary["metric"], summary["features"].startswith(features)) == ("frechet", True)
    assert f"scored by frechet in features of {summary['features']}\n" in capsys.readouterr().out
    assert json.loads(Path("sweep/sweep.json").read_text())["features"] == summary["features"]
    assert call("sweep", "gan", "--resume", "sweep", "--features", "random:7") == 2
    assert f"is scored with features of {summary['features']}, and would be with" in capsys.readouterr().err
    expected = str(tmp_path / "k.npz") if typed else None
    for record in ("sweep/sweep.json", "sweep/best/config.json"):
        assert json.loads(Path(record).read_text())["options"]["classifier"] == expected


def test_a_dry_run_says_the_plan_and_compiles_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "compile_program", None)
    typed = [*_WGAN, "--steps", 8, "--lr", "1e-4,1e-3", "--width", "8,12", "--seeds", 3, "--halving"]
    assert call("sweep", *typed, "--dry-run") == 0
    first, *others, cost, memory, last = capsys.readouterr().out.splitlines()
    assert first.startswith("12 members (4 settings x 3 seeds) in 2 programs")
    assert first.endswith("scores after 4, 8 steps")
    assert others == [
        "  program 1 of width 12: 6 members; numbers that differ: lr",
        "  program 2 of width 8: 6 members; numbers that differ: lr",
    ]
    # Of the wider: G 100 -> 12 -> 12 -> 12 -> 12 -> 2, and D 2 -> 12 -> 12 -> 12 -> 1.
    g, d = 101 * 12 + 3 * 13 * 12 + 13 * 2, 3 * 12 + 2 * 13 * 12 + 13
    assert cost.startswith(f"  a member has {g + d:,} parameters, of which {g:,} in the generator")
    assert "MiB" in memory
    assert last.startswith("  in sweeps/wgan/001: ")
    # The form of a penalty is of its program, and a number that does not differ is said there.
    assert call("sweep", *_WGAN, "--penalty", "none,r1:1", "--lr", "1e-4", "--dry-run") == 0
    described = capsys.readouterr().out.splitlines()[1:3]
    assert described == ["  program 1 of penalty r1:1: 1 member", "  program 2 of penalty none: 1 member"]
    assert not Path("sweeps").exists()


@pytest.mark.slow
def test_seeds_alone_are_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing warns (a warning fails a test), and what is named is there."""
    assert call("sweep", "gan", *_TINY, "--steps", 2, "--seeds", 2, "--out", "out") == 0
    named = re.match(r"out: ([^(]*)", capsys.readouterr().out.splitlines()[-2])
    assert named is not None
    assert all(Path("out", name.strip()).is_file() for name in named[1].split(","))


@pytest.mark.parametrize("command", [["sweep"], ["study", "--storage", "s.log"]])
def test_what_completes_real_images_cant_be_scored(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    name, *own = command
    assert call(name, "completion", *own, "--lr", "1e-4,1e-3") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"{name}: members of completion can't be scored")
    assert "name a run" not in error and "run of" not in error


@pytest.mark.slow
def test_the_best_setting_is_named_with_the_command_that_repeats_it(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_TINY, "--steps", 2, "--lr", "1e-4,linear:3e-3:0", "--penalty", "r1:1", "--b1", 0.3]
    assert call("sweep", "gan", *typed, "--seeds", 4, "--seed", 5, "--out", "out") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    settings = _table("out/settings.csv")
    best = min(settings, key=lambda setting: float(setting["sliced_wasserstein_mean"]))
    assert json.loads(Path("out/summary.json").read_text())["best_setting"] == int(best["setting"])
    mean, spread = float(best["sliced_wasserstein_mean"]), float(best["sliced_wasserstein_sd"])
    assert f"best setting by the mean of 4 seeds ({mean:.4g} +- {spread:.2g}): lr " in line
    command = shlex.split(line.partition("fresh seeds: ")[2])
    assert command[:4] == ["python", "-m", "experiments.sweep", "gan"]
    assert call("sweep", *command[3:], "--out", "again") == 0
    # The same setting and score, and four seeds that had no part in choosing it.
    members, kept = _table("again/members.csv"), ("lr", "penalty", "b1", "width", "steps", "data", "batch_size")
    assert [{name: member[name] for name in kept} for member in members] == [{name: best[name] for name in kept}] * 4
    assert [member["seed"] for member in members] == ["9", "10", "11", "12"]
    assert all(float(member["sliced_wasserstein"]) > 0 for member in members)
    kinds = [json.loads(Path(name, "scores.jsonl").read_text().splitlines()[0]) for name in ("out", "again")]
    assert kinds[0]["samples"] == kinds[1]["samples"] == 100


def test_no_score_is_measured_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [*_WGAN, "--steps", 4, "--lr", "1e-4,1e-3,1e-2", "--resume", "auto", "--out", "out"]
    write_score, written = lines.write_score, []

    def write_one(log: Any, member: int, *rest: Any) -> None:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(member)
        write_score(log, member, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(lines, "write_score", write_one)
        assert call("sweep", *typed) == 1
    logged, scores = Path("out/metrics.jsonl").read_bytes(), Path("out/scores.jsonl").read_bytes()
    assert scores.count(b"\n") == 1
    assert call("sweep", *typed) == 0
    assert Path("out/metrics.jsonl").read_bytes() == logged
    assert Path("out/scores.jsonl").read_bytes().startswith(scores)
    kept = [json.loads(line) for line in Path("out/scores.jsonl").read_text().splitlines()]
    assert [(line["member"], line["step"]) for line in kept] == [(0, 4), (1, 4), (2, 4)]
    assert [line["score"] for line in kept] == [float(m["sliced_wasserstein"]) for m in _table("out/members.csv")]


@pytest.mark.slow
def test_a_sweep_that_was_changed_is_not_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is what it has left of one: not edited, partly deleted, copied over another, or trained on other data."""
    typed = [*_WGAN, "--steps", 4, "--lr", "1e-4,1e-3"]
    assert call("sweep", *typed, "--out", "whole") == 0
    assert call("sweep", *typed, "--seed", 7, "--out", "other") == 0

    def edited(*changes: tuple[tuple[Any, ...], Any]) -> None:
        record = json.loads(Path("cut/sweep.json").read_text())
        Path("cut/sweep.json").write_text(json.dumps(changed(record, changes)))

    def copied() -> None:
        shutil.rmtree("cut/states")
        shutil.copytree("other/states", "cut/states")

    def other_data() -> None:
        np.savez("points.npz", images=np.ones((200, 2), np.float32))

    longer = (("options", "steps"), 8), (("rungs", 0), 8)
    for change, words in (
        (lambda: edited((("members", 1, "values", "lr"), 3e-3)), "has the states of other members"),
        (lambda: edited((("members", 0, "seed"), 9)), "has the states of other members"),
        (lambda: edited(*longer), "has the states of other members"),
        (lambda: edited((("options", "width"), 12)), "belongs to another configuration"),
        (copied, "has the states of other members"),
        (lambda: shutil.rmtree("cut/states"), "cut/states/0-0 has lost its checkpoint"),
        (lambda: Path("cut/states/0-0/4.json").unlink(), "cut/states/0-0 has lost its checkpoint"),
        (lambda: Path("cut/metrics.jsonl").unlink(), "cut/metrics.jsonl is missing"),
        (lambda: shutil.copy("two/metrics.jsonl", "cut"), "lines of members that the sweep has not"),
        (other_data, "npz:points.npz has changed since cut was started"),
    ):
        shutil.rmtree("cut", ignore_errors=True)
        shutil.copytree("whole", "cut")
        Path("two").mkdir(exist_ok=True)
        Path("two/metrics.jsonl").write_text('{"member": 2, "step": 2, "d_loss": 1.0}\n')
        change()
        before = {path: path.read_bytes() for path in Path("cut").rglob("*") if path.is_file()}
        capsys.readouterr()
        assert call("sweep", "wgan", "--resume", "cut") == 2
        (said,) = _said(capsys.readouterr().err)
        assert words in said
        assert {path: path.read_bytes() for path in Path("cut").rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_whole_copy_of_a_sweep_goes_on() -> None:
    typed = [*_WGAN, "--steps", 4, "--lr", "1e-4,1e-3"]
    assert call("sweep", *typed, "--out", "whole") == 0
    shutil.copytree("whole", "copy")
    Path("copy/summary.json").unlink()
    assert call("sweep", "wgan", "--resume", "copy") == 0
    assert Path("copy/members.csv").read_text() == Path("whole/members.csv").read_text()


def test_ctrl_c_while_it_compiles_ends_it_with_a_sentence() -> None:
    """Compiling takes minutes, in which Python does not see a signal."""
    script = (
        "import sys, time; from gan_jax.lab import EXPERIMENTS, main; from gan_jax.lab.sweep import programs\n"
        "programs.compile_program = lambda *arguments, **options: time.sleep(60)\n"
        "main(EXPERIMENTS)"
    )
    typed = map(str, ["sweep", *_WGAN, "--lr", "1e-4,1e-3", "--width", "8,12", "--out", "out"])
    environment = os.environ | {"PYTHONPATH": str(_REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, "-c", script, *typed],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        said = iter(process.stderr.readline, "")
        assert any("compiling 1 of 2 programs" in line for line in said)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert time.monotonic() - started < 10
        (sentence,) = said
    assert "stopped, what was trained is saved; continue with:" in sentence
    assert Path("out/sweep.json").exists()

import contextlib
import csv
import errno
import importlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh
from orbax.checkpoint import v1 as ocp

from experiments import chunks, run, rundir, sample
from experiments.sweep import command, programs, report
from gan_jax import population
from gan_jax.gan import GANState
from tests.experiments.helpers import call
from tests.helpers import assert_close, assert_same, read_png

sweep = importlib.import_module("experiments.sweep.__main__")
_REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    np.savez(tmp_path / "points.npz", images=points)


_TINY = ["--data", "npz:points.npz", "--width", 8, "--batch-size", 8, "--log-every", 2, "--score-samples", 100]
_WGAN = ["wgan", *_TINY, "--ema", "none", "--n-critic", 2, "--save-every", 2]


def _table(file: str) -> list[dict[str, str]]:
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def _best(path: str) -> GANState:
    loaded = rundir.load(Path(path) / "best")
    return loaded.restore(loaded.gan())


def test_a_sweep_scores_every_member_and_leaves_the_best_as_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_WGAN, "--steps", 5, "--lr", "1e-4,1e-2", "--clip", "0.01,0.1", "--seeds", 2, "--out", "out"]
    assert call(sweep.main, *typed) == 0
    output = capsys.readouterr().out
    assert "8 members (4 settings) in 1 round(s) of 1 program(s), on 8 device(s)" in output
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
    lines = [json.loads(line) for line in Path("out/metrics.jsonl").read_text().splitlines()]
    assert sorted((line["member"], line["step"]) for line in lines) == [(k, s) for k in range(8) for s in (2, 4, 5)]

    # The best member is what the run that its config.json describes would have been.
    best = members[scores.argmin()]
    alone = [*_WGAN, "--steps", 5, "--lr", best["lr"], "--clip", best["clip"], "--seed", best["seed"], "--out", "alone"]
    alone = [option for option in alone if option not in ("--score-samples", 100)]
    assert call(run.main, *alone) == 0
    loaded = rundir.load(Path("alone"))
    assert loaded.config == rundir.load(Path("out/best")).config
    assert_close(_best("out"), loaded.restore(loaded.gan()), rtol=1e-3, atol=1e-5)
    assert call(sample.main, "out/best", "--out", "samples.npz") == 0
    assert call(run.main, "wgan", "--resume", "out/best", "--steps", 7) == 0


# Two widths of eight steps each; or of four, and then the better half of six settings, of both widths or of one.
@pytest.mark.parametrize(("halving", "steps"), [(False, 16), (True, 12)])
def test_a_sweep_stopped_anywhere_goes_on_to_the_same_bits(
    halving: bool, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [*_WGAN, "--steps", 8, "--lr", "1e-4,1e-3,1e-2", "--width", "8,12", *(["--halving"] if halving else [])]
    assert call(sweep.main, *typed, "--out", "whole") == 0

    class Later(list[int]):
        """A signal that arrives while the last step but one is taken: it is asked for after every dispatch."""

        asked = 0

        def __bool__(self) -> bool:
            self.asked += 1
            return self.asked == steps - 1

    @contextlib.contextmanager
    def stop_signals() -> Iterator[list[int]]:
        yield Later([15])

    with monkeypatch.context() as patch:
        patch.setattr(command, "stop_signals", stop_signals)
        patch.setattr(chunks, "next_pace", lambda pace, n, seconds: 1)
        # The machine that it is stopped on has other devices than the one that it goes on with.
        patch.setattr(programs, "mesh", lambda: Mesh(np.array(jax.devices()[:3]), (population.AXIS,)))
        assert call(sweep.main, *typed, "--out", "cut") == 143
    assert not Path("cut/members.csv").exists()
    assert call(sweep.main, "wgan", "--resume", "cut") == 0
    assert_same(_best("cut"), _best("whole"))
    for file in ("members.csv", "metrics.jsonl"):
        assert Path("cut", file).read_text() == Path("whole", file).read_text()
    if halving:
        assert sorted(m["step"] for m in _table("whole/members.csv")) == ["4", "4", "4", "8", "8", "8"]


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
            assert call(sweep.main, *typed) == 1
        error = capsys.readouterr().err
        assert "sweeps/wgan/001 can't be written any more (No space left on device)" in error
        assert error.count("\n") == 1
    assert call(sweep.main, *typed) == 0
    assert call(sweep.main, *typed, "--out", "sweeps/wgan/001") == 0
    assert "sweeps/wgan/001 is finished" in capsys.readouterr().out
    assert call(sweep.main, *typed[:-2], "--out", "whole") == 0
    assert_same(_best("sweeps/wgan/001"), _best("whole"))
    assert not Path("sweeps/wgan/002").exists()

    assert call(sweep.main, *typed, "--seeds", 2, "--out", "whole") == 2
    assert "whole was started with other options" in capsys.readouterr().err
    with rundir.alone(Path("whole/sweep.json")):
        assert call(sweep.main, "wgan", "--resume", "whole") == 2
        assert "another process is at work on whole" in capsys.readouterr().err


def test_what_does_not_fit_is_split_into_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_WGAN, "--steps", 2, "--lr", "log:1e-5:1e-2", "--samples", 20]
    assert call(sweep.main, *typed, "--dry-run") == 0
    whole = capsys.readouterr().out
    assert "20 members (20 settings) in 1 round(s)" in whole
    assert "24 members at a time" in whole
    assert not Path("sweeps").exists()
    kib = float(whole.split(" KiB a device")[0].split()[-1])
    # Three members a device need it all; of states, the largest part, two need two thirds.
    less = 0.9 * kib / 2**20
    assert call(sweep.main, *typed, "--dry-run", "--memory", less) == 0
    assert "in 2 round(s)" in (split := capsys.readouterr().out)
    assert "16 members at a time" in split
    assert call(sweep.main, *typed, "--out", "whole") == 0
    assert call(sweep.main, *typed, "--memory", less, "--out", "split") == 0
    assert Path("split/members.csv").read_text() == Path("whole/members.csv").read_text()
    assert_same(_best("split"), _best("whole"))
    assert call(sweep.main, *typed, "--memory", 1e-7, "--out", "none") == 2
    assert "one member a device needs" in capsys.readouterr().err


def test_a_member_that_breaks_is_marked_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["wgan_gp", *_TINY, "--ema", "none", "--steps", 6]
    assert call(sweep.main, *options, "--weight", "10,3e38", "--out", "out") == 0
    well, sick = _table("out/members.csv")
    assert well["status"] == "done"
    assert sick["status"].endswith("not finite at step 2") or "not finite at step 1" in sick["status"]
    assert sick["sliced_wasserstein"] == ""
    assert "1 member(s) stopped being finite" in capsys.readouterr().out
    assert call(sweep.main, *options, "--weight", "10,20", "--out", "healthy") == 0
    assert _table("out/members.csv")[0] == _table("healthy/members.csv")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["wgn"], "did you mean wgan?"),
        (["wgan", "--lr", "log:1e-5:1e-3"], "--samples N"),
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
    assert call(sweep.main, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not Path("sweeps").exists()


def test_two_processes_share_a_sweep() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    typed: list[Any] = [*_WGAN, "--steps", 4, "--lr", "1e-4,1e-3,1e-2", "--seeds", 2]
    environment = os.environ | {"PYTHONPATH": str(_REPOSITORY), "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    command_line = [sys.executable, "-m", "experiments.sweep", *map(str, typed), "--out", "two"]
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
    assert "on 4 device(s)" in outputs[0]
    assert call(sweep.main, *typed, "--out", "one") == 0
    assert_close(_best("two"), _best("one"), rtol=1e-4, atol=1e-6)
    assert len(_table("two/members.csv")) == 6
    lines = [json.loads(line) for line in Path("two/metrics.jsonl").read_text().splitlines()]
    assert sorted((line["member"], line["step"]) for line in lines) == [(k, s) for k in range(6) for s in (2, 4)]
    assert jax.process_count() == 1

"""kill -9 at random moments: what is left on disk always goes on, to the bits of a run that nobody disturbed."""

import contextlib
import multiprocessing
import random
import signal
import threading
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import jax
import numpy as np
import pytest
from tqdm import tqdm

from gan_jax import checkpoint
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS, main
from gan_jax.lab.runs import directory, logs
from tests.helpers import assert_same
from tests.lab.helpers import call

_KILLS = 30


def _process(argv: list[str], output: str) -> None:
    """`gan-jax ARGV`, in a forked process."""
    with open(output, "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        tqdm.set_lock(threading.RLock())  # Its own is a semaphore that a killed process leaves behind.
        main(EXPERIMENTS, argv, program="gan-jax {}")


def _server() -> ForkServerContext:
    """What forks the processes, with everything imported: one that starts from nothing takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "gan_jax.lab.commands.run",
            "gan_jax.lab.runs.loop",
            "gan_jax.lab.commands.sweep",
            "gan_jax.lab.sweep.session",
        ]
    )
    return context


def _newest() -> int:
    return max(checkpoint.steps(Path("killed/checkpoints")), default=-1)


def _state(path: str) -> GANState:
    loaded = directory.load(Path(path), EXPERIMENTS)
    return loaded.restore()


def _lines(path: str) -> dict[int, dict[str, float]]:
    lines = logs.read(Path(path) / "metrics.jsonl")
    return {step: record | {"steps_per_s": 0, "seconds": 0} for step, record in lines.items()}


@pytest.mark.slow
def test_thirty_kills_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("points.npz", images=np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32))
    tiny = ["gan", "--data", "npz:points.npz", "--width", "8", "--latent", "2", "--batch-size", "2"]
    tiny += ["--log-every", "7", "--sample-every", "1000000", "--lr", "2e-4"]
    # It leaves the compiled program in the cache: kills are to meet a run at work, not one that compiles.
    assert call("run", *tiny, "--steps", 1, "--out", "warm") == 0

    killed = [*tiny, "--save-every", "40", "--steps", "1000000", "--out", "killed", "--resume", "auto"]
    context = _server()
    moments = random.Random(0)
    newest = [-1]
    for kill in range(_KILLS):
        process = context.Process(target=_process, args=(["run", *killed], "output"))
        process.start()
        # By turns while it starts, and while it trains and saves: then a save has just been made.
        if kill % 2 == 0:
            process.join(moments.uniform(0, 1.5))
        else:
            while process.is_alive() and _newest() == newest[-1]:
                time.sleep(0.005)
            process.join(moments.uniform(0, 0.3))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, Path("output").read_text()
        newest.append(_newest())
        if newest[-1] >= 0:
            assert int(_state("killed").step) == newest[-1]  # A damaged one would warn.
    assert newest == sorted(newest)

    steps = newest[-1] + 50
    assert call("run", "gan", "--resume", "killed", "--steps", steps) == 0
    assert call("run", *tiny, "--save-every", 1_000_000, "--steps", steps, "--out", "whole") == 0
    assert_same(jax.device_get(_state("killed")), jax.device_get(_state("whole")))
    assert _lines("whole") == _lines("killed")


@pytest.mark.slow
def test_kills_change_no_bit_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rungs, the second of the better half: kills meet training, saving, scoring, and the last tables."""
    monkeypatch.chdir(tmp_path)
    np.savez("points.npz", images=np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32))
    typed = ["wgan", "--data", "npz:points.npz", "--width", "8", "--latent", "2", "--batch-size", "2", "--halving"]
    typed += ["--lr", "1e-4,1e-3,1e-2", "--steps", "1200", "--save-every", "40", "--log-every", "30"]
    typed += ["--n-critic", "1", "--score-samples", "100"]
    assert call("sweep", *typed, "--out", "whole") == 0

    context, moments, kills, summary = _server(), random.Random(0), 0, Path("killed/summary.json")
    while not summary.exists():
        typed_again = [*typed, "--out", "killed", "--resume", "auto"]
        process = context.Process(target=_process, args=(["sweep", *typed_again], "output"))
        process.start()
        if kills < 8:
            states = _saved_by_sweep()
            while kills % 2 and process.is_alive() and _saved_by_sweep() == states:
                time.sleep(0.005)
            process.join(moments.uniform(0, 0.3 if kills % 2 else 3))
            process.kill()
            kills += not summary.exists()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), Path("output").read_text()
    assert kills >= 4
    assert call("sweep", "wgan", "--resume", "killed") == 0
    assert Path("killed/members.csv").read_text() == Path("whole/members.csv").read_text()
    assert_same(jax.device_get(_state("killed/best")), jax.device_get(_state("whole/best")))


def _saved_by_sweep() -> set[Path]:
    return set(Path("killed").glob("states/*/*.json"))

"""One GAN on several devices, and in several processes, by the command."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax import checkpoint
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.runs import directory, journal, logs
from tests.helpers import assert_close
from tests.lab.helpers import call, tiny

_REPOSITORY = Path(__file__).parents[3]
_EVERY = ["--log-every", 2, "--sample-every", 1000, "--save-every", 2]
_TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    np.savez("tiny.npz", images=images, labels=np.arange(60) % 3)


def _state(path: str) -> GANState:
    loaded = directory.load(Path(path), EXPERIMENTS)
    return loaded.restore()


def _metrics(path: str) -> dict[int, dict[str, float]]:
    lines = logs.read(Path(path) / "metrics.jsonl")
    return {
        step: {k: v for k, v in record.items() if k not in ("steps_per_s", "seconds")} for step, record in lines.items()
    }


def _used(path: str) -> list[int]:
    return [session["device"]["used"] for session in journal.read(Path(path))["sessions"]]


_MLP = ["cgan", "--data", "npz:tiny.npz", *tiny("cgan"), *_EVERY]
_CONV = ["cdcgan", "--data", "npz:tiny.npz", *tiny("cdcgan"), *_EVERY]


@pytest.mark.parametrize(
    ("command", "devices"),
    [
        (_MLP, 8),
        pytest.param([*_MLP, "--stream", "--accumulate", 2], 4, marks=pytest.mark.slow),
        pytest.param(_CONV, 8, marks=pytest.mark.slow),
        pytest.param([*_CONV, "--stream"], 4, marks=pytest.mark.slow),
    ],
    ids=["mlp-8", "streamed-4", "batch norm-8", "batch norm-streamed-4"],
)
def test_a_run_on_several_devices_is_that_on_one_and_continues_on_any_number(
    command: list[object], devices: int
) -> None:
    assert call("run", *command, "--steps", 4, "--out", "one") == 0
    assert call("run", *command, "--steps", 4, "--devices", devices, "--out", "many") == 0
    assert_close(_state("many"), _state("one"), **_TOLERANCE)
    assert_close(_metrics("many"), _metrics("one"), **_TOLERANCE)
    assert call("run", *command, "--steps", 6, "--resume", "auto", "--out", "many") == 0
    assert call("run", command[0], "--resume", "one", "--steps", 6, "--devices", devices) == 0
    assert_close(_state("many"), _state("one"), **_TOLERANCE)
    assert (_used("one"), _used("many")) == ([1, devices], [devices, 1])
    # What the run is knows nothing of the devices.
    records = [json.loads(Path(path, "config.json").read_text()) for path in ("one", "many")]
    assert records[0]["options"] == records[1]["options"]


@pytest.mark.slow
def test_what_tracks_samples_and_measures_takes_runs_of_several_devices(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["gan", "--data", "ring", *tiny("gan", points=True), *_EVERY, "--steps", 2]
    assert call("run", *typed, "--track", "sliced", "--track-every", 2, "--devices", "all", "--out", "many") == 0
    assert json.loads(Path("many/best.json").read_text())["step"] == 2
    for best in ([], ["--best"]):
        assert call("sample", "many", "--n", 5, "--out", "samples.npz", *best) == 0
    assert np.load("samples.npz")["images"].shape == (5, 2)
    assert call("evaluate", "many", "--metrics", "sliced", "--n", 50, "--sets", 1) == 0


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--devices", 9], "run: --devices 9: there are only 8 devices, ask for no more"),
        (["--devices", "all"], "choose --batch-size 16 or 24, or --devices 6"),
        (["--devices", 0], "expected a whole number, at least 1"),
        (["--devices", "some"], "expected a whole number, at least 1"),
        (["--distributed", "here"], "expected auto or HOST:PORT,COUNT,INDEX"),
        (["--distributed", "10.0.0.1:1234,2,2"], "expected an INDEX below COUNT"),
        (["--profile", 0], "expected a whole number, at least 1"),
    ],
)
def test_devices_that_can_not_be_are_refused_before_anything_is_written(
    typed: list[object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", "gan", "--data", "ring", "--batch-size", 18, *typed) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not Path("runs").exists()


def test_a_resumed_run_can_not_take_a_number_that_does_not_divide_its_minibatch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed = ["gan", "--data", "ring", *tiny("gan", points=True), *_EVERY, "--batch-size", 6, "--steps", 1, "--out", "a"]
    assert call("run", *typed) == 0
    assert call("run", "gan", "--resume", "a", "--steps", 2, "--devices", 4) == 2
    assert "between 4 devices: choose --devices 6" in capsys.readouterr().err


def test_a_dry_run_says_what_hand_arithmetic_says_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(Path().rglob("*"))
    latent, width, pixels, batch, n_critic = 4, 8, 64, 12, 3
    typed = ["wgan", "--data", "npz:tiny.npz", "--width", width, "--depth", 2, "--latent", latent]
    typed += ["--d-width", width, "--d-depth", 2]
    typed += ["--batch-size", batch, "--n-critic", n_critic, "--steps", 100, "--log-every", 30, "--save-every", 50]
    assert call("run", *typed, "--dry-run", "--devices", 4, "--accumulate", 3, "--out", "a") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(Path().rglob("*")) == before

    g = [(latent, width), (width, width), (width, pixels)]
    d = [(pixels, width), (width, width), (width, 1)]
    counts = [[rows * columns + columns for rows, columns in net] for net in (g, d)]
    (head_g,) = (k for k, line in enumerate(lines) if line == f"generator, {sum(counts[0])} parameters")
    (head_d,) = (k for k, line in enumerate(lines) if line == f"discriminator, {sum(counts[1])} parameters")
    shapes = [["8", "8", "64"], ["8", "8", "1"]]
    for head, count, shape in zip((head_g, head_d), counts, shapes, strict=True):
        rows = [line.split() for line in lines[head + 2 : head + 2 + len(count)]]
        assert [(row[1:-1], row[-1]) for row in rows] == [([s], str(c)) for s, c in zip(shape, count, strict=True)]
    text = "\n".join(lines)
    assert f"parameters: {sum(map(sum, counts)):,}, of which {sum(counts[0])} in the generator" in text
    assert f"{100 * n_critic * batch:,} in all, on 4 devices (cpu)" in text
    assert "metrics.jsonl: 4 lines" in text
    assert "checkpoints/: 2 of" in text
    # A float32 for each parameter and for each of RMSProp's averages, and the few of the schedules' counts.
    state = 2 * 4 * sum(map(sum, counts)) / 2**20
    assert f"{state:.2g}"[:4] in text.partition(" MiB of parameters and optimizers")[0]
    assert "MiB without --accumulate 3)" in text

    weights_g, weights_d = (sum(rows * columns for rows, columns in net) for net in (g, d))
    forth_g, forth_d = 2 * batch * weights_g, 2 * batch * weights_d
    # A matrix product forth, and back one for the weights and one for what comes before, but for the first layer's.
    d_step = forth_g + 2 * (3 * forth_d - 2 * batch * pixels * width)
    g_step = 3 * forth_g - 2 * batch * latent * width + 2 * forth_d
    (gflop,) = (float(line.split()[1]) for line in lines if line.startswith("arithmetic:"))
    assert n_critic * d_step + g_step < gflop * 1e9 < 1.5 * (n_critic * d_step + g_step)


def test_a_dry_run_of_a_run_that_is_there_says_where_it_would_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["gan", "--data", "ring", *tiny("gan", points=True), *_EVERY, "--out", "a"]
    assert call("run", *typed, "--steps", 2) == 0
    capsys.readouterr()
    assert call("run", "gan", "--resume", "a", "--steps", 10, "--dry-run") == 0
    assert "files in a, continued at step 2:" in capsys.readouterr().out
    assert call("run", *typed, "--steps", 2, "--dry-run") == 2
    assert "a exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_profile_leaves_a_trace_and_says_how_to_open_it(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["gan", "--data", "ring", *tiny("gan", points=True), *_EVERY, "--steps", 9]
    assert call("run", *typed, "--profile", 4, "--out", "a") == 0
    said = capsys.readouterr().out
    assert "traced steps 2 to 5: tensorboard --logdir a/profile" in said
    (trace,) = Path("a/profile").rglob("*.trace.json.gz")
    assert f"open {trace} at https://ui.perfetto.dev" in said
    assert len(list(Path("a/profile").rglob("*.xplane.pb"))) == 1
    assert call("run", *typed, "--out", "b") == 0
    assert not Path("b/profile").exists()
    assert_close(_state("a"), _state("b"), rtol=0, atol=0)


@pytest.mark.slow
def test_a_run_shorter_than_what_is_to_be_profiled_is_traced_whole(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["gan", "--data", "ring", *tiny("gan", points=True), *_EVERY, "--steps", 9]
    assert call("run", *typed, "--profile", 50, "--out", "a") == 0
    assert "traced steps 1 to 9" in capsys.readouterr().out


class _Two:
    """Two processes of one command on this machine; what they have said is in the files 0 and 1."""

    def __init__(self, *typed: object, places: Sequence[str] = (".", ".")) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.processes = []
        for index in range(2):
            command = [sys.executable, "-m", "gan_jax", "run", *map(str, typed)]
            with open(str(index), "w") as output:
                process = subprocess.Popen(
                    [*command, "--distributed", f"127.0.0.1:{port},2,{index}"],
                    env=os.environ | {"PYTHONPATH": str(_REPOSITORY)},
                    cwd=places[index],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            self.processes.append(process)

    def codes(self, timeout: float = 120) -> list[int]:
        deadline = time.monotonic() + timeout
        return [process.wait(max(0, deadline - time.monotonic())) for process in self.processes]

    def said(self) -> list[str]:
        return [Path(str(index)).read_text() for index in range(2)]


@pytest.fixture
def two() -> Iterator[Any]:
    """Starts two processes, and ends those that are left."""
    started: list[_Two] = []

    def start(*typed: object, **settings: Any) -> _Two:
        started.append(_Two(*typed, **settings))
        return started[-1]

    yield start
    for process in (process for pair in started for process in pair.processes):
        process.kill()
        process.wait()


@pytest.mark.slow
def test_two_processes_train_one_gan_and_continue_each_others_runs(two: Any) -> None:
    typed = [*_MLP, "--track", "sliced", "--track-every", 2]
    pair = two(*typed, "--steps", 4, "--devices", 2)
    assert pair.codes() == [0, 0], pair.said()
    # Numbered directories: the first makes one, and the others learn which.
    assert [path.name for path in Path("runs/cgan").iterdir()] == ["001"]
    assert call("run", *typed, "--steps", 4, "--out", "one") == 0
    assert_close(_state("runs/cgan/001"), _state("one"), **_TOLERANCE)
    assert_close(_metrics("runs/cgan/001"), _metrics("one"), **_TOLERANCE)
    assert _used("runs/cgan/001") == [4]
    best = [json.loads(Path(path, "best.json").read_text()) for path in ("one", "runs/cgan/001")]
    assert best[0]["step"] == best[1]["step"]
    # Only the first says what comes next.
    assert ["next: " in text for text in pair.said()] == [True, False]

    pair = two("cgan", "--resume", "one", "--steps", 6)
    assert pair.codes() == [0, 0], pair.said()
    assert call("run", "cgan", "--resume", "runs/cgan/001", "--steps", 6) == 0
    assert_close(_state("runs/cgan/001"), _state("one"), **_TOLERANCE)
    # A run that is finished ends at once.
    pair = two(*typed, "--steps", 6, "--out", "one", "--resume", "auto")
    assert pair.codes() == [0, 0], pair.said()
    assert "is finished" in pair.said()[0]


_LONG = [*_MLP[: -len(_EVERY)], "--log-every", 5, "--sample-every", 10**6, "--save-every", 5, "--steps", 10**6]


def _saved(path: str, pair: _Two) -> int:
    """Waits for a checkpoint."""
    deadline = time.monotonic() + 120
    while not (steps := checkpoint.steps(Path(path) / "checkpoints")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert steps, pair.said()
    return steps[0]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_process_is_killed_the_other_ends_with_a_sentence_and_the_command_goes_on(
    two: Any, victim: int
) -> None:
    typed = [*_LONG, "--out", "a", "--resume", "auto"]
    pair = two(*typed)
    before = _saved("a", pair)
    pair.processes[victim].kill()
    codes = pair.codes(timeout=60)
    assert codes[victim] == -signal.SIGKILL
    assert codes[1 - victim] in (1, -signal.SIGABRT)
    assert "type the same command with --resume auto, in every process" in pair.said()[1 - victim]
    pair = two(*typed)
    deadline = time.monotonic() + 120
    while max(checkpoint.steps(Path("a/checkpoints"))) <= before + 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    # A signal to one of them stops both, at the same step.
    pair.processes[victim].send_signal(signal.SIGTERM)
    assert pair.codes() == [143, 143], pair.said()
    step = int(_state("a").step)
    assert step > before
    assert f"stopped and saved at step {step}" in pair.said()[0]
    assert journal.read(Path("a"))["status"] == "stopped"


@pytest.mark.slow
def test_two_processes_stop_together_before_what_is_not_finite(two: Any) -> None:
    # Times the weights of the critic's first layer, that is beyond float32.
    np.savez("huge.npz", images=np.full((8, 2), 3e38, np.float32))
    typed = ["--data", "npz:huge.npz", *tiny("wgan", points=True), *_EVERY, "--steps", 6]
    pair = two("wgan", *typed, "--out", "a")
    assert pair.codes() == [1, 1], pair.said()
    assert "d_loss stopped being finite at step 1; the state of step 0" in pair.said()[0]
    assert int(_state("a").step) == 0
    assert journal.read(Path("a"))["status"] == "diverged"


@pytest.mark.slow
def test_an_error_of_the_first_process_is_one_of_both(two: Any) -> None:
    Path("a").mkdir()
    Path("a/notes").touch()
    pair = two(*_MLP, "--steps", 2, "--out", "a")
    assert pair.codes() == [2, 2], pair.said()
    first, second = pair.said()
    assert "run: a exists already" in first
    assert "run: process 0 can't go on: a exists already" in second
    assert "Traceback" not in first + second


@pytest.mark.slow
def test_data_that_changes_under_one_process_ends_both_with_a_sentence_and_their_step_is_saved(two: Any) -> None:
    # A chunk is 16 MiB, which is 16 steps, and two are ahead.
    assert call("prepare", "npz:tiny.npz", "--size", 128, "--out", "data") == 0
    shutil.copytree("data", "other/data")
    every = ["--log-every", 8, "--sample-every", 10**6, "--save-every", 8]
    typed = ["cgan", "--data", "prepared:data", "--stream", "--width", 8, "--latent", 4, "--batch-size", 64, *every]
    pair = two(*typed, "--steps", 10**6, "--out", Path("a").absolute(), places=(".", "other"))
    before = _saved("a", pair)
    os.truncate("other/data/train-images.npy", 1000)
    assert pair.codes() == [2, 2], pair.said()
    step = checkpoint.steps(Path("a/checkpoints"))[0]
    assert step >= before
    for said, by in zip(pair.said(), ("process 1 can't go on: ", ""), strict=True):
        (line,) = (line for line in said.splitlines() if line.startswith("run: "))
        changed = Path("other/data/train-images.npy").absolute()
        assert line.startswith(f"run: {by}{changed} was changed while it was read: put it back; step {step} is saved")
    assert call("run", "cgan", "--resume", "a", "--steps", step + 1) == 0

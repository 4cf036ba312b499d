import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax import checkpoint
from gan_jax.errors import InputError
from gan_jax.lab import EXPERIMENTS, Job, experiment, files, load
from gan_jax.lab.runs import journal, logs
from tests.lab.helpers import call, tiny

_REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _in_a_directory_with_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("points.npz", images=np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))


def _tiny(*arguments: object) -> list[str]:
    return list(map(str, ["gan", "--data", "npz:points.npz", *tiny("gan", points=True), "--log-every", 2, *arguments]))


def _journal(path: str = "a") -> Any:
    return json.loads(Path(path, "run.json").read_text())


def test_a_finished_run_says_all_of_it() -> None:
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    assert call("run", *_tiny("--steps", 6, "--out", "a")) == 0
    found = _journal()
    assert (found["status"], found["step"], found["steps"], found["images_seen"]) == ("finished", 6, 6, 6 * 8)
    assert found["metrics"] == logs.read(Path("a/metrics.jsonl"))[6]
    assert found["seconds_training"] > 0
    assert found["data"] == {
        "name": "npz:points.npz",
        "count": 200,
        "fingerprint": json.loads(Path("a/config.json").read_text())["data"]["fingerprint"],
        "classes": [],
    }
    (session,) = found["sessions"]
    assert session["command"] == "python -m experiments.run " + " ".join(_tiny("--steps", 6, "--out", "a"))
    assert (session["status"], session["from_step"], session["to_step"]) == ("finished", 0, 6)
    started, ended = (datetime.datetime.fromisoformat(session[key]) for key in ("started", "ended"))
    assert before <= started <= ended <= datetime.datetime.now(datetime.UTC)
    assert session["device"]["used"] == 1 <= session["device"]["present"]
    assert session["machine"]["cores"] >= 1
    assert journal.read(Path("a")) == load("a").journal == found


def test_a_resumed_run_goes_on_in_the_same_journal() -> None:
    assert call("run", *_tiny("--steps", 2, "--out", "a")) == 0
    first = _journal()
    assert call("run", "gan", "--resume", "a", "--steps", 6) == 0
    second = _journal()
    assert second["sessions"][0] == first["sessions"][0]
    assert (second["sessions"][1]["from_step"], second["sessions"][1]["to_step"]) == (2, 6)
    assert second["sessions"][1]["command"] == "python -m experiments.run gan --resume a --steps 6"
    assert second["seconds_training"] > first["seconds_training"]
    assert (second["status"], second["steps"], second["images_seen"]) == ("finished", 6, 48)


def test_a_run_that_diverges_says_so_and_where() -> None:
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    points[0] = 3e38  # RMSProp squares its gradient.
    np.savez("points.npz", images=points)
    assert call("run", "wgan", *_tiny("--steps", 50, "--out", "a")[1:]) == 1
    found = _journal()
    assert found["status"] == found["sessions"][0]["status"] == "diverged"
    assert found["step"] == checkpoint.steps(Path("a/checkpoints"))[0] < 50


def test_a_run_that_can_not_write_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)
    assert call("run", *_tiny("--steps", 6, "--out", "a")) == 1
    assert _journal()["status"] == _journal()["sessions"][0]["status"] == "interrupted"


@pytest.mark.slow
def test_a_stopped_run_and_a_killed_one_are_told_apart() -> None:
    typed = _tiny("--steps", 1_000_000, "--save-every", 20, "--out", "a", "--resume", "auto")
    for number, status in ((signal.SIGTERM, "stopped"), (signal.SIGKILL, "interrupted")):
        environment = os.environ | {"PYTHONPATH": str(_REPOSITORY)}
        with subprocess.Popen(
            [sys.executable, "-m", "experiments.run", *typed], env=environment, stdout=subprocess.DEVNULL
        ) as process:
            start = max(checkpoint.steps(Path("a/checkpoints")), default=0)
            deadline = time.monotonic() + 120
            while not any(step > start for step in checkpoint.steps(Path("a/checkpoints"))):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert journal.read(Path("a"))["status"] == "training"
            process.send_signal(number)
        assert journal.read(Path("a"))["status"] == status
    # The next start writes down what nobody could while it was killed.
    assert _journal()["sessions"][1]["status"] == "training"
    step = checkpoint.steps(Path("a/checkpoints"))[0]
    assert call("run", "gan", "--resume", "a", "--steps", step + 2) == 0
    assert [session["status"] for session in _journal()["sessions"]] == ["stopped", "interrupted", "finished"]


@pytest.mark.parametrize(("steps", "seen"), [(0, 0), (3, 3 * 100 * 64), (25, 25 * 100 * 64), (26, (2500 + 5) * 64)])
def test_images_are_counted_through_a_warm_up(steps: int, seen: int) -> None:
    typed = {"warmup_steps": 25, "warmup_critic": 100, "n_critic": 5, "batch_size": 64}
    config = experiment.config(EXPERIMENTS, "wgan", typed)
    assert journal.images_seen(Job(config, (8, 8, 1), 0), steps) == seen


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "finished", "metrics": 3}'])
def test_what_is_no_journal_is_one_sentence(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", *_tiny("--steps", 2, "--out", "a")) == 0
    Path("a/run.json").write_text(text)
    with pytest.raises(InputError, match=r"a/run\.json is not the journal of a run"):
        journal.read(Path("a"))
    capsys.readouterr()
    assert call("run", "gan", "--resume", "a", "--steps", 4) == 2
    assert "move it away" in capsys.readouterr().err


def test_a_directory_without_one_is_no_run() -> None:
    with pytest.raises(InputError, match=r"holds no run\.json"):
        journal.read(Path())


def test_a_lock_is_seen_while_it_is_held() -> None:
    Path("d").mkdir()
    assert not files.is_locked(Path("d"))
    with files.lock(Path("d")):
        program = (
            f"import pathlib; from gan_jax.lab import files; print(files.is_locked(pathlib.Path({str(Path('d'))!r})))"
        )
        seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert seen.stdout == "True\n"
    assert not files.is_locked(Path("d"))

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import run, rundir
from experiments.configs import EXPERIMENTS
from gan_jax.gan import GANState
from tests.experiments.helpers import call
from tests.helpers import read_png

_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def images(tmp_path: Path) -> str:
    """A data set of 60 tiny images of three classes."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
    np.savez(tmp_path / "tiny.npz", images=pixels, labels=np.arange(60) % 3)
    return f"npz:{tmp_path / 'tiny.npz'}"


def _tiny(name: str, data: str) -> list[object]:
    width = ["--width", 8] if "width" in EXPERIMENTS[name].recipe_options else []
    return [name, "--data", data, "--batch-size", 6, *width, "--log-every", 3, "--sample-every", 3, "--save-every", 3]


def _state(path: Path) -> GANState:
    loaded = rundir.load(path)
    return loaded.restore(loaded.gan())


def _metrics(path: Path) -> dict[int, dict[str, float]]:
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return {r["step"]: {k: v for k, v in r.items() if k != "steps_per_s"} for r in records}


def _assert_same_bits(a: GANState, b: GANState) -> None:
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_recipe_runs_and_a_resumed_run_ends_in_the_same_bits(
    name: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(run.main, *_tiny(name, images), "--steps", 6) == 0
    path = Path("runs") / name / "001"
    assert f"experiments.sample {path}" in capsys.readouterr().out
    assert {entry.name for entry in path.iterdir()} == {
        "config.json", "metrics.jsonl", "checkpoints", "samples", "tensorboard"
    }  # fmt: skip
    assert [entry.name for entry in sorted((path / "samples").iterdir())] == ["0000003.png", "0000006.png"]
    assert read_png(path / "samples" / "0000006.png").std() > 0

    assert call(run.main, *_tiny(name, images), "--steps", 3, "--out", "cut") == 0
    assert call(run.main, name, "--resume", "cut", "--steps", 6) == 0
    _assert_same_bits(_state(path), _state(Path("cut")))
    whole, cut = _metrics(path), _metrics(Path("cut"))
    assert whole[3].keys() == cut[3].keys()
    assert whole[6] == cut[6]


def test_streaming_from_the_host_gives_the_same_bits(images: str) -> None:
    for out, stream in (("resident", "no"), ("streamed", "yes")):
        assert call(run.main, *_tiny("wgan", images), "--steps", 6, "--stream", stream, "--out", out) == 0
    _assert_same_bits(_state(Path("resident")), _state(Path("streamed")))
    assert _metrics(Path("resident")) == _metrics(Path("streamed"))


def test_the_warm_up_takes_more_critic_steps_and_resumes_exactly(images: str) -> None:
    warm = ["--warmup-steps", 3, "--warmup-critic", 7]
    assert call(run.main, *_tiny("wgan", images), *warm, "--steps", 6, "--out", "warm") == 0
    assert call(run.main, *_tiny("wgan", images), *warm, "--steps", 3, "--out", "cut") == 0
    assert call(run.main, "wgan", "--resume", "cut", "--steps", 6) == 0
    _assert_same_bits(_state(Path("warm")), _state(Path("cut")))
    assert call(run.main, *_tiny("wgan", images), "--steps", 6, "--out", "cold") == 0
    leaves = [jax.tree.leaves(_state(Path(out)).discriminator.params)[1] for out in ("warm", "cold")]
    assert not np.array_equal(*leaves)


@pytest.mark.parametrize("name", ["gan", "cgan", "wgan_gp", "r3gan"])
def test_toys_are_drawn_as_points(name: str) -> None:
    assert call(run.main, *_tiny(name, "ring"), "--steps", 3) == 0
    picture = read_png(f"runs/{name}/001/samples/0000003.png")
    assert picture.shape == (480, 480, 3)


def test_runs_never_overwrite_each_other_unless_told(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    short = [*_tiny("gan", images), "--steps", 1]
    for _ in range(2):
        assert call(run.main, *short) == 0
    assert sorted(path.name for path in Path("runs/gan").iterdir()) == ["001", "002"]
    before = (Path("runs/gan/001") / "metrics.jsonl").read_bytes()
    assert call(run.main, *short, "--out", "runs/gan/001") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (Path("runs/gan/001") / "metrics.jsonl").read_bytes() == before
    assert call(run.main, *short, "--seed", 1, "--out", "runs/gan/001", "--overwrite") == 0
    assert rundir.load(Path("runs/gan/001")).config.run["seed"] == 1
    Path("precious").mkdir()
    Path("precious/thesis.txt").write_text("all of it")
    assert call(run.main, *short, "--out", "precious", "--overwrite") == 2
    assert Path("precious/thesis.txt").read_text() == "all of it"


def test_the_configuration_says_what_ran(images: str) -> None:
    assert call(run.main, *_tiny("wgan", images), "--steps", 1, "--lr", "0.001", "--preset", "paper") == 0
    record = json.loads(Path("runs/wgan/001/config.json").read_text())
    assert record["experiment"] == "wgan"
    # Typed beats the preset (lr 5e-5), the preset beats the default (clip .05).
    assert record["recipe"]["lr"] == 0.001
    assert record["recipe"]["clip"] == 0.01
    assert record["versions"]["jax"] == jax.__version__
    assert "commit" in record


def test_a_run_that_is_no_longer_finite_stops_and_says_what_went_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "huge.npz", images=np.full((8, 2), 3e38, np.float32))
    assert call(run.main, *_tiny("wgan", f"npz:{tmp_path / 'huge.npz'}"), "--steps", 6) == 1
    error = capsys.readouterr().err
    # 3e38 times the weights of the critic's first layer is beyond float32.
    assert "d_loss stopped being finite at step 1" in error
    assert "nothing was saved" in error
    assert not Path("runs/wgan/001/checkpoints").exists()


_BAD: dict[str, tuple[list[object], str]] = {
    "recipe": (["wgn"], "did you mean wgan?"),
    "option": (["wgan", "--clp", "1"], "did you mean --clip?"),
    "option of another recipe": (["gan", "--clip", "1"], "no option --clip"),
    "n_critic": (["wgan", "--n-critic", "0"], "at least 1"),
    "batch": (["gan", "--batch-size", "0"], "at least 1"),
    "steps": (["gan", "--steps", "-3"], "at least 1"),
    "not a number": (["gan", "--lr", "fast"], "expected a number"),
    "infinite": (["gan", "--lr", "inf"], "expected a number"),
    "dtype": (["gan", "--dtype", "float8"], "float32, bfloat16"),
    "data": (["gan", "--data", "minst"], "mnist"),
    "data directory": (["gan", "--data", "idx:nowhere"], "nowhere"),
    "data file": (["gan", "--data", "npz:nowhere.npz"], "nowhere.npz"),
    "resumed nothing": (["gan", "--resume", "nowhere"], "not a run"),
    "unwritable": (["gan", "--data", "ring", "--out", "/proc/runs"], "--out"),
}


@pytest.mark.parametrize("case", _BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, words = _BAD[case]
    assert call(run.main, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not Path("runs").exists()


def test_data_that_a_recipe_can_not_take_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "odd.npz", images=np.zeros((4, 30, 30), np.uint8))
    for name, words in (("dcgan", "28 x 28, 32 x 32"), ("cgan", "labels")):
        assert call(run.main, name, "--data", f"npz:{tmp_path / 'odd.npz'}") == 2
        assert words in capsys.readouterr().err
    assert not Path("runs").exists()


def test_resuming_refuses_another_recipe_and_other_options(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(run.main, *_tiny("gan", images), "--steps", 1, "--out", "a") == 0
    for arguments, words in (
        (["cgan", "--resume", "a"], "was made by gan"),
        (["gan", "--resume", "a", "--lr", "0.1"], "not --lr"),
    ):
        assert call(run.main, *arguments) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(number: int, code: int, images: str) -> None:
    command = [sys.executable, "-m", "experiments.run", *map(str, _tiny("gan", images)), "--steps", "1000000"]
    process = subprocess.Popen(
        [*command, "--sample-every", "1000000", "--save-every", "1000000", "--out", "a"],
        env=os.environ | {"PYTHONPATH": str(_REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    log = Path("a/metrics.jsonl")
    deadline = time.monotonic() + 120
    while not (log.exists() and log.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code
    assert "--resume a" in output
    assert int(_state(Path("a")).step) == max(_metrics(Path("a")))

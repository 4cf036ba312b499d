import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from gan_jax import checkpoint, losses
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS, files
from gan_jax.lab.report import verdict
from gan_jax.lab.runs import directory, logs, loop
from gan_jax.training import draw_indices
from tests.helpers import few, read_png
from tests.lab.helpers import call, tiny

_REPOSITORY = Path(__file__).parents[3]


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


def _tiny(name: str, data: str, *, points: bool = False) -> list[object]:
    every = ["--log-every", 3, "--sample-every", 3, "--save-every", 3]
    return [name, "--data", data, *tiny(name, points=points or data == "ring"), *every]


def test_a_run_ends_with_the_verdict_on_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    every = ["--log-every", 1, "--sample-every", 3]
    assert call("run", *_tiny("gan", "ring"), *every, "--steps", 10, "--out", "a") == 0
    said = verdict.of(
        logs.read(Path("a/metrics.jsonl")), status="finished", step=10, steps=10, loss=losses.non_saturating()
    )
    assert said.kind != "early"
    assert capsys.readouterr().out.endswith(f"\n{said.title}. {said.text}\n")
    assert call("run", *_tiny("gan", "ring"), *every, "--steps", 3, "--out", "b") == 0
    assert capsys.readouterr().out.endswith("samples.png\n")  # Too early to say anything.


def _state(path: Path) -> GANState:
    loaded = directory.load(path, EXPERIMENTS)
    return loaded.restore()


def _metrics(path: Path) -> dict[int, dict[str, float]]:
    return {
        step: {name: value for name, value in record.items() if name not in ("steps_per_s", "seconds")}
        for step, record in logs.read(path / "metrics.jsonl").items()
    }


def _assert_same_bits(a: Any, b: Any) -> None:
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


# Runs of these are cut and go on in other tests here.
@pytest.mark.parametrize("name", few([name for name in EXPERIMENTS if name not in ("gan", "wgan", "cgan")], "cdcgan"))
def test_every_recipe_runs_and_a_resumed_run_ends_in_the_same_bits(
    name: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    images = f"tags:{images}" if name == "tagger" else images
    assert call("run", *_tiny(name, images), "--steps", 6) == 0
    path = Path("runs") / name / "001"
    assert f"experiments.sample {path}" in capsys.readouterr().out
    assert {entry.name for entry in path.iterdir()} - {files.LOCK} == {
        "config.json", "run.json", "metrics.jsonl", "checkpoints", "samples", "tensorboard"
    }  # fmt: skip
    assert [entry.name for entry in sorted((path / "samples").iterdir())] == ["0000003.png", "0000006.png"]
    assert read_png(path / "samples" / "0000006.png").std() > 0

    assert call("run", *_tiny(name, images), "--log-every", 1, "--steps", 2, "--out", "cut") == 0
    assert call("run", name, "--resume", "cut", "--steps", 6) == 0
    _assert_same_bits(_state(path), _state(Path("cut")))
    whole, cut = _metrics(path), _metrics(Path("cut"))
    assert list(whole) == [3, 6]
    assert list(cut) == [1, 2, 3, 4, 5, 6]
    # A line is the mean over its steps, exactly, but for what is of its step alone.
    for step, record in whole.items():
        of_step = {key: cut[step][key] for key in ("images_seen", *["diversity", "nearest"] * (name != "tagger"))}
        own = [cut[step - i] for i in (2, 1, 0)]
        for key in ("d_grad", "g_grad"):  # Taken at every sixteenth step: the first.
            assert [key in line for line in own] == [step == 3, False, False]
        values = {key: [line[key] for line in own if key in line] for key in record.keys() - of_step.keys()}
        assert record == of_step | {key: sum(found, 0.0) / len(found) for key, found in values.items()}


@pytest.mark.parametrize("stream", few(["no", "yes"], "no"))
def test_a_run_that_is_cut_between_two_lines_writes_the_lines_of_one_that_is_not(images: str, stream: str) -> None:
    run_it = [*_tiny("gan", images), "--log-every", 4, "--save-every", 3, "--stream", stream]
    assert call("run", *run_it, "--steps", 12, "--out", "whole") == 0
    for steps in (1, 3, 6, 9, 10, 12):
        assert call("run", *run_it, "--steps", steps, "--out", "cut", "--resume", "auto") == 0
    _assert_same_bits(_state(Path("whole")), _state(Path("cut")))
    whole, cut = _metrics(Path("whole")), _metrics(Path("cut"))
    assert list(whole) == [3, 4, 6, 8, 9, 12]
    assert whole.items() <= cut.items()


def _stopped_after_a_save(*arguments: object) -> None:
    """A run that gets a signal while it makes its first save."""
    save = checkpoint.save

    def save_and_be_interrupted(*arguments: Any, **options: Any) -> None:
        save(*arguments, **options)
        patch.undo()
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", save_and_be_interrupted)
        assert call("run", *arguments) == 130


_SCHEDULES: dict[str, list[object]] = {
    "of every kind": ["--lr", "cosine:5e-3:0", "--ema", "linear:0.1:0.99", "--b1", "steps:0,0.5,0.9"],
    "of a part of the run": ["--lr", "linear:0:5e-3:0.5", "--d-lr", "cosine:1e-3:1e-4:0.8"],
    "of penalties": ["--penalty", "r1:linear:10:0+dragan:steps:1,5", "--b2", "cosine:0.9:0.99"],
}


@pytest.mark.parametrize("case", few(_SCHEDULES, "of every kind"))
def test_a_run_with_schedules_that_is_cut_ends_in_the_same_bits(
    case: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*_tiny("gan", images), *_SCHEDULES[case], "--log-every", 2, "--steps", 7]
    assert call("run", *command, "--out", "whole") == 0
    _stopped_after_a_save(*command, "--out", "cut")
    assert "stopped and saved at step 3; continue with: python -m experiments.run gan --resume cut" in (
        capsys.readouterr().out
    )
    assert int(_state(Path("cut")).step) == 3
    assert call("run", *command, "--out", "cut", "--resume", "auto") == 0
    _assert_same_bits(_state(Path("whole")), _state(Path("cut")))
    whole, cut = _metrics(Path("whole")), _metrics(Path("cut"))
    assert list(whole) == [2, 3, 4, 6, 7]
    assert whole.items() <= cut.items()
    # It is not what the first values of the schedules alone would give.
    constant = [re.sub(r"(linear|cosine|steps):([^:,]*)[^+]*", r"\2", str(word)) for word in _SCHEDULES[case]]
    constant = [word if word != "0" else "1e-9" for word in constant]
    assert call("run", *command, *constant, "--out", "constant") == 0
    leaves = [jax.tree.leaves(_state(Path(out))) for out in ("whole", "constant")]
    assert any(not np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


@pytest.mark.slow
def test_schedules_span_the_steps_that_a_run_was_started_with(images: str) -> None:
    command = [*_tiny("wgan", images), "--lr", "linear:1e-2:0"]
    assert call("run", *command, "--steps", 6, "--out", "a") == 0
    before = _state(Path("a"))
    assert call("run", "wgan", "--resume", "a", "--steps", 9) == 0
    assert call("run", *command, "--steps", 12, "--out", "a", "--resume", "auto") == 0
    after = _state(Path("a"))
    assert (int(before.step), int(after.step)) == (6, 12)
    # At the end of its schedule the rate is 0.
    _assert_same_bits(before.generator.params, after.generator.params)
    _assert_same_bits(before.discriminator.params, after.discriminator.params)
    assert json.loads(Path("a/config.json").read_text())["options"]["steps"] == 6


@pytest.mark.slow
def test_streamed_schedules_give_the_same_bits(images: str) -> None:
    for out, stream in (("resident", []), ("streamed", ["--stream"])):
        assert (
            call("run", *_tiny("gan", images), *_SCHEDULES["of every kind"], "--steps", 6, *stream, "--out", out) == 0
        )
    _assert_same_bits(_state(Path("resident")), _state(Path("streamed")))
    assert _metrics(Path("resident")) == _metrics(Path("streamed"))


_OBJECTIVES: dict[str, tuple[str, list[object], dict[str, Any]]] = {
    "loss": ("gan", ["--loss", "hinge"], {"loss": "hinge"}),
    "no penalty": ("dragan", ["--penalty", "none"], {"penalty": "none"}),
    "lazy": ("dragan", ["--lazy", 2], {"lazy": 2}),
    "augment": ("gan", ["--augment", "color,cutout"], {"augment": "color+cutout"}),
    "all": (
        "cgan",
        ["--loss", "relativistic_pairing", "--penalty", "r2:cosine:1:0+r1:1e+1", "--lazy", 2, "--accumulate", 2],
        {"loss": "relativistic_pairing", "penalty": "r2:cosine:1.0:0.0+r1:10.0", "lazy": 2, "accumulate": 2},
    ),
}


@pytest.mark.parametrize("case", few(_OBJECTIVES, "loss"))
def test_an_objective_that_was_typed_is_recorded_and_resumes_exactly(
    case: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, typed, recorded = _OBJECTIVES[case]
    own_command = [*_tiny(name, images if case == "augment" else "ring"), "--steps", 6]
    command = [*own_command, *typed]
    assert call("run", *command, "--out", "whole") == 0
    record = json.loads(Path("whole/config.json").read_text())["options"]
    own = {"loss": None, "penalty": None, "lazy": 1, "augment": None, "accumulate": 1}
    assert {option: record[option] for option in own} == own | recorded
    _stopped_after_a_save(*command, "--out", "cut")
    capsys.readouterr()
    assert call("run", *own_command, "--out", "cut", "--resume", "auto") == 2
    option, value = next(iter(recorded.items()))
    assert f"cut was started with another --{option}, {value}: type the same again" in capsys.readouterr().err
    assert call("run", *command, "--out", "cut", "--resume", "auto") == 0
    _assert_same_bits(_state(Path("whole")), _state(Path("cut")))
    assert _metrics(Path("whole")) == _metrics(Path("cut"))
    # And it is another game than the recipe's own.
    assert call("run", *own_command, "--out", "own") == 0
    leaves = [jax.tree.leaves(_state(Path(out)).discriminator.params) for out in ("whole", "own")]
    assert any(not np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gan", "--lazy", 2], "run: --lazy needs a penalty"),
        (["gan", "--accumulate", 4], "can't be divided into 4 equal parts"),
        (["acgan", "--penalty", "wgan_gp:1"], "needs the same labels for real and generated examples"),
        (["gan", "--loss", "hing"], "expected one of minimax"),
        (["gan", "--penalty", "r1"], "expected none or NAME:WEIGHT"),
        (["gan", "--lr", "cosine:1e-3"], "expected cosine:START:END"),
        (["gan", "--width", "linear:4:8"], "expected a whole number"),
        (["gan", "--saturating", "maybe"], "expected yes or no"),
    ],
)
def test_an_objective_that_can_not_be_is_refused_before_anything_is_written(
    arguments: list[object], words: str, images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (name, *typed) = arguments
    data = ["--data", "mnist"] if name == "acgan" else ["--data", images]
    assert call("run", name, *data, "--batch-size", 6, *typed) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["run", "completion", "--width", 16, "--out", "a"],
        ["run", "gan", "--track", "parzen", "--out", "a"],
        ["run", "cgan", "--track", "gan_train", "--out", "a"],
        ["classifier", "--out", "k.npz"],
    ],
)
@pytest.mark.parametrize(
    ("test", "labels", "words"),
    [
        (np.zeros((20, 12, 12), np.uint8), np.arange(20) % 3, "test examples are 12 x 12 x 1 where"),
        (np.zeros((20, 8, 8, 3), np.uint8), np.arange(20) % 3, "test examples are 8 x 8 x 3 where"),
        (np.zeros((20, 8, 8), np.uint8), np.arange(20) % 4, "the test split has class 3"),
    ],
)
def test_a_test_split_of_other_data_is_refused_before_anything_is_trained(
    command: list[object], test: np.ndarray, labels: np.ndarray, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((30, 8, 8), 9, np.uint8)
    np.savez("m.npz", images=pixels, labels=np.arange(30) % 3, test_images=test, test_labels=labels)
    name, *typed = command
    data = [*typed[:1], "--data", "npz:m.npz", *typed[1:]] if name == "run" else ["npz:m.npz", *typed]
    assert call(str(name), *data) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert [path.name for path in Path().iterdir()] == ["m.npz"]


@pytest.mark.slow
def test_flags_need_no_word_and_take_one(images: str) -> None:
    for out, typed, expected in (
        ("a", ["--saturating", "--stream"], (True, True)),
        ("b", ["--saturating", "no", "--stream", "yes"], (False, True)),
        ("c", [], (False, False)),
    ):
        assert call("run", *_tiny("gan", images), *typed, "--steps", 1, "--out", out) == 0
        options = json.loads(Path(out, "config.json").read_text())["options"]
        assert (options["saturating"], options["stream"]) == expected


@pytest.mark.slow
def test_streaming_from_the_host_gives_the_same_bits(images: str) -> None:
    for out, stream in (("resident", "no"), ("streamed", "yes")):
        assert call("run", *_tiny("wgan", images), "--steps", 6, "--stream", stream, "--out", out) == 0
    _assert_same_bits(_state(Path("resident")), _state(Path("streamed")))
    assert _metrics(Path("resident")) == _metrics(Path("streamed"))


def test_the_warm_up_takes_more_critic_steps_and_resumes_exactly(images: str) -> None:
    warm = ["--warmup-steps", 3, "--warmup-critic", 7]
    assert call("run", *_tiny("wgan", images), *warm, "--steps", 6, "--out", "warm") == 0
    assert call("run", *_tiny("wgan", images), *warm, "--steps", 3, "--out", "cut") == 0
    assert call("run", "wgan", "--resume", "cut", "--steps", 6) == 0
    _assert_same_bits(_state(Path("warm")), _state(Path("cut")))
    assert call("run", *_tiny("wgan", images), "--steps", 6, "--out", "cold") == 0
    leaves = [jax.tree.leaves(_state(Path(out)).discriminator.params)[1] for out in ("warm", "cold")]
    assert not np.array_equal(*leaves)


@pytest.mark.parametrize("name", few(["gan", "cgan", "wgan_gp", "r3gan"], "gan"))
def test_toys_are_drawn_as_points(name: str) -> None:
    assert call("run", *_tiny(name, "ring"), "--steps", 3) == 0
    picture = read_png(f"runs/{name}/001/samples/0000003.png")
    assert picture.shape == (480, 480, 3)


def test_runs_never_overwrite_each_other_unless_told(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    short = [*_tiny("gan", images), "--steps", 1]
    for _ in range(2):
        assert call("run", *short) == 0
    assert sorted(path.name for path in Path("runs/gan").iterdir()) == ["001", "002"]
    before = (Path("runs/gan/001") / "metrics.jsonl").read_bytes()
    assert call("run", *short, "--out", "runs/gan/001") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (Path("runs/gan/001") / "metrics.jsonl").read_bytes() == before
    assert call("run", *short, "--seed", 1, "--out", "runs/gan/001", "--overwrite") == 0
    assert directory.load(Path("runs/gan/001"), EXPERIMENTS).job.options["seed"] == 1
    Path("precious").mkdir()
    Path("precious/thesis.txt").write_text("all of it")
    assert call("run", *short, "--out", "precious", "--overwrite") == 2
    assert Path("precious/thesis.txt").read_text() == "all of it"


def test_the_configuration_says_what_ran(images: str) -> None:
    assert call("run", *_tiny("wgan", images), "--steps", 1, "--lr", "0.001", "--preset", "paper") == 0
    record = json.loads(Path("runs/wgan/001/config.json").read_text())
    assert record["experiment"] == "wgan"
    # Typed beats the preset (lr 5e-5), the preset beats the default (clip .05).
    assert record["options"]["lr"] == 0.001
    assert record["options"]["clip"] == 0.01
    assert record["versions"]["jax"] == jax.__version__
    assert "commit" in record


@pytest.mark.parametrize("stream", few(["no", "yes"], "no"))
def test_a_run_that_is_no_longer_finite_stops_at_the_last_finite_state_and_says_what_went_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stream: str
) -> None:
    rng = jax.random.split(jax.random.key(0), 3)[1]
    drawn = np.stack([draw_indices(rng, jnp.int32(step), 1, 6, 200)[0] for step in range(70)])
    # An example that is first drawn at step number 48, which takes norms, after 48 steps.
    odd = next(i for i in drawn[48] if i not in drawn[:48])
    points = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    points[odd] = 3e38  # The norm of the critic's gradient is beyond float32.
    np.savez(tmp_path / "odd.npz", images=points)
    options = [
        *_tiny("wgan", f"npz:{tmp_path / 'odd.npz'}", points=True),
        "--n-critic",
        1,
        "--batch-size",
        6,
        "--stream",
        stream,
    ]
    options += ["--log-every", 50, "--sample-every", 100, "--save-every", 100]
    assert call("run", *options, "--steps", 100, "--out", "a") == 1

    error = capsys.readouterr().err
    assert "d_grad stopped being finite at step 49; the state of step 48" in error
    assert error.count("\n") == 1
    assert call("run", *options, "--steps", 48, "--out", "b") == 0
    _assert_same_bits(_state(Path("a")), _state(Path("b")))
    whole = _metrics(Path("b"))
    for name in ("diversity", "gap"):  # Of the picture that a run which ends well makes at its end.
        del whole[48][name]
    assert _metrics(Path("a")) == whole
    assert call("run", *options, "--steps", 100, "--out", "a", "--resume", "auto") == 1


def test_a_run_whose_first_step_is_not_finite_keeps_the_state_it_started_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Times the weights of the critic's first layer, that is beyond float32.
    np.savez(tmp_path / "huge.npz", images=np.full((8, 2), 3e38, np.float32))
    assert call("run", *_tiny("wgan", f"npz:{tmp_path / 'huge.npz'}", points=True), "--steps", 6, "--out", "a") == 1
    assert "d_loss stopped being finite at step 1; the state of step 0" in capsys.readouterr().err
    assert _state(Path("a")).step == 0


def test_the_same_command_with_resume_auto_goes_on_until_it_is_finished(
    images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*_tiny("gan", images), "--resume", "auto", "--out", "a"]
    assert call("run", *_tiny("gan", images), "--steps", 9, "--out", "whole") == 0
    # Killed before it had a config.json, and before its first checkpoint.
    Path("a").mkdir()
    Path("a/.config.json.partial").write_text("{")
    assert call("run", *command, "--steps", 3) == 0
    shutil.rmtree("a/checkpoints")
    assert call("run", *command, "--steps", 6) == 0
    assert call("run", *command, "--steps", 9) == 0
    _assert_same_bits(_state(Path("a")), _state(Path("whole")))
    before = {path: path.stat().st_mtime_ns for path in Path("a").rglob("*")}
    capsys.readouterr()
    assert call("run", *command, "--steps", 9) == 0
    assert "a is finished" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in Path("a").rglob("*")} == before


def test_resume_auto_finds_the_newest_unfinished_run_of_the_same_options(images: str) -> None:
    command = _tiny("gan", images)
    for seed, steps in ((1, 2), (2, 2), (1, 4), (1, 3)):
        assert call("run", *command, "--seed", seed, "--steps", steps) == 0
    (Path("runs/gan") / "005").mkdir()
    (Path("runs/gan") / "notes").mkdir()
    for steps, expected in ((4, {"001": 2, "003": 4, "004": 4}), (4, {"001": 4, "003": 4, "004": 4})):
        assert call("run", *command, "--seed", 1, "--steps", steps, "--resume", "auto") == 0
        assert {name: int(_state(Path("runs/gan") / name).step) for name in expected} == expected
    assert int(_state(Path("runs/gan/002")).step) == 2
    assert call("run", *command, "--seed", 1, "--steps", 4, "--resume", "auto") == 0
    assert int(_state(Path("runs/gan/006")).step) == 4


def test_resume_auto_refuses_a_run_of_other_options_and_one_that_is_at_work(
    images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*_tiny("gan", images), "--steps", 2, "--out", "a"]
    assert call("run", *command) == 0
    for typed, words in (
        ([*command, "--resume", "auto", "--lr", 0.5], "another --lr, 0.0002"),
        ([*_tiny("cgan", images), "--out", "a", "--resume", "auto"], "another experiment, gan"),
        ([*command, "--resume", "auto", "--overwrite"], "exclude each other"),
    ):
        assert call("run", *typed) == 2
        assert words in capsys.readouterr().err
    with files.lock(Path("a")):
        for typed in (["gan", "--resume", "a"], [*command, "--resume", "auto"], [*command, "--overwrite"]):
            assert call("run", *typed) == 2
            assert "a is in use by another process" in capsys.readouterr().err


@pytest.mark.parametrize("where", few(["checkpoint", "log", "picture", "board"], "checkpoint"))
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(
    where: str, images: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [*_tiny("gan", images), "--out", "a", "--resume", "auto"]
    assert call("run", *_tiny("gan", images), "--steps", 6, "--out", "whole") == 0
    assert call("run", *command, "--steps", 3) == 0
    capsys.readouterr()

    def fail_once(*arguments: object, **options: object) -> None:
        patch.undo()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*{
            "checkpoint": (ocp, "save"),
            "log": (logs, "write"),
            "picture": (loop.images, "save_png"),
            "board": (logs.EventsWriter, "flush"),
        }[where], fail_once)  # fmt: skip
        assert call("run", *command, "--steps", 6) == 1
    error = capsys.readouterr().err
    assert "(No space left on device); the checkpoint of step 3 is whole" in error
    assert error.count("\n") == 1
    assert call("run", *command, "--steps", 6) == 0
    _assert_same_bits(_state(Path("a")), _state(Path("whole")))
    assert _metrics(Path("a")) == _metrics(Path("whole"))


_BAD: dict[str, tuple[list[object], str]] = {
    "recipe": (["wgn"], "did you mean wgan?"),
    "option": (["wgan", "--clp", "1"], "did you mean --clip?"),
    "option of another recipe": (["gan", "--clip", "1"], "unknown option --clip"),
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
    "seed": (["gan", "--seed", 2**32], "at most 4294967295"),
    "networks beyond the memory": (["wgan", "--width", 65536, "--depth", 100], "GB: choose a smaller width"),
    "what points have not": (
        ["gan", "--data", "ring", "--depth", 2, "--dropout", 0.1],
        "--depth, --dropout would change nothing: ring is points",
    ),
    "unwritable": (["gan", "--data", "ring", "--out", "/proc/runs"], "--out"),
}


@pytest.mark.parametrize("case", _BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, words = _BAD[case]
    assert call("run", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not Path("runs").exists()


def test_a_full_memory_is_one_sentence_and_exit_code_2(
    images: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.\nAllocations:")

    monkeypatch.setattr(loop, "train", fail)
    assert call("run", *_tiny("gan", images)) == 2
    error = capsys.readouterr().err
    assert "out of memory: reduce --batch-size, --width or --n, or use --stream" in error
    assert error.count("\n") == 1


def test_data_that_a_recipe_can_not_take_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "odd.npz", images=np.zeros((4, 30, 30), np.uint8))
    for name, words in (("dcgan", "resize or pad them to 28 x 28"), ("cgan", "labels")):
        assert call("run", name, "--data", f"npz:{tmp_path / 'odd.npz'}") == 2
        assert words in capsys.readouterr().err
    assert not Path("runs").exists()


def test_resuming_refuses_another_recipe_and_other_options(images: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", *_tiny("gan", images), "--steps", 1, "--out", "a") == 0
    for arguments, words in (
        (["cgan", "--resume", "a"], "a is a run of gan: continue it with python -m experiments.run gan --resume a"),
        (["gan", "--resume", "a", "--lr", "0.1"], "not --lr"),
    ):
        assert call("run", *arguments) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow),
    ],
)
def test_a_signal_saves_at_once_and_says_how_to_go_on(number: int, code: int, images: str) -> None:
    if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("hang-ups are ignored in this session, as under nohup, and the command respects that")
    never = [word for event in ("log", "sample", "save") for word in (f"--{event}-every", "1000000")]
    command = [sys.executable, "-m", "experiments.run", *map(str, _tiny("gan", images)), *never]
    process = subprocess.Popen(
        [*command, "--steps", "1000000", "--out", "a"],
        env=os.environ | {"PYTHONPATH": str(_REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(Path("a").glob("tensorboard/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    sent = time.monotonic()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == code
    assert time.monotonic() - sent < 20  # Compiling included, on a busy machine.
    assert "--resume a" in output
    assert int(_state(Path("a")).step) == max(_metrics(Path("a")), default=0)

import json
from pathlib import Path

import jax
import numpy as np
import pytest

import gan_jax
from gan_jax import checkpoint
from gan_jax.errors import InputError
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.runs import directory, starting
from tests.helpers import assert_same
from tests.lab.exports.helpers import jittered, made
from tests.lab.helpers import call

_OPTIONS = ["--data", "npz:tiny.npz", "--batch-size", 4, "--width", 8, "--depth", 2, "--latent", 5, "--save-every", 2]


@pytest.fixture(autouse=True)
def _source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)).astype(np.uint8)
    np.savez("tiny.npz", images=pixels, labels=np.arange(30) % 3)
    np.savez("more.npz", images=pixels, labels=np.arange(30) % 5)
    made(Path("source"), "cgan", "npz:tiny.npz", depth="2", latent="5", ema="0.9")


def _restored(path: str, step: int) -> GANState:
    return directory.load(Path(path), EXPERIMENTS).restore(step)


def test_a_run_starts_from_the_weights_and_needs_them_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    weights = starting.weights_of(gan_jax.load("source").state)
    assert call("run", "cgan", *_OPTIONS, "--from", "source", "--steps", 2, "--out", "whole") == 0
    out = capsys.readouterr().out
    assert f"starts from {Path('source').absolute()} at step 2: all {len(weights)} arrays fit\n" in out
    begun = _restored("whole", 0)
    assert_same(starting.weights_of(begun), weights)
    assert_same(begun.ema, begun.generator.variables)
    record = json.loads(Path("whole/config.json").read_text())["from"]
    assert (record["path"], record["step"], record["fresh"]) == (str(Path("source").absolute()), 2, [])
    assert sorted(record["taken"]) == sorted(weights)
    # Cut before its first step, and its source gone, it ends in the bits of the one that was not.
    Path("cut").mkdir()
    Path("cut/config.json").write_bytes(Path("whole/config.json").read_bytes())
    checkpoint.save("cut/checkpoints", 0, begun, notes=checkpoint.notes("whole/checkpoints", 0))
    Path("source").rename("gone")
    assert call("run", "cgan", "--resume", "cut") == 0
    assert_same(_restored("cut", 2), _restored("whole", 2))


def test_a_start_that_was_not_saved_yet_is_made_again_unless_it_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    typed = [*_OPTIONS, "--from", "source", "--steps", 2, "--out", "run"]
    assert call("run", "cgan", *typed) == 0
    expected = _restored("run", 2)
    for folder in ("checkpoints",):
        Path("run", folder).rename("kept")
    Path("run/metrics.jsonl").unlink()
    assert call("run", "cgan", *typed, "--resume", "auto") == 0
    assert_same(_restored("run", 2), expected)
    Path("run/checkpoints").rename("kept2")
    Path("run/metrics.jsonl").unlink()
    record = json.loads(Path("run/config.json").read_text())
    record["from"]["fingerprint"] = "0" * 16
    Path("run/config.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert call("run", "cgan", *typed, "--resume", "auto") == 2
    assert "holds other weights than when run was made" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_typed_with_auto_must_be_the_same_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "cgan", *_OPTIONS, "--from", "source", "--steps", 1, "--out", "run") == 0
    capsys.readouterr()
    assert call("run", "cgan", *_OPTIONS, "--steps", 1, "--out", "run", "--resume", "auto") == 2
    error = capsys.readouterr().err
    assert f"run was started with another --from, {Path('source').absolute()}" in error
    assert error.count("\n") == 1
    assert call("run", "cgan", "--resume", "run", "--from", "source") == 2
    assert "not --from" in capsys.readouterr().err
    record = json.loads(Path("run/config.json").read_text())
    del record["from"]
    Path("run/config.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="was trained with from"):
        gan_jax.load("run")


def test_what_fits_is_taken_and_what_does_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Two classes more: the layers that see the class have other shapes."""
    options = ["--data", "npz:more.npz", *_OPTIONS[2:], "--steps", 1, "--out", "run"]
    assert call("run", "cgan", *options, "--from", "source") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("starts from"))
    record = json.loads(Path("run/config.json").read_text())["from"]
    assert record["fresh"] == ["generator/params/Dense_0/kernel", "discriminator/params/Dense_0/kernel"]
    for name in record["fresh"]:
        assert f"{name} (has another shape)" in line
    begun, source = _restored("run", 0), starting.weights_of(gan_jax.load("source").state)
    own = starting.weights_of(begun)
    fresh = starting.weights_of(directory.load(Path("run"), EXPERIMENTS).job.fresh_state())
    for name, leaf in own.items():
        np.testing.assert_array_equal(leaf, (fresh if name in record["fresh"] else source)[name], err_msg=name)


def test_weights_of_other_networks_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for name, where in (("cgan", "mnist-cdcgan"), ("cgan", "nowhere")):
        capsys.readouterr()
        options = ["--data", "npz:tiny.npz", "--width", 16, "--out", "run", "--from", where]
        assert call("run", name, *options) == 2
        error = capsys.readouterr().err
        assert ("is not a run" if where == "nowhere" else "none of the weights of") in error
        assert error.count("\n") == 1
    assert not Path("run").exists()


@pytest.mark.slow
def test_another_width_takes_what_does_not_depend_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    options = [*_OPTIONS[:4], "--width", 16, *_OPTIONS[6:], "--steps", 1, "--out", "run", "--from", "source"]
    assert call("run", "cgan", *options) == 0
    record = json.loads(Path("run/config.json").read_text())["from"]
    # The last layer of G has a bias per pixel, that of D one; all else has the width in its shape.
    assert record["taken"] == ["generator/params/Dense_2/bias", "discriminator/params/head/Dense_0/bias"]
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("starts from"))
    assert f"2 of {2 + len(record['fresh'])} arrays fit, drawn at random are " in line
    begun, source = starting.weights_of(_restored("run", 0)), starting.weights_of(gan_jax.load("source").state)
    for name in record["taken"]:
        np.testing.assert_array_equal(begun[name], source[name])


def test_a_whole_player_that_is_missing_is_named_as_one() -> None:
    state = gan_jax.load("source").state
    weights = {name: np.asarray(leaf) for name, leaf in starting.weights_of(state).items()}
    generator = {name: leaf for name, leaf in weights.items() if name.startswith("generator/")}
    start = starting.of("DIR", 2, generator, state)
    assert starting.described(start, generator) == (
        f"starts from DIR at step 2: {len(generator)} of {len(weights)} arrays fit, drawn at random are the "
        "discriminator (missing)"
    )


def test_a_fingerprint_is_of_every_number_and_name() -> None:
    a = {"x": np.zeros((2, 3)), "y": np.ones(2)}
    assert starting.fingerprint(a) == starting.fingerprint(dict(reversed(a.items())))
    others = [{"x": a["x"]}, {"x": a["x"], "z": a["y"]}, a | {"x": np.zeros((3, 2))}, a | {"y": np.array([1, 1.5])}]
    assert len({starting.fingerprint(of) for of in (a, *others)}) == 5


def test_weights_of_another_dtype_are_taken_in_that_of_the_state() -> None:
    state = jittered(gan_jax.load("source").state)
    half = {name: np.asarray(leaf).astype(np.float16) for name, leaf in starting.weights_of(state).items()}
    found = starting.with_weights(state, half)
    assert jax.tree.map(lambda leaf: leaf.dtype, found) == jax.tree.map(lambda leaf: leaf.dtype, state)
    assert_same(starting.weights_of(found), {name: leaf.astype(np.float32) for name, leaf in half.items()})


@pytest.mark.parametrize(
    "record", [[], {}, {"path": "a"}, {"path": 1, "step": 1, "fingerprint": "", "taken": [], "fresh": []}]
)
def test_a_record_that_is_none_is_refused(record: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        starting.read(record)

import errno
import functools
import json
import re
import resource
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import checkpoint, recipes
from gan_jax.errors import InputError
from gan_jax.gan import GANState
from gan_jax.training import Examples, initial_state
from tests.helpers import few, jit, untyped


def _fresh(step: int = 0, width: int = 4, **options: object) -> GANState:
    gan = recipes.cgan_embedding((4, 4, 1), 3, width=width, latent=2, **options)
    examples = Examples(jnp.zeros((1, 4, 4, 1), jnp.uint8), jnp.zeros((1,), jnp.int32))
    return initial_state(gan, jax.random.key(step), examples).replace(step=jnp.int32(step))


@functools.cache
def _state(*args: int, **kwargs: Any) -> GANState:
    return jit(lambda: _fresh(*args, **kwargs))()


def _assert_same_bits(a: Any, b: Any) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert left.dtype == right.dtype
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("options", few([{}, {"ema": 0.99}, {"dtype": "bfloat16"}], {"ema": 0.99}))
def test_restores_every_bit_of_the_newest_step(tmp_path: Path, options: dict[str, object]) -> None:
    for step in (1, 2, 10):
        checkpoint.save(tmp_path, step, _state(step, **options), keep=3)
    step, state = checkpoint.restore(tmp_path, jax.eval_shape(lambda: _fresh(**options)))
    assert step == 10
    _assert_same_bits(state, _state(10, **options))


def test_keeps_the_latest(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, _state(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "2.json", "3", "3.json"]


def test_a_step_can_be_chosen_and_no_other_takes_its_place(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, _state(step), keep=3)
    step, state = checkpoint.restore(tmp_path, _state(), step=2)
    assert step == 2
    _assert_same_bits(state, _state(2))
    with pytest.raises(InputError, match=r"no checkpoint of step 7: choose one of 1, 2, 3"):
        checkpoint.restore(tmp_path, _state(), step=7)
    _truncate(_files(tmp_path / "2")[0])
    with pytest.raises(InputError, match=r"damaged checkpoint of step 2 .*: choose a different step"):
        checkpoint.restore(tmp_path, _state(), step=2)


def test_the_same_state_saved_again_stays_as_it_is(tmp_path: Path) -> None:
    state = {"gan": _state(1), "rng": jax.random.key(3), "nan": jnp.array(jnp.nan)}
    checkpoint.save(tmp_path, 1, state, notes={"first": True})
    before = {path: path.read_bytes() for path in _files(tmp_path)}
    checkpoint.save(tmp_path, 1, state)
    assert {path: path.read_bytes() for path in _files(tmp_path)} == before


FIRST, SECOND = ({"a": jnp.full(2, value), "rng": jax.random.key(int(value))} for value in (1.0, 2.0))


@pytest.mark.parametrize("first", [(10, 20, 30), (100, 200, 300), (15, 30), (5, 10)])
def test_a_second_run_in_the_same_directory_keeps_its_states_and_those_of_the_first(
    first: tuple[int, ...], tmp_path: Path
) -> None:
    for step in first:
        checkpoint.save(tmp_path, step, FIRST)
    kept = set(checkpoint.steps(tmp_path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in (10, 20, 30):
            checkpoint.save(tmp_path, step, SECOND)
    assert checkpoint.steps(tmp_path) == [30, 20]
    for step in (20, 30):
        _assert_same_bits(checkpoint.restore(tmp_path, SECOND, step=step)[1]["a"], SECOND["a"])
    # What was of the same steps, or of later ones than the first save of the second run.
    aside = {int(path.name.split(".")[0]) for path in tmp_path.iterdir() if path.name.endswith(".json.aside")}
    assert aside == {step for step in kept if step >= 10}
    assert {str(warning.message) for warning in caught} == {
        f"{tmp_path} holds a checkpoint of step {step} by another run, now renamed to {step}.aside: give every run a "
        "directory of its own"
        for step in aside
    }
    (tmp_path / "again").mkdir()
    for step in aside:
        for name in (f"{step}", f"{step}.json"):
            (tmp_path / f"{name}.aside").rename(tmp_path / "again" / name)
        _assert_same_bits(checkpoint.restore(tmp_path / "again", FIRST, step=step)[1]["a"], FIRST["a"])


def test_a_third_run_takes_nothing_from_the_second(tmp_path: Path) -> None:
    for value in (1.0, 2.0, 3.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint.save(tmp_path, 1, {"a": jnp.full(2, value)})
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["1", "1.aside", "1.aside2"]
    assert checkpoint.restore(tmp_path, {"a": jnp.zeros(2)})[1]["a"].tolist() == [3, 3]


def test_a_damaged_step_is_saved_again(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, FIRST)
    _truncate(_files(tmp_path / "1")[0])
    with pytest.warns(UserWarning, match=r"renamed to 1\.aside"):
        checkpoint.save(tmp_path, 1, FIRST)
    _assert_same_bits(checkpoint.restore(tmp_path, FIRST)[1]["a"], FIRST["a"])


@untyped()
def test_paths_may_be_strings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save("ck", np.int64(3), FIRST, notes={"a": 1})
    assert checkpoint.steps("ck") == [3]
    assert checkpoint.notes("ck", 3) == {"a": 1}
    assert checkpoint.restore("ck", FIRST)[0] == 3
    assert (tmp_path / "ck" / "3.json").exists()


@pytest.mark.parametrize(
    "number", [3, 2**40, True, 0.1, np.float32(0.1), np.float64(0.1), np.int64(7), np.arange(3), np.full(2, 0.1)]
)
def test_numbers_keep_every_bit(number: Any, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, {"a": number, "b": [number, jnp.ones(2)]})
    _, found = checkpoint.restore(tmp_path, {"a": number, "b": [number, jnp.zeros(2)]})
    for leaf in (found["a"], found["b"][0]):
        assert leaf.dtype == np.asarray(number).dtype
        assert np.asarray(leaf).tobytes() == np.asarray(number).tobytes()


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({}, ValueError, "this state has none"),
        ((), ValueError, "this state has none"),
        ({"a": None}, ValueError, "this state has none"),
        ({"a": jnp.zeros((0, 3))}, ValueError, r"\['a'\] is empty, \[0, 3\]"),
        ({"a": "name"}, TypeError, r"\['a'\] is str"),
        ({"a": np.array(["name"])}, TypeError, r"\['a'\] is <U4"),
        ({"a": [jnp.zeros(1), print]}, TypeError, r"\['a'\]\[1\] is builtin"),
    ],
)
def test_what_holds_no_numbers_is_refused_before_anything_is_written(
    state: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        checkpoint.save(tmp_path / "ck", 1, state)
    assert not (tmp_path / "ck").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"step": -1}, ValueError),
        ({"step": 1.0}, TypeError),
        ({"keep": 0}, ValueError),
        ({"notes": {"a": jnp.ones(1)}}, TypeError),
    ],
)
@untyped()
def test_steps_and_notes_that_could_not_be_found_again_are_refused(
    options: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        checkpoint.save(tmp_path / "ck", **{"step": 1, "state": FIRST} | options)
    assert not (tmp_path / "ck").exists()


@untyped()
def test_notes_with_numbers_for_keys_are_no_damage(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, FIRST, notes={2: "a", 10: "b"})  # type: ignore[dict-item]
    checkpoint.restore(tmp_path, FIRST)
    assert checkpoint.notes(tmp_path, 1) == {"2": "a", "10": "b"}


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [_flip_a_bit, _truncate, Path.unlink])
def test_damage_to_any_file_is_noticed_named_and_the_step_before_is_used(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    checkpoint.save(tmp_path / "whole", 1, _state(1))
    checkpoint.save(tmp_path / "whole", 2, _state(2))
    for file in [tmp_path / "whole" / "2.json", *_files(tmp_path / "whole" / "2")]:
        if file.name == "2.json" and damage is Path.unlink:  # Then it does not count: tested below.
            continue
        if file.stat().st_size == 0 and damage is not Path.unlink:
            continue
        shutil.copytree(tmp_path / "whole", tmp_path / "hurt")
        hurt = tmp_path / "hurt" / file.relative_to(tmp_path / "whole")
        damage(hurt)
        with pytest.warns(UserWarning, match=f"checkpoint 2 is damaged .*{re.escape(file.name)}"):
            step, _ = checkpoint.restore(tmp_path / "hurt", _state(), quarantine=True)
        assert step == 1
        assert {path.name for path in (tmp_path / "hurt").iterdir()} == {"1", "1.json", "2.damaged", "2.json.damaged"}
        shutil.rmtree(tmp_path / "hurt")


def test_without_quarantine_nothing_on_disk_changes(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, _state(1))
    (tmp_path / "2.json").write_text("{")
    with pytest.warns(UserWarning, match=r"checkpoint 2 is damaged .2\.json is not a manifest"):
        checkpoint.restore(tmp_path, _state())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.json", "2.json"]


def test_a_step_without_a_manifest_does_not_count_and_can_be_saved_again(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, _state(1))
    checkpoint.save(tmp_path, 2, _state(2))
    (tmp_path / "2.json").unlink()
    _assert_same_bits(checkpoint.restore(tmp_path, _state())[1], _state(1))
    checkpoint.save(tmp_path, 2, _state(2))
    _assert_same_bits(checkpoint.restore(tmp_path, _state())[1], _state(2))


def test_another_configuration_is_refused_and_not_taken_for_damage(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, _state(1))
    with pytest.raises(InputError, match=r"another configuration.*bias"):
        checkpoint.restore(tmp_path, _state(width=8), quarantine=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.json"]


def test_another_layout_version_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "LAYOUT_VERSION", 4)
    checkpoint.save(tmp_path, 1, _state(1))
    monkeypatch.undo()
    with pytest.raises(InputError, match="saved in layout 4 and this gan_jax reads layout 3: use the version of"):
        checkpoint.restore(tmp_path, _state(), quarantine=True)
    # What layout 1 wrote: no checksum of the manifest itself.
    (tmp_path / "2.json").write_text(json.dumps({"version": 1, "leaves": {}, "files": {}}))
    (tmp_path / "2").mkdir()
    with pytest.raises(InputError, match="saved in layout 1"):
        checkpoint.restore(tmp_path, _state(), quarantine=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.json", "2", "2.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '"a"', '{"version": 1}', '{"files": {}}', "\udcff"])
def test_what_is_no_manifest_is_damage(text: str, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, _state(1))
    (tmp_path / "2.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.warns(UserWarning, match=r"checkpoint 2 is damaged .2\.json"):
        assert checkpoint.restore(tmp_path, _state())[0] == 1


def test_any_tree_of_arrays_is_saved(tmp_path: Path) -> None:
    population = jax.tree.map(lambda *leaves: jnp.stack(leaves), _state(0), _state(1))
    tree = {"members": population, "alive": np.array([True, False]), "rng": jax.random.key(3)}
    checkpoint.save(tmp_path, 7, tree)
    step, restored = checkpoint.restore(tmp_path, jax.eval_shape(lambda: tree))
    assert step == 7
    assert jax.random.key_data(restored.pop("rng")).tolist() == jax.random.key_data(tree.pop("rng")).tolist()
    _assert_same_bits(restored, tree)


def test_eight_devices_then_one_then_four_hold_the_same_bits(tmp_path: Path) -> None:
    state = {"w": jnp.arange(64, dtype=jnp.float32).reshape(16, 4) / 3, "b": jnp.arange(3.0)}
    like = jax.eval_shape(lambda: state)

    def over(n: int) -> dict[str, jax.ShapeDtypeStruct]:
        mesh = jax.sharding.Mesh(jax.devices()[:n], ("data",))
        specs = {"w": jax.P("data"), "b": jax.P()}
        return {
            name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=jax.NamedSharding(mesh, specs[name]))
            for name, leaf in like.items()
        }

    moved = jax.device_put(state, jax.tree.map(lambda leaf: leaf.sharding, over(8)))
    for step, (onto, devices) in enumerate([(like, 1), (over(4), 4), (over(8), 8)]):
        checkpoint.save(tmp_path, step, moved)
        _, moved = checkpoint.restore(tmp_path, onto)
        assert {name: len(leaf.sharding.device_set) for name, leaf in moved.items()} == {"w": devices, "b": devices}
        _assert_same_bits(moved, state)


def test_what_is_restored_without_a_sharding_is_as_a_fresh_state(tmp_path: Path) -> None:
    fresh = {"w": jnp.arange(6.0).reshape(2, 3), "step": jnp.int32(7)}
    checkpoint.save(tmp_path, 7, fresh)
    traced = 0

    @jax.jit
    def add(state: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        nonlocal traced
        traced += 1
        return state["w"] + state["step"] * x

    mesh = jax.sharding.Mesh(jax.devices()[:2], ("data",))
    x = jax.device_put(jnp.ones((2, 3)), jax.NamedSharding(mesh, jax.P("data")))
    programs = set()
    for state in (fresh, *(checkpoint.restore(tmp_path, like)[1] for like in (fresh, jax.eval_shape(lambda: fresh)))):
        assert not any(leaf.committed for leaf in state.values())
        assert add(state, x).tolist() == [[7.0, 8.0, 9.0], [10.0, 11.0, 12.0]]
        programs.add(add.lower(state, x).as_text())
    assert traced == len(programs) == 1


def test_what_jax_would_narrow_stays_as_it_was_saved_wherever_it_is_asked_for(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 7, {"x": np.full(2, 0.1)})
    placed = jax.sharding.SingleDeviceSharding(jax.devices()[1])
    for sharding in (None, placed):
        like = {"x": jax.ShapeDtypeStruct((2,), np.float64, sharding=sharding)}
        found = checkpoint.restore(tmp_path, like)[1]["x"]
        assert isinstance(found, np.ndarray) and found.dtype == np.float64 and found.tolist() == [0.1, 0.1]


def test_remains_of_killed_saves_are_cleared_and_nothing_else(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, _state(1))
    for remains in ("3", "4.orbax-checkpoint-tmp", "2.damaged", "notes"):
        (tmp_path / remains / "state").mkdir(parents=True)
    checkpoint.save(tmp_path, 5, _state(5))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.json", "2.damaged", "5", "5.json", "notes"]


def test_no_whole_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoint.restore(tmp_path / "missing", _state())
    checkpoint.save(tmp_path, 1, _state(1))
    _truncate(_files(tmp_path / "1")[0])
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(InputError, match="no intact checkpoint"):
        checkpoint.restore(tmp_path, _state())


def test_notes_travel_with_the_state_bit_by_bit(tmp_path: Path) -> None:
    notes = {"sums": {"d_loss": 0.1 + 0.2}, "steps": 3, "names": ["a"]}
    checkpoint.save(tmp_path, 1, _state(1), notes=notes)
    checkpoint.save(tmp_path, 2, _state(2))
    assert checkpoint.notes(tmp_path, 1) == notes
    assert checkpoint.notes(tmp_path, 2) == {}


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, {"w": jnp.arange(3.0)})
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoint.save(tmp_path, 2, {"w": jnp.arange(1e5) * 1.7})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
    assert checkpoint.steps(tmp_path) == [1]
    assert checkpoint.restore(tmp_path, {"w": jnp.zeros(3)})[1]["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("full", ["write_text", "replace"])
def test_a_disk_that_is_full_when_the_manifest_is_written_leaves_no_half_checkpoint(
    full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    checkpoint.save(tmp_path, 1, _state(1))
    monkeypatch.setattr(*{"write_text": (Path, "write_text"), "replace": (checkpoint.os, "replace")}[full], fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, 2, _state(2))
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.json"]
    checkpoint.save(tmp_path, 2, _state(2))
    _assert_same_bits(checkpoint.restore(tmp_path, _state())[1], _state(2))

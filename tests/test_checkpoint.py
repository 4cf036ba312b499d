import re
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import checkpoint, recipes
from gan_jax.errors import InputError
from gan_jax.gan import GANState
from gan_jax.training import Examples, initial_state


def _state(step: int = 0, width: int = 4, **options: object) -> GANState:
    gan = recipes.cgan_embedding((4, 4, 1), 3, width=width, latent=2, **options)
    examples = Examples(jnp.zeros((1, 4, 4, 1), jnp.uint8), jnp.zeros((1,), jnp.int32))
    return initial_state(gan, jax.random.key(step), examples).replace(step=jnp.int32(step))


def _assert_same_bits(a: GANState, b: GANState) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert left.dtype == right.dtype
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("options", [{}, {"ema": 0.99}, {"dtype": "bfloat16"}])
def test_restores_every_bit_of_the_newest_step(tmp_path: Path, options: dict[str, object]) -> None:
    for step in (1, 10, 2):
        checkpoint.save(tmp_path, _state(step, **options), keep=3)
    _assert_same_bits(checkpoint.restore(tmp_path, jax.eval_shape(lambda: _state(**options))), _state(10, **options))


def test_keeps_the_latest(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, _state(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "2.json", "3", "3.json"]


def test_a_step_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _state(1))
    other = _state(2).replace(step=jnp.int32(1))
    checkpoint.save(tmp_path, other)
    _assert_same_bits(checkpoint.restore(tmp_path, _state()), _state(1))


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
    checkpoint.save(tmp_path / "whole", _state(1))
    checkpoint.save(tmp_path / "whole", _state(2))
    for file in _files(tmp_path / "whole" / "2"):
        if file.stat().st_size == 0 and damage is not Path.unlink:
            continue
        shutil.copytree(tmp_path / "whole", tmp_path / "hurt")
        hurt = tmp_path / "hurt" / file.relative_to(tmp_path / "whole")
        damage(hurt)
        with pytest.warns(UserWarning, match=f"checkpoint 2 is damaged .*{re.escape(file.name)}"):
            restored = checkpoint.restore(tmp_path / "hurt", _state(), quarantine=True)
        assert int(restored.step) == 1
        assert {path.name for path in (tmp_path / "hurt").iterdir()} == {"1", "1.json", "2.damaged", "2.json.damaged"}
        shutil.rmtree(tmp_path / "hurt")


def test_without_quarantine_nothing_on_disk_changes(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _state(1))
    (tmp_path / "2.json").write_text("{")
    with pytest.warns(UserWarning, match=r"checkpoint 2 is damaged .2\.json is not a manifest"):
        checkpoint.restore(tmp_path, _state())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.json", "2.json"]


def test_a_step_without_a_manifest_does_not_count_and_can_be_saved_again(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _state(1))
    checkpoint.save(tmp_path, _state(2))
    (tmp_path / "2.json").unlink()
    _assert_same_bits(checkpoint.restore(tmp_path, _state()), _state(1))
    checkpoint.save(tmp_path, _state(2))
    _assert_same_bits(checkpoint.restore(tmp_path, _state()), _state(2))


def test_another_configuration_is_refused_and_not_taken_for_damage(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, _state(1))
    with pytest.raises(InputError, match=r"another configuration.*bias"):
        checkpoint.restore(tmp_path, _state(width=8), quarantine=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.json"]


def test_another_layout_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, _state(1))
    monkeypatch.setattr(checkpoint, "LAYOUT_VERSION", 2)
    with pytest.raises(InputError, match="layout 1 and this gan_jax reads layout 2"):
        checkpoint.restore(tmp_path, _state())


def test_no_whole_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoint.restore(tmp_path / "missing", _state())
    checkpoint.save(tmp_path, _state(1))
    _truncate(_files(tmp_path / "1")[0])
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(InputError, match="no whole checkpoint"):
        checkpoint.restore(tmp_path, _state())

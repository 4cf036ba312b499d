from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax import images
from gan_jax.errors import InputError
from gan_jax.lab import animation
from tests.helpers import read_png


def _run(folder: Path, steps: range) -> Path:
    """A run's grids, each of one grey of its own."""
    (folder / "samples").mkdir()
    for step in steps:
        images.save_png(folder / "samples" / f"{step:07d}.png", np.full((20, 60, 3), step % 251, np.uint8))
    return folder


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_history_moves_through_all_grids_and_rests_at_the_last(suffix: str, tmp_path: Path) -> None:
    grids = animation.history(_run(tmp_path, range(10, 60, 10)))
    assert list(grids) == [10, 20, 30, 40, 50]
    assert animation.write_history(tmp_path / f"a{suffix}", grids) == 5
    with Image.open(tmp_path / f"a{suffix}") as moving:
        assert (moving.n_frames, moving.info["loop"]) == (5, 0)
        for k, step in enumerate(grids):
            moving.seek(k)
            moving.load()
            assert moving.info["duration"] == (2000 if step == 50 else 400)
            picture = np.asarray(moving.convert("RGB"))
            assert picture.shape[:2] == (20 + 28, 60)
            assert (picture[:20] == step).all()
            assert picture[20:].min() < 50 < 200 < picture[20:].max()  # Black text on white.


def test_of_many_grids_the_first_the_last_and_some_between_are_shown(tmp_path: Path) -> None:
    grids = animation.history(_run(tmp_path, range(1, 301)))
    assert len(grids) == 128
    assert (min(grids), max(grids)) == (1, 300)
    assert animation.write_history(tmp_path / "a.png", grids) == 16
    sheet = read_png(tmp_path / "a.png")
    assert sheet.shape == (4 * (48 + 8) + 8, 4 * (60 + 8) + 8, 3)
    assert (sheet[8:28, 8:68] == 1).all()
    assert (sheet[-56:-36, -68:-8] == 300 % 251).all()


def test_a_sheet_of_few_grids_is_no_larger_than_they_need(tmp_path: Path) -> None:
    assert animation.write_history(tmp_path / "a.png", animation.history(_run(tmp_path, range(1, 3)))) == 2
    assert read_png(tmp_path / "a.png").shape == (48 + 16, 2 * 68 + 8, 3)
    animation.write_history(tmp_path / "b.png", {1: tmp_path / "samples" / "0000001.png"}, invert=True)
    assert (read_png(tmp_path / "b.png")[8:28, 8:68] == 254).all()


def test_grids_that_are_not_there_or_no_pictures_are_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no grids to show the history of"):
        animation.history(tmp_path)
    grids = animation.history(_run(tmp_path, range(1, 3)))
    content = grids[2].read_bytes()
    for broken in (b"", b"no picture", content[:40]):
        grids[2].write_bytes(broken)
        with pytest.raises(InputError, match=r"0000002.png can't be read"):
            animation.write_history(tmp_path / "a.gif", grids)
    assert not (tmp_path / "a.gif").exists()


def test_a_tour_is_closed_and_leads_evenly_through_every_latent() -> None:
    keys = jax.random.normal(jax.random.key(0), (animation.KEYS, 3, 5))
    frames = jnp.stack([*animation.tour(keys)])
    assert frames.shape == (animation.KEYS * animation.BETWEEN, 3, 5)
    np.testing.assert_allclose(frames[:: animation.BETWEEN], keys, rtol=1e-5, atol=1e-6)
    steps = jnp.linalg.norm(frames - jnp.roll(frames, -1, axis=0), axis=-1)
    assert (steps < 0.2 * jnp.linalg.norm(keys, axis=-1).max()).all()


def test_small_pictures_are_enlarged_without_blur() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = animation.enlarged(picture)
    assert large.shape == (300, 300, 3)
    assert (large[:150, :150] == picture[0, 0]).all()
    assert animation.enlarged(np.zeros((301, 2, 3), np.uint8)).shape == (301, 2, 3)

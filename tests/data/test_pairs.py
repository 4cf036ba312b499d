from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_jax import InputError, data
from gan_jax.data import Dataset

X = np.random.default_rng(0).integers(0, 256, (3, 6, 10, 3)).astype(np.uint8)


def save(folder: Path, x: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(x):
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_files_of_two_images_side_by_side(tmp_path: Path) -> None:
    save(tmp_path / "train", X[:2])
    save(tmp_path / "test", X[2:])
    found, held_out = data.load(f"pairs:{tmp_path}"), data.load(f"pairs:{tmp_path}", "test")
    np.testing.assert_array_equal(found.conditions, X[:2, :, :5])
    np.testing.assert_array_equal(found.x, X[:2, :, 5:])
    np.testing.assert_array_equal(held_out.conditions, X[2:, :, :5])
    back = data.load(f"pairs_reversed:{tmp_path}")
    np.testing.assert_array_equal(back.x, found.conditions)
    np.testing.assert_array_equal(back.conditions, found.x)
    assert back.fingerprint != found.fingerprint
    assert found.labels is None and found.examples.labels is found.conditions


def test_an_odd_width_is_not_two_images(tmp_path: Path) -> None:
    save(tmp_path / "odd", X[:, :, :9])
    with pytest.raises(InputError, match="9 x 6 pixels are not two of equal width"):
        data.load(f"pairs:{tmp_path / 'odd'}")


def test_files_of_several_sizes_are_not_to_be_prepared(tmp_path: Path) -> None:
    save(tmp_path / "several", X[:2])
    Image.fromarray(X[2, :, :8]).save(tmp_path / "several" / "2.png")
    with pytest.raises(
        InputError, match=r"^pairs:.*2\.png is 8x6 pixels where 0\.png is 10x6; bring all files to one size$"
    ):
        data.load(f"pairs:{tmp_path / 'several'}")


def test_an_archive_of_images_and_conditions(tmp_path: Path) -> None:
    grey = X[..., 0]
    np.savez(
        tmp_path / "a.npz",
        images=X[:2],
        conditions=grey[:2],
        labels=[0, 1],
        test_images=X[2:],
        test_conditions=grey[2:],
    )
    found, held_out = (data.load(f"npz:{tmp_path / 'a.npz'}", split) for split in ("train", "test"))
    np.testing.assert_array_equal(found.conditions, grey[:2, ..., None].repeat(3, axis=-1))
    np.testing.assert_array_equal(held_out.conditions, grey[2:, ..., None].repeat(3, axis=-1))
    assert found.labels is None
    assert found.notes == ("not read: labels",)
    np.savez(tmp_path / "b.npz", images=grey, conditions=X)
    assert data.load(f"npz:{tmp_path / 'b.npz'}").shape == (6, 10, 3)
    np.savez(tmp_path / "c.npz", images=X[:2], conditions=X[:2], test_images=X[2:])
    with pytest.raises(InputError, match="test images without test_conditions"):
        data.load(f"npz:{tmp_path / 'c.npz'}", "test")


def test_conditions_are_taken_with_their_images() -> None:
    whole = Dataset("pairs", X, conditions=255 - X)
    some = whole.take(np.array([2, 0]))
    np.testing.assert_array_equal(some.conditions, 255 - X[[2, 0]])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conditions": X[:, :5]}, "one of its own size"),
        ({"conditions": X[..., :1]}, "one of its own size"),
        ({"conditions": X.astype(np.float32)}, "one of its own size"),
        ({"conditions": X[:2]}, "3 images but 2 conditions"),
        ({"conditions": X, "labels": np.zeros(3, np.int32), "classes": ("a",)}, "leave out one of them"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Dataset("pairs", X, **fields)

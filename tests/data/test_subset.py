from pathlib import Path

import numpy as np
import pytest

from gan_jax.data import load
from gan_jax.data.sources import moved, path_of
from gan_jax.errors import InputError


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """Twenty images, each of one grey, of four classes, and two of another split."""
    x = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    np.savez(tmp_path / "own.npz", images=x, labels=np.arange(20) % 4)
    np.savez(tmp_path / "both.npz", images=x, test_images=x[:2] + 100)
    return f"npz:{tmp_path}/own.npz"


def test_a_subset_is_a_few_examples_with_their_labels_the_same_ones_each_time(spec: str) -> None:
    found, again, whole = load(f"subset:12:{spec}"), load(f"subset:12:{spec}"), load(spec)
    assert (found.name, len(found), found.classes) == (f"subset:12:{spec}", 12, whole.classes)
    numbers = found.x[:, 0, 0, 0].tolist()
    assert numbers == sorted(set(numbers))
    assert numbers != list(range(12))
    np.testing.assert_array_equal(found.labels, np.array(numbers) % 4)
    assert again.fingerprint == found.fingerprint != whole.fingerprint


def test_the_test_split_is_the_whole_one_or_what_was_not_drawn(spec: str) -> None:
    found, rest = load(f"subset:12:{spec}"), load(f"subset:12:{spec}", "test")
    assert sorted([*found.x[:, 0, 0, 0], *rest.x[:, 0, 0, 0]]) == list(range(20))
    both = spec.replace("own", "both")
    assert load(f"subset:12:{both}", "test").x[:, 0, 0, 0].tolist() == [100, 101]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("12", "expected subset:N:SPEC"),
        ("12:", "expected subset:N:SPEC"),
        ("x:{}", "expected subset:N:SPEC"),
        ("0:{}", "expected subset:N:SPEC"),
        ("-1:{}", "expected subset:N:SPEC"),
        ("20:{}", "has 20 examples; take fewer"),
        ("3:{}", "of 4 classes have no example among these, such as .; take more"),
        ("3:mnits", "there is no dataset 'mnits'"),
    ],
)
def test_what_is_no_subset_is_refused(spec: str, place: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load(f"subset:{place.format(spec)}")


def test_its_path_is_that_of_the_data(spec: str) -> None:
    assert path_of(f"subset:12:{spec}") == path_of(spec) == Path(spec.partition(":")[2])
    assert path_of("subset:12:mnist") is None
    assert moved(f"subset:12:{spec}", "/there.npz") == "subset:12:npz:/there.npz"
    assert moved(spec, "/there.npz") == "npz:/there.npz"

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.lab.measuring import extractors
from gan_jax.metrics import random_net

_IMAGES = Dataset("images", np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)).astype(np.uint8))


@pytest.mark.parametrize(
    "text", ["random", "random:7", "mnist", "fashion_mnist", "a.npz", "~/b.npz", "inception:a.pth", "a.py:f", "a.b:f"]
)
def test_what_may_name_features(text: str) -> None:
    assert extractors.form(text) == text


@pytest.mark.parametrize(
    "text", ["", "random:", "random:x", "random:-1", f"random:{2**32}", "inception:", ":f", "cifar"]
)
def test_what_names_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected random"):
        extractors.form(text)


def test_the_random_net_of_a_seed() -> None:
    assert extractors.load("random", _IMAGES) is random_net.load((8, 8, 1))
    assert extractors.load("random:5", _IMAGES) is random_net.load((8, 8, 1), 5)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gan_jax_mine.py").write_text(
        """
import numpy as np
three = 3
def corner(x): return x[:, 0, :4, 0]
def one_short(x): return np.zeros((len(x) - 1, 3))
def flat(x): return np.zeros(len(x))
def text(x): return np.full((len(x), 2), "a")
def broken(x): return np.full((len(x), 2), np.inf)
def too_large(x): return np.full((len(x), 2), 1e300)
def none(x): return np.zeros((len(x), 0))
def ragged(x): return [[1, 2], [3]]
def divides(x): return helped(x)
def helped(x): return x / (1 // 0)
def reads(x): return x["pixels"]
def says_much(x): raise RuntimeError("two\\nlines")
def takes_none(): return 3
def later(x): return corner(x) if len(x) == 2 else {}[len(x)]
def overwrites(x):
    x[:] = 0
    return corner(x) + np.arange(4)
def half(x):
    import jax.numpy as jnp
    return jnp.asarray(corner(x), "bfloat16")
def growing(x): return np.zeros((len(x), len(x)))
"""
    )
    return tmp_path / "gan_jax_mine.py"


@pytest.mark.parametrize("form", ["module", "file"])
def test_a_function_of_ones_own(form: str, mine: Path) -> None:
    text = f"{mine if form == 'file' else mine.stem}:corner"
    found = extractors.load(text, _IMAGES)
    assert found.label == f"{text} (4 numbers)"
    values = found.features(_IMAGES.x)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, _IMAGES.x[:, 0, :4, 0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one_short", r"must give numbers \[N, F\], and gave float64 \[1, 3\] for 2 images"),
        ("flat", r"gave float64 \[2\] for 2 images"),
        ("text", "gave <U1"),
        ("broken", "not finite"),
        ("too_large", "not finite"),
        ("none", r"gave float64 \[2, 0\] for 2 images"),
        ("ragged", r"failed \(ValueError: setting an array element .*\): mend it$"),
        ("divides", r"failed \(ZeroDivisionError: .*, line 13 of gan_jax_mine.py\): mend it$"),
        ("reads", r"failed \(IndexError: .*, line 14 of gan_jax_mine.py\): mend it$"),
        ("says_much", r"failed \(RuntimeError: two lines, line 15 of gan_jax_mine.py\): mend it$"),
        ("takes_none", r"failed \(TypeError: takes_none\(\) takes 0 positional arguments but 1 was given\)"),
        ("three", "is int, not a function"),
        ("nothing", "can't be loaded"),
    ],
)
def test_a_function_that_gives_no_features_is_one_sentence(name: str, words: str, mine: Path) -> None:
    with pytest.raises(InputError, match=words) as info:
        extractors.load(f"{mine}:{name}", _IMAGES)
    assert "\n" not in str(info.value)


def test_a_function_that_fails_later_is_one_sentence_too(mine: Path) -> None:
    found = extractors.load(f"{mine}:later", _IMAGES)
    with pytest.raises(InputError, match=r"later failed \(KeyError: 30, line 17 of gan_jax_mine.py\): mend it$"):
        found.features(_IMAGES.x)


def test_a_function_may_overwrite_what_it_gets_and_give_narrow_floats(mine: Path) -> None:
    before = _IMAGES.x.copy()
    np.testing.assert_array_equal(
        extractors.load(f"{mine}:overwrites", _IMAGES).features(_IMAGES.x), np.tile(np.arange(4), (30, 1))
    )
    np.testing.assert_array_equal(_IMAGES.x, before)
    values = extractors.load(f"{mine}:half", _IMAGES).features(_IMAGES.x)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, before[:, 0, :4, 0], rtol=2**-8)


def test_features_must_stay_equally_many(mine: Path) -> None:
    found = extractors.load(f"{mine}:growing", _IMAGES)
    with pytest.raises(InputError, match="gave 30 numbers for an image, and 2 for the images before"):
        found.features(_IMAGES.x)


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        ("random", (2,), "which need no features"),
        ("mnist", (8, 8, 1), "takes images of 28x28x1 and it has 8x8x1"),
        ("inception:nowhere.pth", (8, 8, 3), "nowhere.pth can't be read"),
        ("nowhere.py:f", (8, 8, 3), "can't be loaded"),
        ("gan_jax.nowhere:f", (8, 8, 3), "can't be loaded"),
    ],
)
def test_what_does_not_fit_the_data_is_one_sentence(text: str, shape: tuple[int, ...], words: str) -> None:
    x: Any = np.zeros((20, *shape), np.float32 if len(shape) == 1 else np.uint8)
    with pytest.raises(InputError, match=words):
        extractors.load(text, Dataset("it", x))

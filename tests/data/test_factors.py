import numpy as np
import pytest

from gan_jax.data import factors
from gan_jax.errors import InputError

FACTORS = {"hat": ("none", "top"), "color": ("red", "blue", "green")}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("", (32, "hat")),
        ("64", (64, "hat")),
        ("32/hat", (32, "hat")),
        ("64/color", (64, "color")),
        ("64/colour", (64, "color")),
    ],
)
def test_a_size_and_a_factor(place: str, expected: tuple[int, str]) -> None:
    assert factors.read("people", place, FACTORS) == expected


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("48", r"^people has no images of size '48': choose people:32 or people:64$"),
        ("064", "no images of size '064'"),
        ("hat", "no images of size 'hat'"),
        ("/hat", "no images of size ''"),
        ("32/hut", r"^people has no factor 'hut' \(did you mean hat\?\): choose one of hat, color$"),
        ("32/age", r"no factor 'age': choose one of hat, color$"),
        ("32/", "no factor '': choose"),
        ("32/hat/", "no factor 'hat/'"),
    ],
)
def test_what_the_data_has_not(place: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        factors.read("people", place, FACTORS)


def test_a_factor_is_the_label_and_part_of_what_is_known() -> None:
    x, numbers = np.zeros((2, 64, 64, 3), np.uint8), np.array([[1, 2], [0, 1]], np.int32)
    by_hat, by_color = (factors.labelled("people", x, numbers, of, FACTORS, (), "0") for of in FACTORS)
    assert (by_hat.name, by_color.name) == ("people:64/hat", "people:64/color")
    assert by_hat.labels is not None and by_hat.labels.tolist() == [1, 0]
    assert by_color.labels is not None and by_color.labels.tolist() == [2, 1]
    assert by_color.classes == ("red", "blue", "green")
    assert by_hat.fingerprint != by_color.fingerprint
    assert len(by_hat.fingerprint) == 16

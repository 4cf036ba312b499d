import numpy as np
import pytest

from gan_jax.data import classes
from gan_jax.errors import InputError


def numbers(*values: int) -> np.ndarray:
    return np.array(values)


def words(*values: str) -> np.ndarray:
    return np.array(values)


@pytest.mark.parametrize(
    ("train", "labels", "names", "notes"),
    [
        (numbers(2, 0, 1, 0), [2, 0, 1, 0], "0 1 2", ()),
        (numbers(1, 2, 1), [0, 1, 0], "1 2", ("classes 0 of 0..2 have no examples",)),
        (numbers(3, 8, 8), [0, 1, 1], "3 8", ("classes 0..2, 4..7 of 0..8 have no examples",)),
        (numbers(0, 2**31 - 1), [0, 1], "0 2147483647", ("classes 1..2147483646 of 0..2147483647 have no examples",)),
        (numbers(10, 9), [1, 0], "9 10", ("classes 0..8 of 0..10 have no examples",)),
        (words("b", "a", "b"), [1, 0, 1], "a b", ()),
        (words("c10", "c2"), [1, 0], "c2 c10", ()),
    ],
)
@pytest.mark.parametrize("dtype", [None, np.uint8, np.int32, np.uint64])
def test_classes_are_those_that_occur_under_their_own_names(
    train: np.ndarray, labels: list[int], names: str, notes: tuple[str, ...], dtype: type | None
) -> None:
    if dtype is not None and train.dtype.kind == "i" and train.max() <= np.iinfo(dtype).max:
        train = train.astype(dtype)
    found = classes.occurring("d", train, train)
    assert found.labels.dtype == np.int32
    assert found.labels.tolist() == labels
    assert found.classes == tuple(names.split())
    assert found.notes == notes


def test_numbers_may_have_declared_names_and_keep_their_order() -> None:
    found = classes.occurring("d", numbers(2, 0, 2), numbers(2, 0, 2), ["zebra", "unused", "ape"])
    assert found.labels.tolist() == [1, 0, 1]
    assert found.classes == ("zebra", "ape")
    assert found.notes == ("classes unused have no examples",)


def test_many_empty_classes_are_not_all_named() -> None:
    found = classes.occurring("d", numbers(0), numbers(0), [str(i) for i in range(100)])
    assert found.notes == ("classes 1, 2, 3, 4, 5, 6, 7, 8, ... (99) have no examples",)


def test_the_test_split_has_the_numbers_of_the_training_split() -> None:
    assert classes.occurring("d", numbers(8, 5, 8), numbers(3, 5, 8)).labels.tolist() == [2, 1, 2]
    assert classes.occurring("d", words("b"), words("a", "b")).labels.tolist() == [1]


@pytest.mark.parametrize(
    ("test", "train", "message"),
    [
        (numbers(0, 6), numbers(0, 1, 2, 5), "the test split has class 6, .* only of 0, 1, 2, 5"),
        (numbers(2), numbers(0, 1, 3), "class 2"),
        (words("dog"), words("cat"), "class dog, .* only of cat"),
        (numbers(0), words("cat"), "class 0"),
        (words("0"), numbers(-1, 0), "labels run from -1 to 0"),
        (numbers(-1), numbers(0), "labels run from -1 to -1"),
        (numbers(2**31), numbers(0), "labels run from 2147483648"),
    ],
)
def test_refuses(test: np.ndarray, train: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=f"^d: .*{message}"):
        classes.occurring("d", test, train)


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_of_no_declared_class_are_refused(label: int) -> None:
    with pytest.raises(InputError, match="expected class numbers from 0 to 1"):
        classes.occurring("d", numbers(0, label), numbers(0, label), ["a", "b"])


def test_natural_order() -> None:
    names = ["10", "2", "1", "b", "a10", "a9", "A1", "02", "a"]
    assert sorted(names, key=classes.natural) == ["1", "02", "2", "10", "A1", "a", "a9", "a10", "b"]


def test_classes_in_a_sentence() -> None:
    assert classes.described([str(i) for i in range(10)]) == "0 to 9"
    assert classes.described(["1", "2", "3"]) == "1, 2, 3"
    assert classes.described(["0", "1"]) == "0, 1"
    assert classes.listed(["a\udcff"]) == "a?"

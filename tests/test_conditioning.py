import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import InputError, conditioning
from tests.helpers import assert_same, differ

KEY = jax.random.key(0)
X = jnp.arange(2 * 5 * 3.0).reshape(1, 2, 5, 3, 1)
LABELS = jnp.array([[4, 1]])


def test_nothing() -> None:
    found = conditioning.none()
    assert found.kind == "none"
    assert found.of_data(X, LABELS) is found.for_fakes(KEY, None) is found.draw(KEY, 3) is None


def test_labels_are_those_of_the_batch_and_drawn_from_all_classes() -> None:
    found = conditioning.labels(5)
    assert found.kind == "labels"
    assert_same(found.of_data(X, LABELS), LABELS)
    assert_same(found.for_fakes(KEY, LABELS[0]), LABELS[0])
    drawn = found.draw(KEY, 1000)
    assert drawn.dtype == jnp.int32
    assert set(np.unique(drawn)) == set(range(5))


def test_resampled_labels_are_drawn_from_all_classes_whatever_the_batch_has() -> None:
    found = conditioning.labels(5, resample=True)
    asked = found.for_fakes(KEY, jnp.full(1000, 3, jnp.int32))
    assert set(np.unique(asked)) == set(range(5))
    assert differ(asked, found.for_fakes(jax.random.key(1), jnp.full(1000, 3, jnp.int32)))


def test_labels_of_no_class_are_refused() -> None:
    with pytest.raises(InputError, match="conditioned on labels and the data has none"):
        conditioning.labels(0)


def test_upper_half_of_images_of_any_leading_axes() -> None:
    found = conditioning.upper_half()
    assert found.kind == "data"
    assert_same(found.of_data(X, None), X[:, :, :2])
    assert_same(found.of_data(X[0], None), X[0, :, :2])
    with pytest.raises(InputError, match="give them as y"):
        found.draw(KEY, 2)


def test_arrays_of_ones_own_are_taken_as_they_come() -> None:
    found = conditioning.given()
    tags = jnp.ones((1, 2, 7))
    assert_same(found.of_data(X, tags), tags)
    assert_same(found.for_fakes(KEY, tags), tags)
    with pytest.raises(InputError, match=r"give them as y \[n, ...\]"):
        found.draw(KEY, 3)


EVERY = {
    "none": conditioning.none(),
    "labels": conditioning.labels(5),
    "resampled": conditioning.labels(5, resample=True),
    "upper_half": conditioning.upper_half(),
    "given": conditioning.given(),
}


@pytest.mark.parametrize("name", EVERY)
def test_conditionings_can_be_pickled(name: str) -> None:
    again = pickle.loads(pickle.dumps(EVERY[name]))
    assert again.kind == EVERY[name].kind
    if name in ("labels", "resampled"):
        assert_same(again.draw(KEY, 9), EVERY[name].draw(KEY, 9))


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("none", jnp.zeros(3), "unconditional"),
        ("labels", None, "is conditioned"),
        ("labels", jnp.zeros(3), "integers"),
        ("labels", jnp.array([0, 1, 5]), "classes 0 to 4, got 0 to 5"),
        ("resampled", jnp.zeros((3, 1), jnp.int32), "integers"),
        ("upper_half", jnp.zeros((2, 4, 4, 1)), r"leading axes \[3\].*\(2, 4, 4, 1\)"),
        ("given", {"a": jnp.zeros((3, 2)), "b": jnp.zeros(2)}, "leading axes"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(name: str, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conditioning.check(EVERY[name], y, (3,))


def test_conditions_that_fit() -> None:
    conditioning.check(EVERY["none"], None, (3,))
    conditioning.check(EVERY["labels"], jnp.array([[0, 4]]), (1, 2))
    conditioning.check(EVERY["given"], {"a": jnp.zeros((3, 2)), "b": jnp.zeros(3)}, (3,))

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


@pytest.mark.parametrize("shape", [(3, 4, 8, 8, 1), (4, 8, 8, 1), (3, 4, 2), (4, 2)])
def test_codes_are_unknown_of_data_and_drawn_for_fakes(shape: tuple[int, ...]) -> None:
    found = conditioning.several(c1=conditioning.code(5), c2=conditioning.code())
    assert (found.kind, found.resamples) == ("codes", True)
    size = shape[:-3] if len(shape) > 3 else shape[:-1]
    real = found.of_data(jnp.zeros(shape), None)
    assert_same(real, {"c1": np.full(size, -1, np.int32), "c2": np.full(size, np.nan, np.float32)})
    conditioning.check(found, real, size)


def test_codes_are_drawn_from_their_priors() -> None:
    found = conditioning.several(c1=conditioning.code(5), c2=conditioning.code(), c3=conditioning.code())
    unknown = found.of_data(jnp.zeros((1000, 2)), None)
    for y in (found.draw(KEY, 1000), found.for_fakes(KEY, unknown)):
        assert y["c1"].dtype == jnp.int32
        # The rarest of five classes in a thousand draws: 200 less five standard deviations of 12.6.
        assert np.bincount(y["c1"], minlength=5).min() > 136
        assert len(np.bincount(y["c1"])) == 5
        for name in ("c2", "c3"):
            assert y[name].shape == (1000,)
            # Mean of a thousand of U(-1, 1): 0, with standard deviation 1 / sqrt(3000).
            assert abs(y[name].mean()) < 5 / np.sqrt(3000)
            assert -1 <= y[name].min() < -0.9 < 0.9 < y[name].max() < 1
        assert differ(y["c2"], y["c3"])


def test_several_conditions_are_a_dict_of_what_each_is() -> None:
    found = conditioning.several(label=conditioning.labels(5, resample=True), half=conditioning.upper_half())
    assert (found.kind, found.resamples) == ("data", True)
    y = found.of_data(X, LABELS)
    assert_same(y, {"label": LABELS, "half": X[:, :, :2]})
    of_fakes = found.for_fakes(KEY, jax.tree.map(lambda leaf: jnp.repeat(leaf[0], 100, axis=0), y))
    assert_same(of_fakes["half"], jnp.repeat(y["half"][0], 100, axis=0))
    assert set(np.unique(of_fakes["label"])) == set(range(5))
    with pytest.raises(InputError, match=r"conditioned on data \(half\): give y as a dict of label, half, each \[n"):
        found.draw(KEY, 3)


def test_several_conditions_that_can_be_drawn_are_drawn_with_a_key_each() -> None:
    found = conditioning.several(a=conditioning.labels(1000), b=conditioning.labels(1000))
    drawn = found.draw(KEY, 100)
    assert drawn.keys() == {"a", "b"}
    assert differ(drawn["a"], drawn["b"])


@pytest.mark.parametrize("parts", [{}, {"label": conditioning.labels(5), "other": conditioning.none()}])
def test_several_conditions_without_one_are_refused(parts: Any) -> None:
    with pytest.raises(ValueError, match="each of several conditions"):
        conditioning.several(**parts)


EVERY = {
    "none": conditioning.none(),
    "labels": conditioning.labels(5),
    "resampled": conditioning.labels(5, resample=True),
    "upper_half": conditioning.upper_half(),
    "given": conditioning.given(),
    "codes": conditioning.several(c1=conditioning.code(5), c2=conditioning.code()),
    "several": conditioning.several(label=conditioning.labels(5), half=conditioning.upper_half()),
}


@pytest.mark.parametrize("name", EVERY)
def test_conditionings_can_be_pickled(name: str) -> None:
    again = pickle.loads(pickle.dumps(EVERY[name]))
    assert again.kind == EVERY[name].kind
    if name in ("labels", "resampled", "codes"):
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
        ("several", jnp.zeros(3, jnp.int32), "a dict of label, half, got"),
        ("several", {"label": jnp.zeros(3, jnp.int32)}, "a dict of label, half, got label"),
        ("several", {"label": jnp.array([0, 1, 5]), "half": jnp.zeros((3, 2))}, "classes 0 to 4, got 0 to 5"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(name: str, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conditioning.check(EVERY[name], y, (3,))


def test_conditions_that_fit() -> None:
    conditioning.check(EVERY["none"], None, (3,))
    conditioning.check(EVERY["labels"], jnp.array([[0, 4]]), (1, 2))
    conditioning.check(EVERY["given"], {"a": jnp.zeros((3, 2)), "b": jnp.zeros(3)}, (3,))

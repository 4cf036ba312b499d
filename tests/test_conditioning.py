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

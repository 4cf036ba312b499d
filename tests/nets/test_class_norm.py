import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax.nets.class_norm import ClassBatchNorm
from tests.helpers import assert_close

KEY = jax.random.key(0)
X = 2 + 3 * jax.random.normal(KEY, (6, 4, 4, 2))
LABELS = jnp.array([0, 2, 2, 1, 0, 0])


def test_it_starts_as_batch_norm_and_keeps_the_same_statistics() -> None:
    ours, plain = ClassBatchNorm(3), nn.BatchNorm(False, momentum=0.9)
    variables = ours.init(KEY, X, LABELS, False)
    y, after = ours.apply(variables, X, LABELS, True, mutable=["batch_stats"])
    expected, plain_after = plain.apply(plain.init(KEY, X), X, mutable=["batch_stats"])
    assert_close(y, expected)
    assert_close(after["batch_stats"]["BatchNorm_0"], plain_after["batch_stats"])
    assert jax.tree.map(jnp.shape, variables["params"]) == {
        "scale": {"embedding": (3, 2)},
        "shift": {"embedding": (3, 2)},
    }


def test_every_class_has_its_own_scale_and_shift_by_hand() -> None:
    scale, shift = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    params = {"scale": {"embedding": jnp.asarray(scale)}, "shift": {"embedding": jnp.asarray(shift)}}
    y, _ = ClassBatchNorm(3).apply({"params": params}, X, LABELS, True, mutable=["batch_stats"])
    x = np.asarray(X, np.float64)
    normal = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    labels = np.asarray(LABELS)
    expected = normal * scale[labels][:, None, None] + shift[labels][:, None, None]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)


def test_it_needs_labels() -> None:
    with pytest.raises(ValueError, match="conditioned on labels"):
        ClassBatchNorm(3).init(KEY, X, None, False)

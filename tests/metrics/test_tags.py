import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics.tags import agreement, most_frequent


def test_agreement_counts_tags_of_all_examples_together() -> None:
    true = jnp.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    found = jnp.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    # Two of three tags found are true, two of four true ones are found, and one example of three is right.
    np.testing.assert_allclose(agreement(found, true), [2 / 3, 1 / 2, 4 / 7, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize(("found", "true"), [(0.0, 1.0), (1.0, 0.0)])
def test_without_tags_nothing_agrees(found: float, true: float) -> None:
    assert agreement(jnp.full((2, 3), found), jnp.full((2, 3), true)) == (0, 0, 0, 0)


def test_a_tag_is_given_that_half_of_the_draws_have() -> None:
    draws = jnp.array([[[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]])
    np.testing.assert_array_equal(most_frequent(draws), [[1, 1, 0]])

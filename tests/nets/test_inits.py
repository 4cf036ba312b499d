import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gan_jax.nets import inits

KEY = jax.random.key(0)


def test_he_initialisation_is_a_normal_with_its_standard_deviation() -> None:
    w = inits.he_normal()(KEY, (200, 1000), jnp.float32)
    # sqrt(2 / fan_in) = 1 / 10, to five standard errors of 200,000 draws.
    np.testing.assert_allclose(w.std(), 0.1, rtol=5 / np.sqrt(2 * w.size))
    np.testing.assert_allclose(w.mean(), 0.0, atol=5 * 0.1 / np.sqrt(w.size))
    # Not truncated: 1 - Phi(3) = .00135 of a normal on each side.
    share = np.mean(abs(w) > 0.3)
    np.testing.assert_allclose(share, 0.0027, atol=5 * np.sqrt(0.0027 / w.size))


def test_he_initialisation_of_a_convolution_counts_its_taps() -> None:
    w = inits.he_normal()(KEY, (5, 5, 8, 1000), jnp.float32)
    np.testing.assert_allclose(w.std(), 0.1, rtol=5 / np.sqrt(2 * w.size))


def test_dcgan_initialisation_is_a_truncated_normal() -> None:
    w = inits.normal_002()(KEY, (200, 1000), jnp.float32)
    # Cut at two deviations: std .02 sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)) = .02 sqrt(1 - .21596 / .95450) = .017592.
    assert abs(w).max() <= 0.04
    np.testing.assert_allclose(w.mean(), 0.0, atol=5 * 0.02 / np.sqrt(w.size))
    np.testing.assert_allclose(w.std(), 0.017592, rtol=5 / np.sqrt(2 * w.size))


INITS = {"lecun": inits.lecun_normal, "he": inits.he_normal, "002": inits.normal_002}


@pytest.mark.parametrize("name", INITS)
def test_initialisers_can_be_pickled(name: str) -> None:
    make = INITS[name]()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(make))(KEY, (3, 4)), make(KEY, (3, 4), jnp.float32))


def test_lecun_initialisation_is_flax_own() -> None:
    theirs = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
    ours = inits.lecun_normal(in_axis=-1, out_axis=-2)
    np.testing.assert_array_equal(ours(KEY, (5, 5, 3, 4), jnp.float32), theirs(KEY, (5, 5, 3, 4), jnp.float32))

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.metrics import random_net
from gan_jax.nets.embedding import Embedding
from tests.helpers import few

_RNG = np.random.default_rng(0)


def _images(n: int, *shape: int) -> np.ndarray:
    return _RNG.integers(0, 256, (n, *shape)).astype(np.uint8)


@pytest.mark.parametrize(
    "shape",
    few(
        [(28, 28, 1), (1, 1, 3), (8, 5, 2), (32, 32, 3), (64, 48, 3), (128, 128, 3), (130, 30, 4)],
        (28, 28, 1),
        (8, 5, 2),
    ),
)
def test_images_of_any_size_have_64_features_each_of_its_own(shape: tuple[int, ...]) -> None:
    images = _images(3, *shape)
    found = random_net.load(shape).features(images)
    assert (found.shape, found.dtype) == ((3, 64), np.float32)
    assert np.isfinite(found).all() and (found.std(axis=0) > 0).all()
    alone = random_net.load(shape).features(images[1:2])
    np.testing.assert_allclose(alone, found[1:2], rtol=1e-4, atol=1e-5)


def test_its_weights_are_the_same_everywhere_and_a_seed_makes_others() -> None:
    """Recorded distances are of these weights: whatever changes them must be a new version."""
    net = random_net.load((28, 28, 1))
    assert net.label == "random net 1 4bf3cf2e"
    assert random_net.load((28, 28, 1), 1).label.startswith("random net 1 of seed 1 ")
    images = _images(2, 28, 28, 1)
    assert not np.allclose(random_net.load((28, 28, 1), 1).features(images), net.features(images), rtol=0.1)


def test_weights_are_of_hes_variance() -> None:
    bits = np.random.Generator(np.random.PCG64(3))
    for shape, variance in (((3, 3, 32, 64), 2 / 288), ((3136, 64), 1 / 3136)):
        drawn = random_net._uniform(bits, shape)
        assert drawn.std() == pytest.approx(np.sqrt(variance), rel=0.02)
        assert abs(drawn).max() <= np.sqrt(3 * variance)


def test_features_know_where_something_is() -> None:
    images = np.zeros((2, 28, 28, 1), np.uint8)
    images[0, 4:8, 4:8] = images[1, 20:24, 20:24] = 255
    a, b = random_net.load((28, 28, 1)).features(images)
    assert np.linalg.norm(a - b) > 0.5 * np.linalg.norm(a)


def test_large_images_are_averaged_first() -> None:
    net, small = Embedding(), jnp.asarray(_images(1, 100, 120, 1) / np.float32(255))
    params = jax.eval_shape(net.init, jax.random.key(0), small)
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01), params)
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(net.apply(params, large), net.apply(params, small), rtol=1e-5)


@pytest.mark.parametrize("shape", [(28, 28, 1), (128, 128, 3), (4000, 4000, 3)])
def test_pieces_are_small_enough_for_the_memory(shape: tuple[int, ...]) -> None:
    size = random_net._piece(shape)
    height, width, channels = shape
    assert 1 <= size <= 500
    assert size == 1 or 4 * size * (height * width * channels + 32 * min(height, 128) * min(width, 128)) <= 2**27

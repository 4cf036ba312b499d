import math

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import toys
from gan_jax.metrics import modes
from tests.helpers import jit


def quality(x: np.ndarray, mixture: toys.Mixture) -> modes.Quality:
    return jit(lambda x: modes.quality(x, mixture))(x.astype(np.float32))


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_the_data_itself(name: str) -> None:
    x = toys.load(name).x
    mixture = toys.MIXTURES[name]
    found = quality(x, mixture)
    count = len(mixture.centres)
    assert int(found.modes) == count
    assert float(found.high_quality) == pytest.approx(modes.HIGH_QUALITY_CEILING, abs=4 * np.sqrt(0.011 / len(x)))
    assert float(found.kl) == pytest.approx(modes.kl_floor(count, len(x)), abs=4 * count / len(x))
    assert float(found.sigma_ratio) == pytest.approx(1, abs=0.01)


def test_the_ceiling_is_that_of_the_protocol() -> None:
    assert pytest.approx(0.98889, abs=1e-5) == modes.HIGH_QUALITY_CEILING


def test_by_hand() -> None:
    ring = toys.RING
    # Mode 0: two samples one sigma left and right; mode 2: one; and two far from all.
    x = np.concatenate([ring.centres[[0, 0, 2]], [[0.0, 0.0], [5.0, 5.0]]])
    x[0, 0] -= 0.01
    x[1, 0] += 0.01
    found = quality(x, ring)
    assert int(found.modes) == 2
    assert float(found.high_quality) == pytest.approx(3 / 5)
    p, q = 2 / 3, 1 / 3
    assert float(found.kl) == pytest.approx(math.log(8) + p * math.log(p) + q * math.log(q), rel=1e-5)
    # 2 sigma^2 over two coordinates and 3 - 2 degrees of freedom, against the variance of the cut Gaussian.
    cut = (1 - 5.5 * math.exp(-4.5)) / (1 - math.exp(-4.5))
    assert float(found.sigma_ratio) == pytest.approx(math.sqrt(1 / cut), rel=1e-3)


def test_collapse_to_points_and_nothing_at_all() -> None:
    points = quality(toys.GRID.centres.repeat(10, axis=0), toys.GRID)
    assert (int(points.modes), float(points.high_quality)) == (25, 1)
    assert float(points.sigma_ratio) == pytest.approx(0, abs=1e-6)
    assert float(points.kl) == pytest.approx(0, abs=1e-6)
    nothing = quality(np.full((10, 2), 9.0), toys.GRID)
    assert (int(nothing.modes), float(nothing.high_quality)) == (0, 0)
    assert np.isnan(nothing.kl)


def test_coverage_of_classes() -> None:
    found = modes.coverage(jnp.bincount(jnp.array([3, 3, 7, 1]), length=1000))
    assert int(found.modes) == 3
    assert float(found.kl) == pytest.approx(math.log(1000) - 1.5 * math.log(2), rel=1e-5)


def test_the_floor_of_the_kl_is_its_mean_over_uniform_draws() -> None:
    assert modes.kl_floor(1000, 26_000) == pytest.approx(999 / 52_000, rel=0.02)
    assert modes.kl_floor(5, 1) == pytest.approx(math.log(5))
    assert modes.kl_floor(1, 10) == 0
    # Two draws of two modes: in one mode half the time.
    assert modes.kl_floor(2, 2) == pytest.approx(math.log(2) / 2)
    rng = np.random.default_rng(0)
    draws = [float(modes.coverage(c).kl) for c in jnp.asarray(rng.multinomial(400, np.full(100, 0.01), 200))]
    assert modes.kl_floor(100, 400) == pytest.approx(np.mean(draws), abs=4 * np.std(draws) / np.sqrt(200))


def test_stacked_labels_read_a_digit_a_channel() -> None:
    """A classifier that reads the digit from the first pixel."""
    images = np.zeros((2, 28, 28, 3), np.uint8)
    images[:, 0, 0] = [[1, 2, 3], [9, 0, 4]]
    logits = lambda x: jnp.eye(10)[x[:, 0, 0, 0]]  # noqa: E731
    assert modes.stacked_labels(logits, jnp.asarray(images)).tolist() == [123, 904]


def test_stacked_images_are_digits_of_their_label() -> None:
    stacked, mnist = data.load("stacked", "test"), data.load("mnist", "test")
    assert stacked.x.shape == (26_000, 28, 28, 3)
    assert stacked.num_classes == 1000
    assert stacked.labels is not None and mnist.labels is not None
    known = {image.tobytes(): label for image, label in zip(mnist.x, mnist.labels, strict=True)}
    for image, label in zip(stacked.x[:200], stacked.labels[:200], strict=True):
        a, b, c = (known[image[..., i].tobytes()] for i in range(3))
        assert label == 100 * a + 10 * b + c
    found = modes.coverage(jnp.bincount(jnp.asarray(stacked.labels), length=1000))
    assert int(found.modes) == 1000
    # The digits' own frequencies add three times their KL, about .003 each, to the floor of 26,000 draws.
    frequencies = np.bincount(mnist.labels) / 10_000
    own = 3 * float(np.sum(frequencies * np.log(10 * frequencies)))
    assert float(found.kl) == pytest.approx(modes.kl_floor(1000, 26_000) + own, abs=0.003)

import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import Dataset
from gan_jax.lab.runs.diversity import (
    Diversity,
    Gap,
    Nearest,
    gap_of_data,
    mean_distance,
    nearest_distance,
    of_data,
)


def test_the_mean_distance_by_hand() -> None:
    # A triangle with sides 3, 4 and 5.
    points = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], np.float32)
    assert mean_distance(points) == pytest.approx(4.0)
    assert mean_distance(points + 1000) == pytest.approx(4.0)
    # Of one class are only the first two.
    assert mean_distance(points, np.array([1, 1, 2])) == pytest.approx(3.0)


def test_the_mean_distance_to_the_nearest_by_hand() -> None:
    points = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], np.float32)
    assert nearest_distance(points) == pytest.approx((3 + 3 + 4) / 3)
    # The third is alone in its class.
    assert nearest_distance(points, np.array([1, 1, 2])) == pytest.approx(3.0)
    assert np.isnan(nearest_distance(points, np.arange(3)))


def test_pixels_are_no_numbers_that_wrap_around() -> None:
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(4, axis=1)
    assert mean_distance(images) == pytest.approx(510.0)


def test_as_many_real_examples_differ_as_much_and_copies_not_at_all() -> None:
    rng = np.random.default_rng(0)
    diversity = Diversity(rng.normal(size=(1000, 50)).astype(np.float32))
    other = rng.normal(size=(100, 50)).astype(np.float32)
    assert diversity(other) == pytest.approx(1, abs=0.02)
    assert diversity(2 * other) == pytest.approx(2, abs=0.04)
    assert diversity(other[:1].repeat(100, axis=0)) == pytest.approx(0, abs=1e-3)
    # Of two modes that are equally often 49.5 of 99 pairs differ.
    assert diversity(other[:2].repeat(50, axis=0)) == pytest.approx(50 / 99 * diversity(other[:2]), rel=1e-3)


def test_two_modes_are_copies_though_half_of_all_pairs_differ() -> None:
    rng = np.random.default_rng(0)
    real, other = (rng.normal(size=(n, 50)).astype(np.float32) for n in (1000, 100))
    nearest, two = Nearest(real), other[:2].repeat(50, axis=0)
    # By as many real examples: of a thousand the nearest is nearer.
    assert nearest(other) == pytest.approx(1, abs=0.05)
    assert nearest_distance(real) < 0.95 * nearest_distance(other)
    assert nearest(two + 1e-3 * other) == pytest.approx(0, abs=2e-3)
    assert Diversity(real)(two) > 0.45


def test_copies_within_a_class_are_compared_with_real_examples_of_it() -> None:
    mnist = data.load("mnist")
    labels = np.repeat(np.arange(10), 10)
    _, nearest = of_data(mnist, labels)
    order = np.random.default_rng(2).permutation(60000)
    other = np.concatenate([order[mnist.labels[order] == of][:10] for of in range(10)])
    assert nearest(mnist.x[other], labels) == pytest.approx(1, abs=0.1)
    assert nearest(mnist.x[other[::10]].repeat(10, axis=0), labels) == pytest.approx(0, abs=1e-3)
    assert of_data(mnist, None)[1](mnist.x[order[:100]]) == pytest.approx(1, abs=0.1)
    # Of a class with two real examples two samples are compared: of more the nearest would be nearer.
    few = Nearest(np.array([[0.0], [1.0], [5.0]]), np.array([0, 0, 1]))
    assert few(np.array([[0.0], [2.0], [0.1], [7.0]]), np.array([0, 0, 0, 1])) == pytest.approx(2.0)


def test_a_class_that_has_collapsed_is_not_hidden_by_others() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 10
    real = (100 * labels[:, None] + rng.normal(size=(1000, 3))).astype(np.float32)
    copies = real[:10].repeat(10, axis=0)
    assert Diversity(real)(copies) == pytest.approx(1, abs=0.1)
    assert Diversity(real, labels)(copies, labels[:10].repeat(10)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("real", "samples"),
    [
        (np.zeros((5, 2), np.float32), np.eye(2, dtype=np.float32)),  # Copies in the data.
        (np.eye(2, dtype=np.float32), np.full((5, 2), np.nan, np.float32)),
        (np.eye(2, dtype=np.float32), np.zeros((1, 2), np.float32)),
        (np.zeros((1, 2), np.float32), np.eye(2, dtype=np.float32)),
    ],
)
def test_what_has_no_distances_has_no_diversity(real: np.ndarray, samples: np.ndarray) -> None:
    assert Diversity(real)(samples) is None
    assert Nearest(real)(samples) is None


def test_the_gap_by_hand() -> None:
    # Two places, 3 apart: two of four points are sought, one at each, and two are what perfect samples would be.
    real = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 0.0], [3.0, 0.0]], np.float32)
    gap = Gap(real)
    assert gap(real[[0, 2]]) == 0.0
    # One of two places is missed: 3 / 2 on average, over a mean distance of 2 among six pairs.
    assert gap(np.zeros((2, 2), np.float32)) == pytest.approx(1.5 / 2)
    assert gap(np.full((2, 2), np.nan, np.float32)) is None
    assert Gap(np.zeros((4, 2), np.float32))(real) is None


def test_the_gap_sees_lost_modes_where_distances_do_not() -> None:
    ring = data.load("ring")
    gap, (diversity, _) = gap_of_data(ring), of_data(ring, None)
    assert gap is not None
    assert ring.labels is not None
    whole, half = ring.x[:500], ring.x[ring.labels % 2 == 0][:500]
    assert diversity(half) == pytest.approx(diversity(whole), abs=0.1)
    assert gap(whole) == pytest.approx(0, abs=1e-3)
    # Each lost mode is a chord of 45 degrees away.
    chord, mean = 2 * np.sin(np.pi / 8), np.mean([2 * np.sin(np.pi * k / 8) for k in range(8)])
    assert gap(half) == pytest.approx(chord / 2 / mean, abs=0.03)
    assert gap_of_data(data.load("mnist")) is None


def test_of_data_few_examples_are_read_and_of_the_classes_that_are_shown() -> None:
    class Counted(np.ndarray):
        read = 0

        def __getitem__(self, key: object) -> np.ndarray:
            Counted.read = len(key)  # type: ignore[arg-type]
            return np.asarray(self)[key]

    x = np.zeros((5000, 2, 2, 1), np.uint8)
    x[1::2] = np.arange(2500)[:, None, None, None] % 256
    dataset = Dataset("some", x.view(Counted), np.arange(5000, dtype=np.int32) % 2, ("a", "b"))
    assert of_data(dataset, np.array([0]))[0](x[:4], np.zeros(4)) is None  # That class has copies alone.
    assert Counted.read == 1000
    assert of_data(dataset, np.array([1, 1]))[0](x[1::2], np.ones(2500)) == pytest.approx(1, abs=0.05)

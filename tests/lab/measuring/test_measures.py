import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import Dataset
from gan_jax.lab.measuring import measures
from gan_jax.lab.measuring.reference import Draw, Reference
from gan_jax.metrics import features, modes, wasserstein
from tests.helpers import few


def test_what_decides_is_one_of_a_measures_numbers_and_a_better_one_is_lower_or_higher() -> None:
    for name, measure in measures.MEASURES.items():
        assert measure.numbers, name
        if measure.decides is not None:
            assert measure.numbers[measure.decides] in ("lower", "higher"), name
            assert (measure.decides in measures.LOWER_IS_BETTER) == (measure.numbers[measure.decides] == "lower"), name


def test_stacked_digits_are_read_and_counted() -> None:
    stacked = data.load("stacked", "test")
    assert stacked.labels is not None
    reference = Reference(stacked, stacked, features.load("mnist"), False)
    assert measures.fitting(reference) == ["stacked", "sliced"]
    assert measures.scoring(reference)[0] == "stacked"
    draw = Draw(stacked.x[:300], None, jax.random.key(0))
    found = measures.MEASURES["stacked"].of(reference, draw)
    # Of 900 digits the classifier misreads seven in a thousand.
    truth = modes.coverage(jnp.bincount(jnp.asarray(stacked.labels[:300]), length=1000))
    assert found["modes"].value == pytest.approx(float(truth.modes), abs=10)
    assert found["kl"].value == pytest.approx(float(truth.kl), abs=0.05)
    assert measures.bounds("stacked", reference, 300, draw.rng)["kl"].floor == modes.kl_floor(1000, 300)


def test_real_draws_leave_the_validation_images_out() -> None:
    x = np.arange(30_000, dtype=np.float32).reshape(-1, 1)
    dataset = Dataset("numbers", x)
    reference = Reference(dataset, dataset, None, False)
    np.testing.assert_array_equal(reference.validation, x[20_000:21_000])
    drawn = reference.real(25_000, jax.random.key(0)).x
    np.testing.assert_array_equal(np.sort(drawn, axis=0), x[:20_000])


def test_the_error_of_a_code_is_measured_against_the_labels_of_test_data() -> None:
    x, labels = np.zeros((8, 2), np.float32), np.array([0, 0, 0, 0, 1, 1, 1, 1], np.int32)
    dataset = Dataset("points", x, labels, ("a", "b"))
    reference = Reference(dataset, dataset, None, False, code="c1")
    assert "code" in measures.fitting(reference)
    assert "code" not in measures.fitting(dataclasses.replace(reference, code=None))
    assert "code" not in measures.fitting(dataclasses.replace(reference, test=Dataset("points", x)))

    def read(examples: np.ndarray) -> dict[str, np.ndarray]:
        assert examples is x
        return {"c1": np.array([1, 1, 1, 0, 0, 0, 0, 1], np.float32), "c2": np.zeros(8, np.float32)}

    draw = Draw(x, None, jax.random.key(0), read=read)
    found = measures.MEASURES["code"].of(reference, draw)["code_error"]
    assert found == pytest.approx((0.25, np.sqrt(0.25 * 0.75 / 8)))
    assert measures.bounds("code", reference, 8, draw.rng) == {}


@pytest.mark.parametrize("shape", [(4, 4, 1), (5, 7, 3)])
def test_the_sliced_distance_of_images_is_that_of_their_pixels_in_unit_range(shape: tuple[int, ...]) -> None:
    """Images that are brighter by s are s E|cos| sqrt(D) apart along lines in D dimensions."""
    x = np.random.default_rng(0).integers(0, 200, (1500, *shape)).astype(np.uint8)
    reference = Reference(Dataset("images", x), Dataset("images", x), None, False)
    assert measures.scoring(reference) == ["sliced"]
    draw = Draw(x + np.uint8(51), None, jax.random.key(0))
    found = measures.MEASURES["sliced"].of(reference, draw)["sliced_wasserstein"].value
    lines = np.asarray(wasserstein.directions(draw.rng, int(np.prod(shape))))
    assert found == pytest.approx(0.2 * np.abs(lines.sum(axis=1)).mean(), rel=1e-4)
    floor = measures.bounds("sliced", reference, 500, jax.random.key(1))["sliced_wasserstein"].floor
    assert floor is not None and 0 < floor < 0.1 * found


@pytest.mark.parametrize("n", few([1, 2, 10, 19], 1, 19))
def test_there_are_no_bounds_of_too_little_real_data(n: int) -> None:
    for x in (np.zeros((n, 4, 4, 1), np.uint8), np.ones((n, 2), np.float32)):
        reference = Reference(Dataset("few", x), Dataset("few", x), None, False)
        draw = Draw(x[[0] * 20], None, jax.random.key(0))
        for name in measures.usual(reference):
            assert measures.MEASURES[name].of(reference, draw)
            assert measures.bounds(name, reference, 20, draw.rng) == {}


def test_what_takes_long_on_large_images_is_not_measured_unasked() -> None:
    for side, usual in ((28, True), (64, False)):
        x = np.zeros((20, side, side, 1), np.uint8)
        images = Dataset("images", x, np.arange(20, dtype=np.int32) % 2, tuple("01"))
        reference = Reference(images, images, None, True)
        costly = {"gan_train", "parzen", "parzen_blurred", "parzen_kmeans"}
        assert costly <= set(measures.fitting(reference))
        assert set(measures.usual(reference)) == {"sliced", *(costly if usual else ())}


def _read_by(classes: int, accuracy: float, fingerprint: Any, right: float) -> Reference:
    """Four classes, and a classifier that reads a share of the labels."""
    x = np.zeros((40, 4, 4, 1), np.uint8)
    labels = np.arange(40, dtype=np.int32) % 4
    x[:, 0, 0, 0] = np.where(np.arange(40) < round(40 * right), labels, (labels + 1) % 4)
    images = Dataset("images", x, labels, tuple("0123"))
    record = {
        "num_classes": classes,
        "test_accuracy": accuracy,
        "fingerprint": fingerprint or features.fingerprint(images),
    }
    trained = features.Trained(
        lambda x: jnp.zeros((len(x), 8)), lambda x: jax.nn.one_hot(x[:, 0, 0, 0], classes), record
    )
    return Reference(images, images, trained, True)


@pytest.mark.parametrize(
    ("classes", "accuracy", "fingerprint", "right", "expected"),
    [
        (4, 0.9, None, 0.0, True),  # It learned from this very data.
        (4, 0.9, [1], 0.8, True),
        (4, 0.9, [1], 0.25, False),  # As many classes, but others: it reads them by chance.
        (4, 0.4, [1], 0.25, True),
        (5, 0.9, [1], 1.0, False),
    ],
)
def test_labels_are_read_by_a_classifier_of_the_same_classes(
    classes: int, accuracy: float, fingerprint: Any, right: float, expected: bool
) -> None:
    reference = _read_by(classes, accuracy, fingerprint, right)
    assert reference.knows_labels == expected
    assert ("gan_test" in measures.fitting(reference)) == expected
    assert "frechet" in measures.fitting(reference)
    if expected:
        assert measures.bounds("gan_test", reference, 20, jax.random.key(0))["gan_test"].ceiling == pytest.approx(right)

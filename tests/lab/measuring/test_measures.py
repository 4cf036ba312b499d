import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import data
from gan_jax.data import Dataset
from gan_jax.lab.measuring import measures
from gan_jax.lab.measuring.reference import Draw, Reference
from gan_jax.metrics import features, modes


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
    assert measures.fitting(reference) == ["stacked"]
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

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.reproduce import planar, transport
from experiments.reproduce.planar import Protocol
from gan_jax import losses, priors
from gan_jax.gan import GAN
from gan_jax.nets import heads, mlp

PROTOCOL = Protocol(steps=4, batch_size=8, stops=2, search_seeds=2, search_samples=6, samples=6)


def _made(numbers: Mapping[str, Any]) -> GAN:
    optimizer = planar.sgd_or_rmsprop(numbers["rate"], numbers["rms"])
    return GAN(
        generator=mlp.Generator((2,), (4,), output=None),
        discriminator=mlp.Discriminator((4,), heads.Logit()),
        loss=losses.non_saturating(),
        g_optimizer=optimizer,
        d_optimizer=optimizer,
        prior=priors.normal(2),
    )


def _shifted(by: float) -> planar.Draw:
    return lambda rng, n: (rng.standard_normal((n, 2)) + by).astype(np.float32)


TARGETS = {"here": _shifted(0.0), "there": _shifted(5.0)}
SETTINGS = [{"rms": 0.0, "rate": 0.1}, {"rms": 1.0, "rate": 0.01}, {"rms": 0.0, "rate": np.inf}]


def test_members_are_trained_with_either_optimizer() -> None:
    gradient, params = jnp.array([3.0, -0.5]), jnp.zeros(2)
    for rms, expected in ((0.0, [-0.3, 0.05]), (1.0, [-1.0, 1.0])):  # g / sqrt(.01 g^2) is 10 sign(g).
        optimizer = planar.sgd_or_rmsprop(0.1, rms)
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        np.testing.assert_allclose(updates, expected, rtol=1e-5)


def test_the_best_and_the_median_setting() -> None:
    scores = np.array([0.5, 0.2, np.inf, 0.3])
    assert planar.best(scores) == [1]
    assert planar.best_and_median(scores) == [1, 3]  # Of .2 .3 .5 inf the better one of the middle two.


def test_distances_are_exact_and_each_to_its_own_target() -> None:
    samples = np.stack([planar.references(TARGETS, 3, 6), planar.references(TARGETS, 3, 6) + np.array([3, 4])], axis=1)
    samples = samples[:, :, None, None].astype(np.float32)  # Two "settings": the real points, and these moved by 5.
    found = planar.distances(samples, [3], TARGETS)
    np.testing.assert_allclose(found[:, :, 0, 0], [[0, 5], [0, 5]], atol=1e-5)
    samples[1, 1, 0, 0, 2] = np.nan
    assert np.isnan(planar.distances(samples, [3], TARGETS)).tolist() == [[[[False]], [[False]]], [[[False]], [[True]]]]


@pytest.mark.slow
def test_distances_by_several_processes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).standard_normal((2, 1, 1, 10, 6, 2)).astype(np.float32)
    here = planar.distances(samples, [3], TARGETS)
    monkeypatch.setattr(planar, "_MANY", 0)
    np.testing.assert_array_equal(planar.distances(samples, [3], TARGETS), here)


def test_the_floor_is_the_distance_of_two_independent_draws() -> None:
    found = planar.floor(TARGETS, [0, 1], 200)
    assert found.shape == (2, 2)
    assert (found > 0.05).all()
    assert (found < 0.5).all()


@pytest.mark.slow
def test_all_at_once_and_one_by_one_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = planar.explore(_made, SETTINGS, TARGETS, [0, 1, 2], PROTOCOL, planar.best_and_median)
    monkeypatch.setattr(planar, "vectorised", lambda: True)
    planar._program.cache_clear()
    at_once = planar.explore(_made, SETTINGS, TARGETS, [0, 1, 2], PROTOCOL, planar.best_and_median)
    planar._program.cache_clear()
    assert one_by_one.samples.shape == (2, 2, 3, 3, 6, 2)  # Targets, best and median, seeds, stops, points.
    assert (one_by_one.runs, at_once.runs) == (2 * 3 * 2, 2 * 3 * (2 + 3))
    np.testing.assert_allclose(at_once.samples, one_by_one.samples, atol=1e-4)
    np.testing.assert_allclose(at_once.scores, one_by_one.scores, rtol=1e-4)
    np.testing.assert_array_equal(at_once.chosen, one_by_one.chosen)
    assert np.isinf(one_by_one.scores[:, 2]).all()  # The rate without bound diverges, alone.
    assert np.isfinite(one_by_one.scores[:, :2]).all()


def test_samples_are_of_the_same_latents_along_training() -> None:
    still = dataclasses.replace(PROTOCOL, samples=5, search_samples=5)
    found = planar.explore(_made, [{"rms": 0.0, "rate": 0.0}], TARGETS, [0, 7], still, planar.best)
    np.testing.assert_array_equal(found.samples[:, :, :, 0], found.samples[:, :, :, -1])
    assert not np.array_equal(found.samples[0, 0, 0], found.samples[0, 0, 1])  # Another seed, others.


def test_the_picture_has_a_row_per_target_and_a_column_per_stop_shown() -> None:
    picture = planar.picture(np.zeros((2, 11, 4, 2), np.float32), TARGETS)
    assert picture.dtype == np.uint8
    assert picture.shape == (270, 750, 3)  # Five stops and the ways, 125 pixels each; 20 pixels for the headings.


def test_an_assignment_beats_the_order_given() -> None:
    x = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert transport.exact(x, x[[2, 0, 1]] + [0, 1]) == pytest.approx(1.0)


def test_non_finite_ends_of_curves_are_left_out() -> None:
    assert planar.until_non_finite([1.0, 2.0, np.nan, 3.0]) == [1.0, 2.0]

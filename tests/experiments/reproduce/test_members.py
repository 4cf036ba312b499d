import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from experiments.reproduce.members import Members, distances
from gan_jax import training
from gan_jax.examples import Examples
from gan_jax.gan import GAN
from gan_jax.metrics import frechet
from gan_jax.population import Hyperparams
from gan_jax.recipes import wgan
from tests.helpers import assert_same

SHAPE = (2, 2, 1)
EXAMPLES = Examples(np.random.default_rng(0).integers(0, 256, (50, *SHAPE)).astype(np.uint8))
RATES = [1e-3, 1e-2, 1e-4]


def _gan(numbers: Hyperparams) -> GAN:
    return wgan(SHAPE, lr=numbers["lr"], width=4, latent=3, n_critic=2)


def _members(places: int = 4, rates: list[float] = RATES) -> Members:
    keys = [jax.random.key(k) for k in range(len(rates))]
    return Members(_gan, {"lr": rates}, keys, jax.tree.map(jnp.asarray, EXAMPLES), places=places, batch_size=4)


def _pixels(images: Array) -> Array:
    return images.reshape(len(images), -1)


@jax.jit
def _trained(rate: Array, init: Array, rng: Array, steps: Array) -> training.GANState:
    gan = _gan({"lr": rate})
    state = training.initial_state(gan, init, EXAMPLES)
    return training.train_until(gan, state, EXAMPLES, rng, steps, batch_size=4, capacity=10)[0]


def _alone(k: int, steps: int) -> training.GANState:
    init, rng, _ = jax.random.split(jax.random.key(k), 3)
    return _trained(jnp.float32(RATES[k]), init, rng, jnp.int32(steps))


def _state(members: Members, k: int) -> training.GANState:
    return jax.tree.map(lambda leaf: leaf[k], members.states)


@pytest.mark.slow
def test_living_members_train_as_if_alone_and_dead_ones_stay() -> None:
    members = _members()
    members.advance(np.ones(3, bool), 2)
    members.advance(np.array([False, True, True]), 5)
    for k, steps in enumerate((2, 5, 5)):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), _state(members, k),
                     jax.device_get(_alone(k, steps)))  # fmt: skip
    assert members.states.step.tolist() == [2, 5, 5]


def test_how_often_a_member_is_stopped_changes_no_bit() -> None:
    once, often = _members(), _members(places=3)
    once.advance(np.ones(3, bool), 4)
    for stop in (1, 3, 4):
        often.advance(np.ones(3, bool), stop)
    assert_same(once.states, often.states)


def test_a_member_that_becomes_infinite_stays_in_its_last_finite_state() -> None:
    members = _members(rates=[1e-3, np.inf])
    start = _state(members, 1)
    members.advance(np.ones(2, bool), 3)
    assert members.finite.tolist() == [True, False]
    assert_same(_state(members, 1), start)
    members.advance(np.ones(2, bool), 4)
    assert members.states.step.tolist() == [4, 0]


def test_all_members_at_once_are_the_same_as_one_after_the_other() -> None:
    one_by_one, at_once = _members(), _members()
    at_once._mapping = "vmap"
    for members in (one_by_one, at_once):
        members.advance(np.array([True, False, True]), 3)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), one_by_one.states, at_once.states)


@pytest.mark.parametrize(
    ("alive", "size", "members", "used"),
    [
        ([1, 1, 1], 2, [0, 2, 1, 0], [1, 1, 1, 0]),
        ([0, 1, 1], 2, [1, 0, 2, 0], [1, 0, 1, 0]),
        ([0, 0, 1], 1, [2, 0, 0, 0], [1, 0, 0, 0]),
    ],
)
def test_each_device_has_as_many_living_members(
    alive: list[int], size: int, members: list[int], used: list[int]
) -> None:
    dealt = _members()
    dealt._places, dealt._mesh = 4, type("Mesh", (), {"size": size})  # type: ignore[assignment]
    places_of, found = dealt._dealt(np.array(alive, bool))
    assert (places_of.tolist(), found.astype(int).tolist()) == (members, used)


def test_samples_are_those_of_the_members_asked_for() -> None:
    members = _members()
    members.advance(np.ones(3, bool), 1)
    every = members.sampled(np.ones(3, bool), 6, _pixels)
    assert every.shape == (3, 6, 4)
    np.testing.assert_array_equal(members.sampled(np.array([False, False, True]), 6, _pixels), every[2:])
    rng = jax.random.split(jax.random.split(jax.random.key(1), 3)[2], 1)[0]
    gan = _gan({"lr": 1e-2})
    own = training.to_uint8(gan.generate(_state(members, 1), gan.prior(rng, 6)), gan.data_range)
    np.testing.assert_array_equal(every[1], _pixels(own))
    # Of other weights by the same latents.
    other = jax.tree.map(np.zeros_like, members.states.generator.variables)
    assert np.ptp(members.sampled(np.ones(3, bool), 6, _pixels, other)) == 0


def test_samples_that_do_not_come_out_even_are_refused() -> None:
    with pytest.raises(ValueError, match="500 at a time, got n = 501"):
        _members().sampled(np.ones(3, bool), 501, _pixels)


def test_distances_are_the_metric_s() -> None:
    features = np.random.default_rng(1).normal(size=(3, 40, 2)).astype(np.float32)
    reference = frechet.moments(jnp.asarray(features[0]))
    features[2, 0, 0] = np.nan
    found = distances(features, reference)
    expected = frechet.distance(frechet.moments(jnp.asarray(features[1])), reference)
    np.testing.assert_allclose(found, [0, expected, np.inf], rtol=1e-5, atol=1e-5)

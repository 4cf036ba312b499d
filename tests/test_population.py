import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax import GAN, population, recipes, sharding, training
from gan_jax.training import Examples
from tests.helpers import assert_close, assert_same, differ, jit, stack

MEMBERS, STEPS, BATCH = 6, 3, 8
SHAPE = (8, 8, 1)


def make(numbers: population.Numbers) -> GAN:
    """Momenta, clipping, an average: numbers of every kind that may differ."""
    return recipes.wgan(
        SHAPE, width=8, latent=4, n_critic=2, lr=numbers["lr"], clip=numbers["clip"], ema=numbers["ema"]
    )


def make_conv(numbers: population.Numbers) -> GAN:
    return recipes.dcgan(SHAPE, width=8, latent=4, lr=numbers["lr"], b1=numbers["ema"])


@functools.cache
def data() -> Examples:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, *SHAPE)).astype(np.uint8)
    return Examples(jnp.asarray(x), jnp.asarray(rng.integers(0, 3, 40), jnp.int32))


@functools.cache
def population_inputs() -> tuple[dict[str, jax.Array], jax.Array]:
    numbers = {
        "lr": jnp.geomspace(1e-4, 1e-2, MEMBERS),
        "clip": jnp.linspace(0.01, 0.1, MEMBERS),
        "ema": jnp.linspace(0.5, 0.9, MEMBERS),
    }
    return numbers, jax.random.split(jax.random.key(0), MEMBERS)


def trained(make: population.Make, *, alive: Any = None, numbers: Any = None, **where: Any) -> Any:
    default, rngs = population_inputs()
    numbers = numbers or default
    states = jit(population.initial_states, static_argnums=0)(make, numbers, rngs, data())
    train = jit(functools.partial(population.train, **where), static_argnums=(0, 6, 7))
    alive = jnp.ones(MEMBERS, bool) if alive is None else alive
    return train(make, numbers, states, alive, data(), rngs, STEPS, BATCH)


@functools.cache
def one_device(make: population.Make) -> Any:
    return jax.tree.map(np.asarray, trained(make))


def mesh(*shape: int) -> Mesh:
    names = (population.AXIS, "data")[: len(shape)]
    return Mesh(np.array(jax.devices()[: int(np.prod(shape))]).reshape(shape), names)


@pytest.mark.parametrize("make", [make, make_conv], ids=["wgan", "dcgan"])
def test_every_member_has_the_very_bits_of_a_run_alone(make: population.Make) -> None:
    (numbers, rngs), examples = population_inputs(), data()

    @jit
    def alone(numbers: Any, rng: jax.Array) -> Any:
        gan = make(numbers)
        return training.train(gan, training.initial_state(gan, rng, examples), examples, rng, STEPS, BATCH)

    members = [alone(jax.tree.map(lambda leaf: leaf[k], numbers), rngs[k]) for k in range(MEMBERS)]  # noqa: B023
    states, metrics, finite = one_device(make)
    assert_same((states, metrics), stack(*members))
    assert finite.all()
    assert differ(members[0], members[1])


def test_vmap_equals_one_after_the_other() -> None:
    assert_close(trained(make, mapping="vmap"), one_device(make), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("devices", [2, 8], ids=["three a device", "not divisible"])
@pytest.mark.parametrize("make", [make, make_conv], ids=["wgan", "dcgan"])
def test_members_spread_over_devices_keep_their_bits(make: population.Make, devices: int) -> None:
    assert_same(jax.tree.map(np.asarray, trained(make, mesh=mesh(devices))), one_device(make))


def test_members_and_minibatches_spread_over_two_axes() -> None:
    both = mesh(2, 4)

    def spread(numbers: population.Numbers) -> GAN:
        return sharding.data_parallel(make_conv(numbers), NamedSharding(both, P("data")))

    assert_close(trained(spread, mesh=both), one_device(make_conv), rtol=1e-3, atol=2e-5)


def test_a_member_that_breaks_is_frozen_and_the_others_keep_their_bits() -> None:
    numbers, rngs = population_inputs()
    # A clip of infinity leaves the critic free, and a rate of 1e30 throws it beyond float32.
    sick = numbers | {"lr": numbers["lr"].at[2].set(1e30), "clip": numbers["clip"].at[2].set(jnp.inf)}
    states, metrics, finite = jax.tree.map(np.asarray, trained(make, numbers=sick))
    np.testing.assert_array_equal(finite, np.arange(MEMBERS) != 2)
    start = jax.tree.map(np.asarray, jit(population.initial_states, static_argnums=0)(make, sick, rngs, data()))
    assert_same(jax.tree.map(lambda leaf: leaf[2], states), jax.tree.map(lambda leaf: leaf[2], start))
    others = np.flatnonzero(finite)
    healthy = jax.tree.map(lambda leaf: leaf[others], one_device(make)[:2])
    assert_same(jax.tree.map(lambda leaf: leaf[others], (states, metrics)), healthy)


def test_a_member_that_is_not_alive_stays_where_it_is() -> None:
    alive = jnp.arange(MEMBERS) != 3
    states, _, finite = jax.tree.map(np.asarray, trained(make, alive=alive))
    np.testing.assert_array_equal(states.step, np.where(alive, STEPS, 0))
    assert finite.all()


def test_one_program_for_all_numbers() -> None:
    numbers, rngs = population_inputs()
    train = jit(population.train, static_argnums=(0, 6, 7))
    states = jit(population.initial_states, static_argnums=0)(make, numbers, rngs, data())
    for factor in (1.0, 0.5):
        other = jax.tree.map(lambda leaf: leaf * factor, numbers)  # noqa: B023
        train(make, other, states, jnp.ones(MEMBERS, bool), data(), rngs, 1, BATCH)
    assert train._cache_size() == 1


@pytest.mark.parametrize(
    ("make", "platform", "expected"),
    [
        (make, "cpu", "map"),
        (make, "gpu", "vmap"),
        (make, "tpu", "vmap"),
        (make_conv, "cpu", "map"),
        (make_conv, "gpu", "map"),
    ],
)
def test_dense_nets_are_batched_on_accelerators_only(make: population.Make, platform: str, expected: str) -> None:
    numbers, _ = population_inputs()
    gan = make(jax.tree.map(lambda leaf: leaf[0], numbers))
    assert population.suitable_mapping(gan, data(), platform) == expected

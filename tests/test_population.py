import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gan_jax import GAN, population, recipes, sharding, training
from gan_jax.training import Examples
from tests.helpers import all_finite, assert_close, assert_same, differ, few, jit, stack, untyped

MEMBERS, STEPS, BATCH = 6, 3, 8
STATIC = ("make_gan", "batch_size", "capacity")
SHAPE = (8, 8, 1)


def make(numbers: population.Hyperparams) -> GAN:
    """Momenta, clipping, an average: numbers of every kind that may differ."""
    return recipes.wgan(
        SHAPE, width=8, latent=4, n_critic=2, lr=numbers["lr"], clip=numbers["clip"], ema=numbers["ema"]
    )


def make_conv(numbers: population.Hyperparams) -> GAN:
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


def trained(make: population.MakeGAN, *, alive: Any = None, numbers: Any = None, **where: Any) -> Any:
    default, rngs = population_inputs()
    numbers = numbers or default
    start = functools.partial(population.initial_states, mesh=where.get("mesh"))
    states = jit(start, static_argnums=0)(make, numbers, rngs, data())
    train = jit(functools.partial(population.train_until, **where), static_argnames=STATIC)
    alive = jnp.ones(MEMBERS, bool) if alive is None else alive
    inputs = {"alive": alive, "rngs": rngs, "stop": STEPS}
    return train(make, numbers, states, data(), **inputs, batch_size=BATCH, capacity=STEPS)


@functools.cache
def one_device(make: population.MakeGAN) -> Any:
    return jax.tree.map(np.asarray, trained(make))


def mesh(*shape: int) -> Mesh:
    names = (population.AXIS, "data")[: len(shape)]
    return Mesh(np.array(jax.devices()[: int(np.prod(shape))]).reshape(shape), names)


@pytest.mark.parametrize(
    "make", [pytest.param(make, id="wgan", marks=pytest.mark.slow), pytest.param(make_conv, id="dcgan")]
)
def test_every_member_has_the_very_bits_of_a_run_alone(make: population.MakeGAN) -> None:
    (numbers, rngs), examples = population_inputs(), data()

    @jit
    def alone(numbers: Any, rng: jax.Array) -> Any:
        gan = make(numbers)
        return training.train(
            gan, training.initial_state(gan, rng, examples), examples, rng, steps=STEPS, batch_size=BATCH
        )

    members = [alone(jax.tree.map(lambda leaf: leaf[k], numbers), rngs[k]) for k in range(MEMBERS)]  # noqa: B023
    states, metrics, finite = one_device(make)
    assert_same((states, metrics), stack(*members))
    assert finite.all()
    assert differ(members[0], members[1])


def test_vmap_equals_one_after_the_other() -> None:
    assert_close(trained(make, mapping="vmap"), one_device(make), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "devices"),
    [
        pytest.param(make, 2, id="wgan, three a device", marks=pytest.mark.slow),
        pytest.param(make, 8, id="wgan, not divisible"),
        pytest.param(make_conv, 8, id="dcgan, not divisible", marks=pytest.mark.slow),
    ],
)
def test_members_spread_over_devices_keep_their_bits(make: population.MakeGAN, devices: int) -> None:
    assert_same(jax.tree.map(np.asarray, trained(make, mesh=mesh(devices))), one_device(make))


@pytest.mark.slow
def test_members_and_minibatches_spread_over_two_axes() -> None:
    both = mesh(2, 4)

    def spread(numbers: population.Hyperparams) -> GAN:
        return sharding.data_parallel(make_conv(numbers), NamedSharding(both, P("data")))

    assert_close(trained(spread, mesh=both), one_device(make_conv), rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("mapping", few(["map", "vmap"], "map"))
def test_a_member_that_breaks_is_frozen_where_it_was_finite_and_the_others_keep_their_bits(
    mapping: population.Mapping,
) -> None:
    """Member 2's rate grows 1e4 times an update: a few steps later it is beyond float32."""
    numbers, rngs = population_inputs()

    def growing(numbers: population.Hyperparams) -> GAN:
        def scale(count: jax.Array) -> jax.Array:
            return -numbers["lr"] * numbers["growth"] ** count

        optimizer = optax.chain(optax.scale_by_adam(), optax.scale_by_schedule(scale))
        return make(numbers).replace(g_optimizer=optimizer, d_optimizer=optimizer)

    def run(growth: float, capacity: int) -> Any:
        values = numbers | {"growth": jnp.ones(MEMBERS).at[2].set(growth)}
        states = jit(population.initial_states, static_argnums=0)(growing, values, rngs, data())
        train = jit(
            functools.partial(population.train_until, mapping=mapping),
            static_argnames=STATIC,
        )
        alive, metrics = jnp.ones(MEMBERS, bool), []
        for stop in range(capacity, 9, capacity):
            inputs = {"alive": alive, "rngs": rngs, "stop": stop}
            states, found, alive = train(growing, values, states, data(), **inputs, batch_size=BATCH, capacity=capacity)
            metrics.append(found)
        return jax.tree.map(np.asarray, (states, alive, metrics))

    sick_states, finite, [metrics] = run(1e4, 8)
    np.testing.assert_array_equal(finite, np.arange(MEMBERS) != 2)
    reached = sick_states.step[2]
    assert 0 < reached < 8
    assert all_finite(jax.tree.map(lambda leaf: leaf[2], sick_states))
    bad = [not np.isfinite(np.stack([v[2, s] for v in metrics.values()])).all() for s in range(8)]
    assert not any(bad[:reached])
    assert any(bad[reached : reached + 2])

    # Step by step it breaks at the same step, from the same state.
    states, finite, _ = run(1e4, 1)
    assert_same(states, sick_states) if mapping == "map" else assert_close(states.step, sick_states.step)
    others = np.flatnonzero(finite)
    healthy, _, [healthy_metrics] = run(1.0, 8)
    same = assert_same if mapping == "map" else functools.partial(assert_close, rtol=1e-4, atol=1e-5)
    same(
        *(
            jax.tree.map(lambda leaf: leaf[others], tree)
            for tree in ((sick_states, metrics), (healthy, healthy_metrics))
        )
    )


def test_a_member_that_is_not_alive_stays_where_it_is() -> None:
    alive = jnp.arange(MEMBERS) != 3
    states, _, finite = jax.tree.map(np.asarray, trained(make, alive=alive))
    np.testing.assert_array_equal(states.step, np.where(alive, STEPS, 0))
    assert finite.all()


def test_one_program_for_all_numbers() -> None:
    numbers, rngs = population_inputs()
    train = jit(population.train_until, static_argnames=STATIC)
    states = jit(population.initial_states, static_argnums=0)(make, numbers, rngs, data())
    for factor, stop in ((1.0, 1), (0.5, 2)):
        other = jax.tree.map(lambda leaf: leaf * factor, numbers)  # noqa: B023
        inputs = {"alive": jnp.ones(MEMBERS, bool), "rngs": rngs, "stop": stop}
        train(make, other, states, data(), **inputs, batch_size=BATCH, capacity=2)
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
def test_dense_nets_are_batched_on_accelerators_only(make: population.MakeGAN, platform: str, expected: str) -> None:
    numbers, _ = population_inputs()
    gan = make(jax.tree.map(lambda leaf: leaf[0], numbers))
    assert population.suitable_mapping(gan, data(), platform) == expected


@pytest.mark.slow
@pytest.mark.parametrize("place", [False, True], ids=["host", "placed"])
def test_meshes_of_jax_make_mesh_are_taken_too(place: bool) -> None:
    """Their axes are Explicit, those of `Mesh` are Auto."""
    explicit = jax.make_mesh((2,), (population.AXIS,), devices=jax.devices()[:2])
    numbers, rngs = population_inputs()
    states = jit(population.initial_states, static_argnums=0)(make, numbers, rngs, data())
    if place:
        numbers, states, rngs = jax.device_put((numbers, states, rngs), NamedSharding(explicit, P(population.AXIS)))
    train = jit(functools.partial(population.train_until, mesh=explicit), static_argnames=STATIC)
    inputs = {"alive": jnp.ones(MEMBERS, bool), "rngs": rngs, "stop": STEPS}
    found = train(make, numbers, states, data(), **inputs, batch_size=BATCH, capacity=STEPS)
    assert_same(jax.tree.map(np.asarray, found), one_device(make))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alive": jnp.ones(MEMBERS - 1, bool)}, "leaves"),
        ({"rngs": jax.random.split(jax.random.key(0), MEMBERS - 1)}, "leaves"),
        ({"mapping": "Vmap"}, "map or vmap, got 'Vmap'"),
        ({"mesh": Mesh(np.array(jax.devices()[:2]), ("data",))}, "axis 'population'"),
    ],
    ids=["alive", "rngs", "mapping", "mesh"],
)
@untyped()
def test_populations_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    numbers, rngs = population_inputs()
    states = jax.eval_shape(lambda: population.initial_states(make, numbers, rngs, data()))
    inputs = {"alive": jnp.ones(MEMBERS, bool), "rngs": rngs, "stop": STEPS} | changes
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            lambda states: population.train_until(
                make, numbers, states, data(), batch_size=BATCH, capacity=STEPS, **inputs
            ),
            states,
        )


def test_a_step_of_a_member_is_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    traced, step = [], GAN.train_step
    monkeypatch.setattr(GAN, "train_step", lambda self, *x, **how: traced.append(x) or step(self, *x, **how))
    numbers, rngs = population_inputs()
    states = jax.eval_shape(functools.partial(population.initial_states, make), numbers, rngs, data())
    train = functools.partial(population.train_until, make, batch_size=BATCH, capacity=STEPS)
    inputs = {"alive": jnp.ones(MEMBERS, bool), "rngs": rngs, "stop": STEPS}
    jax.eval_shape(lambda states: train(numbers, states, data(), **inputs), states)
    assert len(traced) == 1

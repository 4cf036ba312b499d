"""A GAN is a value and its steps are pure functions: whatever wraps them, the result is the same."""

import dataclasses
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from gan_jax import GAN, Batch, GANState, losses, penalties, recipes, scheduled
from tests.gan.helpers import KEY, POINTS, Echo, Position, Slope, dirac, normed, normed_state, positions, real, run
from tests.helpers import assert_close, assert_same, differ, jit, stack


def test_jit_changes_nothing() -> None:
    gan = dirac(losses.non_saturating(), n_critic=2, generator=Echo(), penalty=penalties.wgan_gp(), ema_decay=0.9)
    batch = real(1.0, 2.0, n_critic=2)
    state = jit(gan.init)(KEY, batch)
    assert_close(jax.jit(gan.train_step)(state, batch, KEY), gan.train_step(state, batch, KEY))


def test_scan_gives_what_a_loop_gives() -> None:
    gan, state = normed(), normed_state()

    def body(state: GANState, i: jax.Array) -> tuple[GANState, Any]:
        return gan.train_step(state, POINTS, jax.random.fold_in(KEY, i))

    scanned, metrics = jit(lambda state: lax.scan(body, state, jnp.arange(4)))(state)
    assert_close(scanned, run(jit(gan.train_step), state, 4))
    assert {leaf.shape for leaf in jax.tree.leaves(metrics)} == {(4,)}


def test_vmap_over_seeds_gives_each_member_what_it_gets_alone() -> None:
    gan = normed()

    def member(rng: jax.Array) -> tuple[GANState, Any]:
        return gan.train_step(gan.init(rng, POINTS), POINTS, rng)

    keys = jax.random.split(KEY, 3)
    single = jit(member)
    alone = [single(rng) for rng in keys]
    assert_close(jit(jax.vmap(member))(keys), stack(*alone), rtol=1e-4, atol=1e-5)
    assert differ(alone[0], alone[1])


def test_traces_once_whatever_the_step_and_the_initial_state() -> None:
    gan = normed()
    traces = []

    @jit
    def train_step(state: GANState, batch: Batch, rng: jax.Array) -> Any:
        traces.append(None)
        return gan.train_step(state, batch, rng)

    run(train_step, normed_state(0), 3)
    run(train_step, normed_state(1), 2)
    assert len(traces) == 1


def test_state_may_be_donated() -> None:
    gan = normed()
    donating = jit(gan.train_step, donate_argnums=0)
    assert_close(run(donating, gan.init(KEY, POINTS), 2), run(jit(gan.train_step), normed_state(), 2))


def test_inputs_are_left_unchanged() -> None:
    gan = dirac(losses.wasserstein(), generator=Echo(), ema_decay=0.9)
    inputs = gan.init(KEY, real(1.0)), real(1.0), jax.random.key_data(KEY)
    copies = jax.tree.map(np.array, inputs)
    gan.train_step(inputs[0], inputs[1], jax.random.wrap_key_data(inputs[2]))
    assert_same(jax.tree.map(np.array, inputs), copies)


def test_state_is_arrays_only_and_states_of_two_gans_stack() -> None:
    first, second = normed_state(0), normed_state(1)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(first))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second)
    assert_same(jax.tree.map(lambda leaf: leaf[1], stacked), second)
    assert differ(first, second)


def test_numbers_may_be_traced_and_differ_per_member() -> None:
    def member(lr: jax.Array, gamma: jax.Array, decay: jax.Array) -> Any:
        gan = dirac(losses.wasserstein(), lr=lr, penalty=penalties.r1(gamma), ema_decay=decay)
        state, _ = gan.train_step(gan.init(KEY, real(0.0)), real(0.0), KEY)
        return (*positions(state), state.ema["params"]["theta"])

    theta, psi, average = jit(jax.vmap(member))(jnp.array([0.1, 0.5]), jnp.array([0.0, 2.0]), jnp.array([0.0, 0.9]))
    # psi' = 1 - lr (1 + gamma): .9, -.5; theta' = 1 + lr psi': 1.09, .75; averages theta' and .1 * 1 + .9 * .75.
    np.testing.assert_allclose(psi, [0.9, -0.5], rtol=1e-6)
    np.testing.assert_allclose(theta, [1.09, 0.75], rtol=1e-6)
    np.testing.assert_allclose(average, [1.09, 0.775], rtol=1e-6)


def test_a_gan_is_a_frozen_value() -> None:
    gan = dirac(losses.wasserstein())
    with pytest.raises(dataclasses.FrozenInstanceError):
        gan.n_critic = 5  # type: ignore[misc]
    assert gan.replace(n_critic=5).n_critic == 5
    assert gan.n_critic == 1


def test_fields_are_given_by_name_alone() -> None:
    with pytest.raises(TypeError, match="positional"):
        GAN(Position(), Slope())  # type: ignore[misc]


def test_a_gan_with_optax_own_optimizers_is_pickled_once_they_are_scheduled() -> None:
    gan = recipes.gan((2,), width=4).replace(g_optimizer=optax.adam(1e-3))
    with pytest.raises((AttributeError, pickle.PicklingError), match="local object"):
        pickle.dumps(gan)
    again = pickle.loads(pickle.dumps(gan.replace(g_optimizer=scheduled(optax.adam, 1e-3))))
    params = {"w": jnp.ones(2)}
    updates = [o.update(params, o.init(params), params)[0] for o in (gan.g_optimizer, again.g_optimizer)]
    assert_same(*updates)

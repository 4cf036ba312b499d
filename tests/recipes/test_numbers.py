"""What only scales may be traced, a schedule, or differ between members."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import Batch, GANState, schedules
from tests.helpers import assert_close, differ, few, jit, stack
from tests.recipes.helpers import CASES, FEW, KEY, KINDS, PICTURED, RECIPES, cases, draw, filled, numbers, tiny


def step_of_member(name: str, kwargs: dict[str, Any], batch: Batch, state: GANState, values: Any) -> GANState:
    """A train step with the numbers of one member of a population."""
    shape = batch.x.shape[2:]
    return tiny(name, shape, **kwargs, **values).train_step(state, batch, KEY)[0]


@cases(CASES, quick=FEW)
def test_every_number_may_be_traced(name: str, kwargs: dict[str, Any]) -> None:
    shape = (8, 8, 1) if name in PICTURED else (2,)
    assert numbers(name) >= {"lr", "d_lr", "ema"}
    values = {option: jnp.array([0.1, 0.2]) for option in numbers(name)}
    batch = draw(tiny(name, shape, **kwargs), shape)

    def member(values: Any) -> GANState:
        state = tiny(name, shape, **kwargs, **values).init(KEY, batch)
        return step_of_member(name, kwargs, batch, state, values)

    population = jax.eval_shape(jax.vmap(member), values)
    assert all(leaf.shape[0] == 2 for leaf in jax.tree.leaves(population))


# Beside the optimizers' numbers and the average's, which all recipes hand to the same builders.
OF_THEIR_OWN = [name for name in RECIPES if numbers(name) - {"lr", "d_lr", "b1", "b2", "ema"}]


@pytest.mark.parametrize("name", few(sorted({*OF_THEIR_OWN, *KINDS}), *KINDS))
def test_every_number_may_be_a_schedule(name: str) -> None:
    """A schedule that changes gives the step of the value that it has at that step."""
    shape = (8, 8, 1) if name in PICTURED else (2,)
    constants = {option: 0.05 for option in numbers(name)}
    batch = draw(tiny(name, shape), shape)
    state = filled(jax.eval_shape(tiny(name, shape, **constants).init, KEY, batch))
    changing = {option: schedules.linear(0.0, 0.1, 10) for option in numbers(name)}
    state = state.replace(step=np.int32(5))
    steps = [jit(tiny(name, shape, **values).train_step)(state, batch, KEY) for values in (constants, changing)]
    assert_close(*steps, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("wgan", {"lr": [1e-3, 1e-2], "clip": [0.1, 0.02]}, id="wgan", marks=pytest.mark.slow),
        pytest.param(
            *("cgan", {"lr": [1e-3, 1e-2], "d_lr": [1e-2, 1e-3], "b1": [0.0, 0.9], "ema": [0.05, 0.0]}), id="cgan"
        ),
        pytest.param("wgan_gp", {"lr": [1e-3, 1e-2], "weight": [1.0, 10.0]}, id="wgan_gp", marks=pytest.mark.slow),
    ],
)
def test_members_of_a_population_are_what_they_are_alone(name: str, values: dict[str, list[float]]) -> None:
    gan = tiny(name, (2,), ema=0.5 if "ema" in values else None)
    batch = draw(gan, (2,))
    state = filled(jax.eval_shape(gan.init, KEY, batch))
    step = functools.partial(step_of_member, name, {}, batch, state)
    members = [{option: np.float32(value[i]) for option, value in values.items()} for i in range(2)]
    single = jit(step)
    alone = [single(member) for member in members]
    population = jit(jax.vmap(step))(stack(*members))
    assert_close(population, stack(*alone), rtol=1e-3, atol=1e-5)
    assert differ(*alone)

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import scheduled, schedules
from tests.helpers import assert_same


def values(schedule: schedules.Schedule, steps: list[int]) -> list[float]:
    return [float(schedule(jnp.int32(step))) for step in steps]


def test_linear_by_hand() -> None:
    np.testing.assert_allclose(values(schedules.linear(10.0, 1.0, 9), [0, 1, 6, 9, 100]), [10, 9, 4, 1, 1], rtol=1e-6)


def test_cosine_by_hand() -> None:
    # (1 + cos(pi / 3)) / 2 = 3/4.
    found = values(schedules.cosine(2.0, 0.0, 12), [0, 4, 6, 8, 12, 99])
    np.testing.assert_allclose(found, [2, 1.5, 1, 0.5, 0, 0], atol=1e-6)


@pytest.mark.parametrize("end", [0.0, 1e-5, 3e-4])
def test_cosine_is_that_of_optax(end: float) -> None:
    theirs = optax.cosine_decay_schedule(1e-4, 1000, end / 1e-4)
    steps = [0, 1, 250, 999, 1000, 5000]
    np.testing.assert_allclose(
        values(schedules.cosine(1e-4, end, 1000), steps), [float(theirs(step)) for step in steps], rtol=1e-5, atol=1e-10
    )


def test_stages_are_equal_parts_of_the_run() -> None:
    assert values(schedules.stages([3.0, 2.0, 1.0], 9), [0, 2, 3, 5, 6, 8, 9, 50]) == [3, 3, 2, 2, 1, 1, 1, 1]
    # Ten steps in three parts: starts at ceil(10 / 3) = 4 and ceil(20 / 3) = 7.
    assert values(schedules.stages([3.0, 2.0, 1.0], 10), [3, 4, 6, 7]) == [3, 2, 2, 1]
    assert values(schedules.stages([5.0], 10), [0, 9]) == [5, 5]


@pytest.mark.parametrize(
    "make", [schedules.linear, schedules.cosine, lambda a, b, n: schedules.stages([a, b], n)], ids=["line", "cos", "st"]
)
def test_ends_may_be_traced(make: schedules.Schedule) -> None:
    starts, step = jnp.array([1.0, 2.0, 3.0]), jnp.int32(3)
    together = jax.jit(jax.vmap(lambda start: make(start, 0.5, 10)(step)))(starts)
    np.testing.assert_allclose(together, [make(float(start), 0.5, 10)(step) for start in starts], rtol=1e-6)


def test_numbers_that_are_not_schedules_are_their_own_value() -> None:
    assert schedules.at(0.5, 7) == 0.5
    assert_same(schedules.at(jnp.float32(0.5), 7), jnp.float32(0.5))
    assert float(schedules.at(lambda step: 2.0 * step, 7)) == 14.0


def test_scheduled_optimizer_is_the_one_of_that_step() -> None:
    """Adam whose rate and b1 both change, against Adam made anew with the numbers of each step."""
    rates, b1s = schedules.linear(1e-2, 1e-3, 5), schedules.stages([0.0, 0.9], 4)
    params = {"w": jnp.array([1.0, -2.0])}
    ours = scheduled(optax.adam, rates, b1s, 0.99)
    our_state = their_state = ours.init(params)
    assert_same(our_state, optax.adam(1.0).init(params))
    for step in range(6):
        gradients = {"w": jnp.array([0.3, -0.1]) * (step + 1)}
        theirs = optax.adam(float(rates(jnp.int32(step))), float(b1s(jnp.int32(step))), 0.99)
        updates, our_state = ours.update(gradients, our_state, params, step=jnp.int32(step))
        expected, their_state = theirs.update(gradients, their_state, params)
        np.testing.assert_allclose(updates["w"], expected["w"], rtol=1e-5)


def test_scheduled_optimizer_passes_through_a_chain_and_asks_for_the_step() -> None:
    chain = optax.chain(optax.clip(0.5), scheduled(optax.sgd, lambda step: 1.0 + step))
    params = jnp.zeros(())
    updates, _ = chain.update(jnp.float32(2.0), chain.init(params), params, step=jnp.int32(3))
    np.testing.assert_allclose(updates, -2.0)
    with pytest.raises(TypeError, match="pass it the step"):
        chain.update(jnp.float32(2.0), chain.init(params), params)
    fixed = scheduled(optax.sgd, 0.5)
    np.testing.assert_allclose(fixed.update(jnp.float32(2.0), fixed.init(params), params)[0], -1.0)


MAKERS = {
    "linear": lambda n: schedules.linear(2.0, 0.5, n),
    "cosine": lambda n: schedules.cosine(2.0, 0.5, n),
    "stages": lambda n: schedules.stages([2.0, 0.5], n),
}


@pytest.mark.parametrize("name", MAKERS)
def test_schedules_can_be_pickled(name: str) -> None:
    schedule = MAKERS[name](10)
    assert values(pickle.loads(pickle.dumps(schedule)), [0, 3, 7]) == values(schedule, [0, 3, 7])


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("steps", [0, -5])
def test_schedules_over_no_steps_are_refused(name: str, steps: int) -> None:
    with pytest.raises(ValueError, match=f"at least one step, got steps={steps}"):
        MAKERS[name](steps)


def test_no_stages_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        schedules.stages([], 10)

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.gan import GANState, Player
from gan_jax.lab.runs import chunks


def _state(step: int, weight: float) -> GANState:
    return GANState(jnp.int32(step), Player({"w": jnp.float32(weight)}, {}, ()), Player({}, {}, ()))


def _training(metric: list[float], weight: list[float]) -> chunks.Advance:
    """Steps whose metrics and whose states are these, one after the other."""

    def advance(state: GANState, n: int) -> tuple[GANState, dict[str, np.ndarray]]:
        step = int(state.step)
        end = min(step + n, len(metric))
        return _state(end, weight[end - 1]), {
            "estimate": np.zeros(end - step, np.float32),
            "g_loss": np.array(metric[step:end], np.float32),
            "d_real": np.array(metric[step:end], np.float32),
        }

    return advance


_START = _state(0, 0.0)
_NAN, _INF = np.nan, np.inf


@pytest.mark.parametrize(("metric", "weight", "finite", "first"), [
    ([1, 2, 3, 4], [1, 2, 3, 4], 4, None),
    ([1, 2, _NAN, 4], [1, 2, 3, 4], 2, "g_loss"),
    ([_INF, 2, 3, 4], [1, 2, 3, 4], 0, "g_loss"),
    # Metrics are taken before the update: the state of a step goes before the metrics of the next.
    ([1, 2, 3, _NAN], [1, 2, _INF, _NAN], 2, "state.generator.params['w']"),
    ([1, 2, 3, 4], [1, 2, 3, _NAN], 3, "state.generator.params['w']"),
])  # fmt: skip
def test_no_step_is_taken_past_the_last_finite_state(
    metric: list[float], weight: list[float], finite: int, first: str | None
) -> None:
    state, metrics, broken = chunks.up_to_not_finite(_training(metric, weight), _START, 4)
    assert broken == first
    assert state.step == finite
    assert metrics["g_loss"].tolist() == metric[:finite]
    assert {len(values) for values in metrics.values()} == {finite}


def test_steps_that_turn_out_finite_the_second_time_are_taken() -> None:
    calls: list[Any] = []

    def advance(state: GANState, n: int) -> tuple[GANState, dict[str, np.ndarray]]:
        calls.append(n)
        values = [1, _NAN, 3] if len(calls) == 1 else [1, 2, 3]
        return _training(values, values)(state, n)

    state, metrics, broken = chunks.up_to_not_finite(advance, _START, 3)
    assert (int(state.step), metrics["g_loss"].tolist(), broken) == (3, [1, 2, 3], None)
    assert calls == [3, 1, 1, 1]


def test_dispatches_grow_and_shrink_to_about_half_a_second() -> None:
    for seconds_per_step, low, high in ((10.0, 1, 1), (0.3, 1, 3), (0.01, 33, 100), (1e-6, 256, 256)):
        pace = 1
        for _ in range(20):
            pace = chunks.next_pace(pace, pace, pace * seconds_per_step)
        assert low <= pace <= high
    # One that was cut short by an event says nothing against the pace.
    assert chunks.next_pace(64, 3, 0.01) == 64

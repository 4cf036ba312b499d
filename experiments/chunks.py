"""Dispatches of compiled steps: short enough to stop between, however the steps are cut the same bits, and finite."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import rundir
from experiments.rundir import Run
from gan_jax import training
from gan_jax.data import Dataset
from gan_jax.gan import GAN, GANState

# `(state, n)` -> the state after n more steps, or as many as fit a dispatch, and float32 metrics [of so many].
Advance = Callable[[GANState, int], tuple[GANState, dict[str, np.ndarray]]]

# Steps of a compiled dispatch at most: its metrics come in memory for so many.
CAPACITY = 256
_STREAMED_BYTES = 2**24


def advancer(run: Run, gan: GAN, dataset: Dataset) -> Advance:
    """The run's training, compiled once for all lengths; the data on the device, or streamed from the host.

    The state that goes in stays valid, for `up_to_not_finite` to go back to: one copy of it per dispatch.
    """
    options = run.config.run
    rng = rundir.run_keys(run.config)[1]
    batch_size, warmup_steps = options["batch_size"], options.get("warmup_steps", 0)
    warmup = gan.replace(n_critic=options["warmup_critic"]) if warmup_steps else gan
    host = training.Examples(dataset.x, dataset.labels)
    resident = None if options["stream"] or not _fits(dataset) else jax.tree.map(jnp.asarray, host)
    compiled = functools.partial(jax.jit, compiler_options=training.compiler_options())
    run_resident = compiled(training.train_until, static_argnums=(0, 5, 6))
    run_streamed = compiled(training.train_streamed_until, static_argnums=0)
    draw = jax.jit(jax.vmap(training.draw_indices, (None, 0, None, None, None)), static_argnums=(2, 3, 4))

    def gathered(phase: GAN, step: int, n: int, capacity: int) -> Any:
        steps = step + np.arange(capacity, dtype=np.int32)
        indices = np.asarray(draw(rng, steps, phase.n_critic, batch_size, len(dataset)))[:n]

        def gather(leaf: np.ndarray) -> np.ndarray:
            chunk = np.zeros((capacity, phase.n_critic, batch_size, *leaf.shape[1:]), leaf.dtype)
            chunk[:n] = leaf[indices]
            return chunk

        return jax.tree.map(gather, host)

    def advance(state: GANState, n: int) -> tuple[GANState, dict[str, np.ndarray]]:
        step = int(state.step)
        phase = warmup if step < warmup_steps else gan
        if resident is not None:
            n = min(n, CAPACITY)
            state, metrics = run_resident(phase, state, resident, rng, step + n, batch_size, CAPACITY)
        else:
            capacity = int(np.clip(_STREAMED_BYTES // (phase.n_critic * batch_size * dataset.x[0].nbytes), 1, CAPACITY))
            n = min(n, capacity)
            state, metrics = run_streamed(phase, state, gathered(phase, step, n, capacity), rng, step + n)
        return state, {name: np.asarray(values[:n], np.float32) for name, values in jax.device_get(metrics).items()}

    return advance


def next_pace(pace: int, n: int, seconds: float) -> int:
    """How many steps to dispatch next, after n, of the `pace` allowed, took some seconds: about half a second's worth.

    A signal is heard between two dispatches. Timing may set their length because it decides no bit of the result.
    """
    if seconds > 1:
        return max(1, n // 2)
    return 2 * pace if seconds < 0.4 and n == pace and pace < CAPACITY else pace


def up_to_not_finite(advance: Advance, state: GANState, n: int) -> tuple[GANState, dict[str, np.ndarray], str | None]:
    """`advance`, but never past the last finite state.

    Returns:
      The state and the metrics of the steps taken; and, if fewer than n were because the next is not finite, the name
      of what went first in it, else None.
    """
    after, metrics = advance(state, n)
    if not_finite(after, metrics) is None:
        return after, metrics, None
    history = [{name: values[:0] for name, values in metrics.items()}]
    first = None
    for _ in range(len(next(iter(metrics.values())))):
        after, metrics = advance(state, 1)
        if (first := not_finite(after, metrics)) is not None:
            break
        state = after
        history.append(metrics)
    return state, {name: np.concatenate([step[name] for step in history]) for name in metrics}, first


def not_finite(state: GANState, metrics: dict[str, np.ndarray]) -> str | None:
    """What of a step is not finite: a metric, see `metric_not_finite`, or the state, which comes after."""
    if (name := metric_not_finite(metrics)) is not None:
        return name
    for path, finite in jax.tree_util.tree_leaves_with_path(jax.device_get(_finite(state))):
        if not finite:
            return f"state{jax.tree_util.keystr(path)}"
    return None


def metric_not_finite(metrics: Mapping[str, np.ndarray]) -> str | None:
    """Which metric is not finite, a loss before others, D's before G's."""
    order = sorted(metrics, key=lambda name: (not name.endswith("loss"), name))
    return next((name for name in order if not np.isfinite(metrics[name]).all()), None)


@jax.jit
def _finite(state: GANState) -> GANState:
    return jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), state)


def _fits(dataset: Dataset) -> bool:
    """Whether the whole data set can lie on the device beside the model: half of its memory, where that is known."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return limit is None or dataset.x.nbytes <= limit / 2

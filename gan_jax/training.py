"""Whole training runs on the device: data resident as uint8, minibatches drawn in the graph, many steps a dispatch.

Everything is a pure function for the caller to jit:

    run = jax.jit(train, static_argnums=(0, 4, 5), donate_argnums=1)
    state, metrics = run(gan, state, data, rng, 1000, 64)

All randomness of a step derives from (rng, state.step), so a run that is cut anywhere, and goes on from that state with
the same rng, sees the same minibatches and the same noise.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gan_jax.gan import GAN, Batch, GANState, Metrics


class Examples(NamedTuple):
    """Raw data: x uint8 images `[..., H, W, C]` or float32 points `[..., D]`, labels int32 `[...]` or None."""

    x: Any
    labels: Any = None


def to_unit(x: Array, data_range: tuple[float, float]) -> Float[Array, "..."]:
    """uint8 images scaled from [0, 255] to `data_range`; floats (points) as they are."""
    if x.dtype != jnp.uint8:
        return x
    low, high = data_range
    return x.astype(jnp.float32) * ((high - low) / 255) + low


def to_uint8(x: Float[Array, "..."], data_range: tuple[float, float]) -> Array:
    """The inverse of `to_unit`, rounded, for images that leave."""
    low, high = data_range
    return jnp.round(jnp.clip((x - low) / (high - low), 0, 1) * 255).astype(jnp.uint8)


def as_batch(gan: GAN, examples: Examples) -> Batch:
    """Raw examples as the GAN sees them: scaled to its range, with its condition."""
    x = to_unit(examples.x, gan.data_range)
    return Batch(x, gan.condition(x, examples.labels))


def initial_state(gan: GAN, rng: PRNGKeyArray, examples: Examples) -> GANState:
    """A fresh state for data like `examples` (leaves `[N, ...]`; only shapes and dtypes matter)."""
    one = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], (gan.n_critic, 1, *leaf.shape[1:])), examples)
    return gan.init(rng, as_batch(gan, one))


def _step_keys(rng: PRNGKeyArray, step: Int[Array, ""]) -> Array:
    return jax.random.split(jax.random.fold_in(rng, step))


def draw_indices(rng: PRNGKeyArray, step: Int[Array, ""], n_critic: int, batch_size: int, count: int) -> Array:
    """Which of `count` examples step number `step` trains on: int32 `[n_critic, B]`, uniform with replacement.

    Independent draws are what the papers' algorithms say ("sample a batch from the real data"); they make a
    minibatch a function of (rng, step) alone, with no epoch to carry along.
    """
    return jax.random.randint(_step_keys(rng, step)[0], (n_critic, batch_size), 0, count)


def train(
    gan: GAN, state: GANState, data: Examples, rng: PRNGKeyArray, steps: int, batch_size: int
) -> tuple[GANState, Metrics]:
    """`steps` train steps on resident data in one scan.

    Args:
      gan: the GAN; static.
      state: where to start.
      data: the whole data set, leaves `[N, ...]`.
      rng: the run's key, the same for every call of one run.
      steps: generator updates; static.
      batch_size: examples per minibatch; static.

    Returns:
      The last state, and metrics with leaves `[steps]`.
    """

    def body(state: GANState, _: None) -> tuple[GANState, Metrics]:
        indices = draw_indices(rng, state.step, gan.n_critic, batch_size, data.x.shape[0])
        return _step(gan, state, jax.tree.map(lambda leaf: leaf[indices], data), rng)

    return lax.scan(body, state, length=steps)


def train_streamed(gan: GAN, state: GANState, chunk: Examples, rng: PRNGKeyArray) -> tuple[GANState, Metrics]:
    """As `train`, on examples `[steps, n_critic, B, ...]` gathered on the host by `draw_indices`: the same numbers."""

    def body(state: GANState, examples: Examples) -> tuple[GANState, Metrics]:
        return _step(gan, state, examples, rng)

    return lax.scan(body, state, chunk)


def train_until(
    gan: GAN, state: GANState, data: Examples, rng: PRNGKeyArray, stop: Int[Array, ""], batch_size: int, capacity: int
) -> tuple[GANState, Metrics]:
    """As `train`, up to a step number that may be traced: one compiled program for pieces of every length.

    So where a run is cut decides no bit of it, which programs compiled for one length each would not promise.

    Args:
      gan, state, data, rng, batch_size: as of `train`.
      stop: the step number to stop at.
      capacity: how many steps a call takes at most; static.

    Returns:
      The state at step min(stop, state.step + capacity), and metrics with leaves `[capacity]`: zeros where no step was.
    """

    def minibatch(taken: Int[Array, ""], step: Int[Array, ""]) -> Examples:
        indices = draw_indices(rng, step, gan.n_critic, batch_size, data.x.shape[0])
        return jax.tree.map(lambda leaf: leaf[indices], data)

    return _until(gan, state, rng, stop, capacity, minibatch)


def train_streamed_until(
    gan: GAN, state: GANState, chunk: Examples, rng: PRNGKeyArray, stop: Int[Array, ""]
) -> tuple[GANState, Metrics]:
    """As `train_until`, on a chunk as of `train_streamed`: its length is the capacity, and what is left over unused."""
    return _until(
        gan, state, rng, stop, chunk.x.shape[0], lambda taken, step: jax.tree.map(lambda leaf: leaf[taken], chunk)
    )


def _until(
    gan: GAN,
    state: GANState,
    rng: PRNGKeyArray,
    stop: Int[Array, ""],
    capacity: int,
    minibatch: Callable[[Int[Array, ""], Int[Array, ""]], Examples],
) -> tuple[GANState, Metrics]:
    start = state.step

    def body(carry: tuple[GANState, Metrics]) -> tuple[GANState, Metrics]:
        state, history = carry
        taken = state.step - start
        state, metrics = _step(gan, state, minibatch(taken, state.step), rng)
        return state, jax.tree.map(lambda all, now: all.at[taken].set(now), history, metrics)

    def more(carry: tuple[GANState, Metrics]) -> Array:
        step = carry[0].step
        return (step < stop) & (step - start < capacity)

    metrics = jax.eval_shape(lambda state: _step(gan, state, minibatch(start, start), rng)[1], state)
    history = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), metrics)
    return lax.while_loop(more, body, (state, history))


def _step(gan: GAN, state: GANState, examples: Examples, rng: PRNGKeyArray) -> tuple[GANState, Metrics]:
    return gan.train_step(state, as_batch(gan, examples), _step_keys(rng, state.step)[1])


@functools.cache
def compiler_options() -> dict[str, str]:
    """Options for `jax.jit(train, compiler_options=...)` under which XLA compiles training best on this platform.

    On CPUs jaxlib 0.10 hands single convolutions to a library that is slower at them than XLA's own code (cdcgan trains
    1.4 times as fast without it) but faster at matrix products: so it keeps only those. Empty on accelerators, and
    where this XLA does not know the option.
    """
    if jax.default_backend() != "cpu":
        return {}
    kinds = ("INDIVIDUAL_DOT", "REDUCE")
    options = {"xla_cpu_experimental_ynn_fusion_type": ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in kinds)}
    try:
        jax.jit(lambda: 0, compiler_options=options)()
    except jax.errors.JaxRuntimeError:  # An experimental option: another version may have dropped it.
        return {}
    return options

"""Whole training runs on the device: data resident as uint8, minibatches drawn in the graph, many steps per dispatch.

Everything is a pure function for the caller to jit, with the options of `gan_jax.compiling` or others:

    run = jit_training(train, donate=["state"])
    state, metrics = run(gan, state, data, rng, steps=1000, batch_size=64)

All randomness of a step derives from (rng, state.step), so a run that is stopped anywhere and resumes from that state
with the same rng gets the same minibatches and the same noise.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gan_jax.examples import Examples, count
from gan_jax.gan import GAN, Batch, GANState
from gan_jax.typing import Key, Metrics, Step


def from_uint8(x: Array, data_range: tuple[float, float]) -> Float[Array, "..."]:
    """uint8 images scaled from [0, 255] to `data_range`; floats (points) unscaled, as float32.

    Raises:
      ValueError: x is neither.
    """
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(jnp.float32)
    if x.dtype != jnp.uint8:
        raise ValueError(f"data must be uint8 images or float32 points, got {x.dtype}: convert it")
    low, high = data_range
    return x.astype(jnp.float32) * ((high - low) / 255) + low


def to_uint8(x: Float[Array, "..."], data_range: tuple[float, float]) -> Array:
    """The inverse of `from_uint8`, rounded and clipped to [0, 255].

    Raises:
      ValueError: x is not float.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"images in data_range {data_range} are floats, got {x.dtype}")
    low, high = data_range
    return jnp.round(jnp.clip((x - low) / (high - low), 0, 1) * 255).astype(jnp.uint8)


def as_batch(gan: GAN, examples: Examples, rng: Key | None = None) -> Batch:
    """Raw examples as the GAN takes them: scaled to its range, with their conditions.

    Args:
      gan: the GAN.
      examples: leaves `[..., B, ...]`.
      rng: decides what conditions leave to chance, such as where holes are; None for key 0.
    """
    x, conditioning = from_uint8(examples.x, gan.data_range), gan.conditioning
    rng = jax.random.key(0) if rng is None else rng
    return Batch(x, conditioning.randomized(rng, conditioning.of_data(x, examples.labels)))


def initial_state(gan: GAN, rng: Key, examples: Examples) -> GANState:
    """A fresh state for data like `examples` (leaves `[N, ...]`; only shapes and dtypes matter).

    Raises:
      ValueError: as `GAN.init`; x and labels are not equally many, or images are not uint8.
    """
    count(examples)
    one = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], (gan.n_critic, 1, *leaf.shape[1:])), examples)
    return gan.init(rng, as_batch(gan, one))


def draw_indices(rng: Key, step: Step, n_critic: int, batch_size: int, count: int) -> Array:
    """Which of `count` examples step number `step` trains on: int32 `[n_critic, B]`, uniform with replacement.

    Independent draws are what the papers' algorithms specify ("sample a batch from the real data"); they make a
    minibatch a function of (rng, step) alone, with no epoch to keep track of, under `jax.vmap` too.

    Args:
      rng: the run's key.
      step: generator updates so far.
      n_critic: minibatches per step.
      batch_size: B, examples per minibatch.
      count: examples in the data set.
    """

    def draw(rng: Key, step: Step) -> Array:
        return jax.random.randint(_step_keys(rng, step)[0], (n_critic, batch_size), 0, count, jnp.int32)

    if jax.random.key_impl(rng) != "threefry2x32":
        # Under vmap, other generators (rbg, the usual one on TPUs) draw all numbers from the first key alone.
        draw = jax.custom_batching.sequential_vmap(draw)
    return draw(rng, jnp.asarray(step, jnp.int32))


def train(
    gan: GAN, state: GANState, data: Examples, rng: Key, *, steps: int, batch_size: int, norms_every: int = 1
) -> tuple[GANState, Metrics]:
    """`steps` train steps on resident data in one scan.

    Args:
      gan: the GAN; static.
      state: where to start.
      data: the whole data set, leaves `[N, ...]`.
      rng: the run's key, the same for every call of one run.
      steps: generator updates; static.
      batch_size: examples per minibatch; static.
      norms_every: steps between two at which the norms of gradients are taken, those that are multiples of it: they
        cost a few per cent of a small net's step. At others they are `gan_jax.gan.NOT_TAKEN`, -1. Static.

    Returns:
      The last state, and metrics with leaves `[steps]`.

    Raises:
      ValueError: as `GAN.train_step`; x and labels are not equally many, or images are not uint8.
    """

    def body(state: GANState, _: None) -> tuple[GANState, Metrics]:
        return _step(gan, state, _drawn(gan, data, rng, state.step, batch_size), rng, norms_every)

    return lax.scan(body, state, length=steps)


def train_until(
    gan: GAN,
    state: GANState,
    data: Examples,
    rng: Key,
    stop: Step,
    *,
    batch_size: int,
    capacity: int,
    norms_every: int = 1,
) -> tuple[GANState, Metrics]:
    """Like `train`, up to a step number that may be traced: one compiled program for pieces of every length.

    So where a run is stopped changes no bit of its results, which programs compiled for one length each would not
    guarantee.

    Args:
      gan, state, data, rng, batch_size, norms_every: as in `train`.
      stop: the step number to stop at.
      capacity: the most steps that one call takes; static.

    Returns:
      The state at step min(stop, state.step + capacity), and metrics with leaves `[capacity]`, zero where no step was
      taken.
    """

    def examples(taken: Step, step: Step) -> Examples:
        return _drawn(gan, data, rng, step, batch_size)

    return _until(gan, state, rng, stop, capacity, examples, norms_every)


def train_streamed_until(
    gan: GAN,
    state: GANState,
    chunk: Examples,
    rng: Key,
    stop: Step,
    first: Step | None = None,
    *,
    norms_every: int = 1,
) -> tuple[GANState, Metrics]:
    """Like `train_until`, on minibatches gathered by the caller.

    Args:
      gan, state, rng, stop, norms_every: as in `train_until`.
      chunk: leaves `[capacity, n_critic, B, ...]`, what `draw_indices` chooses for the steps from `first` on;
        minibatches beyond `stop` are not used.
      first: the step of the chunk's first minibatches, at most `state.step`; None for that. `stop` is at most `first`
        and the chunk's capacity.

    Returns:
      As `train_until`.
    """
    first = state.step if first is None else first
    return _until(
        gan,
        state,
        rng,
        stop,
        count(chunk, axes=3),
        lambda taken, step: jax.tree.map(lambda leaf: leaf[step - first], chunk),
        norms_every,
    )


def _until(
    gan: GAN,
    state: GANState,
    rng: Key,
    stop: Step,
    capacity: int,
    examples: Callable[[Step, Step], Examples],
    norms_every: int,
) -> tuple[GANState, Metrics]:
    start = state.step

    @functools.partial(jax.jit, inline=True)  # So that it is traced once; nothing of it is left in the program.
    def advance(state: GANState, taken: Step) -> tuple[GANState, Metrics]:
        return _step(gan, state, examples(taken, state.step), rng, norms_every)

    def body(carry: tuple[GANState, Metrics]) -> tuple[GANState, Metrics]:
        state, history = carry
        taken = state.step - start
        state, metrics = advance(state, taken)
        return state, jax.tree.map(lambda all, now: all.at[taken].set(now), history, metrics)

    def more(carry: tuple[GANState, Metrics]) -> Array:
        step = carry[0].step
        return (step < stop) & (step - start < capacity)

    metrics = jax.eval_shape(advance, state, start)[1]
    history = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), metrics)
    return lax.while_loop(more, body, (state, history))


def _step_keys(rng: Key, step: Step) -> Array:
    """Two keys: the minibatch's, and the train step's."""
    return jax.random.split(jax.random.fold_in(rng, step))


def _drawn(gan: GAN, data: Examples, rng: Key, step: Step, batch_size: int) -> Examples:
    indices = draw_indices(rng, step, gan.n_critic, batch_size, count(data))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[indices], data)


def _step(gan: GAN, state: GANState, examples: Examples, rng: Key, norms_every: int) -> tuple[GANState, Metrics]:
    # Beside the two keys of a step, which are those of 0 and 1.
    chance = jax.random.fold_in(jax.random.fold_in(rng, state.step), 2)
    norms = None if norms_every == 1 else state.step % norms_every == 0
    return gan.train_step(state, as_batch(gan, examples, chance), _step_keys(rng, state.step)[1], norms=norms)

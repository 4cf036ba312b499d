"""Many GANs trained as one program: a population of seeds and hyperparameters, over any number of devices.

A member's GAN is built inside the mapped function from the member's own numbers, so learning rates, betas, clips,
penalty weights and EMA decays differ per member in one compilation:

    def make(numbers):
        return recipes.wgan((28, 28, 1), lr=numbers["lr"], clip=numbers["clip"])

    states = initial_states(make, numbers, init_rngs, data)                       # leaves [M, ...]
    run = jax.jit(train_until, static_argnums=(0, 7, 8), donate_argnums=2)
    states, metrics, finite = run(make, numbers, states, alive, data, rngs, stop, 64, 100)

Values that change shapes or code (widths, batch size, n_critic) need a population, and a program, for each.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Int, Key

from gan_jax import training
from gan_jax.gan import GAN, GANState, Metrics
from gan_jax.training import Examples

Numbers = dict[str, Array]
Keys = Key[Array, " members"]
Make = Callable[[Numbers], GAN]
Mapping = Literal["map", "vmap"]

AXIS = "population"


def initial_states(make: Make, numbers: Numbers, rngs: Keys, examples: Examples) -> GANState:
    """Fresh states, leaves `[M, ...]`: member k is `training.initial_state(make(numbers[k]), rngs[k], examples)`.

    Args:
      make: one member's numbers (scalars) to its GAN.
      numbers: leaves `[M]`.
      rngs: keys `[M]`.
      examples: data like that to be trained on, leaves `[N, ...]`.
    """
    return lax.map(lambda member: training.initial_state(make(member[0]), member[1], examples), (numbers, rngs))


def train_until(
    make: Make,
    numbers: Numbers,
    states: GANState,
    alive: Bool[Array, " members"],
    data: Examples,
    rngs: Keys,
    stop: Int[Array, ""],
    batch_size: int,
    capacity: int,
    *,
    mapping: Mapping = "map",
    mesh: Mesh | None = None,
) -> tuple[GANState, Metrics, Bool[Array, " members"]]:
    """`training.train_until` of every living member, each on its own numbers, state and key.

    A member whose metrics or state stop being finite ends in its last finite state, which takes that member's time
    again to find; one that is not alive stays where it is. All other members are what they would have been: nothing is
    shared between members but the data.

    With `map` a member's arithmetic is that of `training.train_until` alone, bit for bit on CPUs; `vmap` batches matrix
    products, whose sums may then round in another order. `map` suits CPUs, where a member fills a core, and
    convolutions, which vmap turns into grouped ones (four times slower on CPUs); `vmap` suits small dense nets on
    accelerators. `suitable_mapping` chooses so.

    Args:
      make: one member's numbers (scalars) to its GAN; static.
      numbers: leaves `[M]`.
      states: leaves `[M, ...]`.
      alive: `[M]`, which members go on.
      data: the whole data set, leaves `[N, ...]`, shared.
      rngs: the runs' keys `[M]`.
      stop: the step number to stop at, an int32 scalar.
      batch_size: examples per minibatch; static.
      capacity: how many steps a call takes at most; static.
      mapping: one member after the other (`map`) or all at once (`vmap`), on each device.
      mesh: its axis "population" divides the members; the last is repeated where M does not divide evenly. Other axes
        are left to the compiler: see `gan_jax.sharding.data_parallel`. None for one device.

    Returns:
      States; metrics with leaves `[M, capacity]`, zeros where no step was, not finite from where a member's are; and
      `finite` `[M]`: whether the member came as far as it should.
    """

    def member(inputs: tuple[Numbers, GANState, Array, Array], stop: Array, data: Examples) -> Any:
        numbers, state, alive, rng = inputs
        return _member(make(numbers), state, alive, data, rng, stop, batch_size, capacity)

    def members(inputs: tuple[Numbers, GANState, Array, Array], stop: Array, data: Examples) -> Any:
        if mapping == "vmap":
            return jax.vmap(member, (0, None, None))(inputs, stop, data)
        return lax.map(lambda one: member(one, stop, data), inputs)

    inputs = (numbers, states, alive, rngs)

    stop = jnp.asarray(stop, jnp.int32)
    if mesh is None:
        return members(inputs, stop, data)
    each = P(AXIS)
    spread = jax.shard_map(
        members,
        mesh=mesh,
        in_specs=(each, P(), P()),
        out_specs=each,
        axis_names={AXIS},
        check_vma=False,  # Members never meet, so there is nothing whose replication it could check.
    )
    count, devices = alive.shape[0], mesh.shape[AXIS]
    if count % devices == 0:
        return spread(inputs, stop, data)
    padded = jnp.minimum(jnp.arange(math.ceil(count / devices) * devices), count - 1)
    inputs = jax.tree.map(lambda leaf: leaf[padded], inputs)
    return jax.tree.map(lambda leaf: leaf[:count], spread(inputs, stop, data))


class _Search(NamedTuple):
    """Where a member is on its way: it tries to reach step `goal` next; `metrics` are those of the first try."""

    state: GANState
    metrics: Metrics
    goal: Array
    tries: Array
    sick: Array


def _member(
    gan: GAN, state: GANState, alive: Array, data: Examples, rng: Array, stop: Array, batch_size: int, capacity: int
) -> tuple[GANState, Metrics, Array]:
    """All the way at once; where that ends in numbers that are not finite, again and step by step up to the last."""
    end = jnp.where(alive, jnp.minimum(stop, state.step + capacity), state.step)
    advance = functools.partial(training.train_until, gan, batch_size=batch_size, capacity=capacity)

    def attempt(search: _Search) -> _Search:
        state = search.state
        tried, metrics = advance(state, data, rng, search.goal)
        good = jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((tried, metrics))]))
        first = search.tries == 0
        return _Search(
            jax.tree.map(lambda new, old: jnp.where(good, new, old), tried, state),
            jax.tree.map(lambda new, old: jnp.where(first, new, old), metrics, search.metrics),
            jnp.where(good, tried.step, state.step) + 1,
            search.tries + 1,
            ~good & (search.goal == state.step + 1),
        )

    nothing = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(advance, state, data, rng, end)[1]
    )
    start = _Search(state, nothing, end, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    found = lax.while_loop(lambda search: (search.state.step < end) & ~search.sick, attempt, start)
    return found.state, found.metrics, found.state.step == end


def suitable_mapping(gan: GAN, examples: Examples, platform: str) -> Mapping:
    """How members of this kind are best mapped on a platform ("cpu", "gpu", "tpu"): see `train_until`."""
    if platform == "cpu":
        return "map"
    state = jax.eval_shape(lambda: training.initial_state(gan, jax.random.key(0), examples))
    step = jax.make_jaxpr(lambda state: training.train(gan, state, examples, jax.random.key(0), 1, 2))(state)
    return "map" if "conv_general_dilated" in str(step) else "vmap"

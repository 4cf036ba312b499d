"""Many GANs trained as one program: a population of seeds and hyperparameters, over any number of devices.

A member's GAN is built inside the mapped function from the member's own numbers, so learning rates, betas, clips,
penalty weights and EMA decays differ per member in one compilation:

    def make_gan(hyperparams):
        return recipes.wgan((28, 28, 1), lr=hyperparams["lr"], clip=hyperparams["clip"])

    states = initial_states(make_gan, hyperparams, init_rngs, data)               # leaves [M, ...]
    run = jit_training(train_until, donate=["states"])
    states, metrics, finite = run(
        make_gan, hyperparams, states, data, alive=alive, rngs=rngs, stop=stop, batch_size=64, capacity=100
    )

Hyperparameters may be ends of schedules too. Each value that changes shapes or code (a width, batch size, n_critic)
needs a population and a program of its own.
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
from jaxtyping import Array, Bool, Key

from gan_jax import training
from gan_jax.gan import GAN, GANState
from gan_jax.sharding import auto_axes
from gan_jax.training import Examples
from gan_jax.typing import Metrics, Step

Hyperparams = dict[str, Any]
"""Numbers by name, a pytree: scalars of one member, or leaves `[M]` of all of them."""
Keys = Key[Array, " members"]
MakeGAN = Callable[[Hyperparams], GAN]
Mapping = Literal["map", "vmap"]

AXIS = "population"


def initial_states(
    make_gan: MakeGAN, hyperparams: Hyperparams, rngs: Keys, examples: Examples, *, mesh: Mesh | None = None
) -> GANState:
    """Fresh states, leaves `[M, ...]`: member k's is that of `make_gan(hyperparams[k])` and `rngs[k]`.

    Args:
      make_gan: one member's hyperparameters (scalars) to its GAN.
      hyperparams: leaves `[M]`.
      rngs: keys `[M]`.
      examples: data like the training set, leaves `[N, ...]`; only shapes and dtypes matter.
      mesh: as for `train_until`: each device makes the states of its own members.
    """

    def members(inputs: tuple[Hyperparams, Keys], examples: Examples) -> GANState:
        return lax.map(lambda one: training.initial_state(make_gan(one[0]), one[1], examples), inputs)

    return _spread(members, mesh, (hyperparams, rngs), examples)


def train_until(
    make_gan: MakeGAN,
    hyperparams: Hyperparams,
    states: GANState,
    data: Examples,
    *,
    alive: Bool[Array, " members"],
    rngs: Keys,
    stop: Step,
    batch_size: int,
    capacity: int,
    norms_every: int = 1,
    mapping: Mapping = "map",
    mesh: Mesh | None = None,
) -> tuple[GANState, Metrics, Bool[Array, " members"]]:
    """`training.train_until` for every member that is alive, each with its own hyperparameters, state and key.

    A member whose metrics or state become non-finite ends in its last finite state; finding that takes its time a
    second time. The state of a member that is not alive does not change. Neither affects the other members, since
    members share nothing but the data.

    With `map` a member's arithmetic is that of `training.train_until` alone, bit for bit on CPUs (on a mesh of
    several CPU devices jaxlib 0.10 fuses convolutions with BatchNorm in another way, and their last bits differ);
    `vmap` batches matrix products, whose sums may then round in another order (and with keys that are not JAX's default
    threefry draws other latents, see `jax.random`). `map` suits CPUs, where a member
    fills a core, and convolutions, which vmap turns into grouped ones (four times slower on CPUs); `vmap` suits
    small dense nets on accelerators. `suitable_mapping` chooses by these rules.

    Args:
      make_gan: one member's hyperparameters (scalars) to its GAN; static.
      hyperparams: leaves `[M]`.
      states: leaves `[M, ...]`.
      data: the whole data set, leaves `[N, ...]`, shared.
      alive: `[M]`, which members are trained.
      rngs: the runs' keys `[M]`.
      stop: the step number to stop at, an int32 scalar.
      batch_size: examples per minibatch; static.
      capacity: the most steps that one call takes; static.
      norms_every: as in `training.train`; static.
      mapping: one member after the other (`map`) or all at once (`vmap`), on each device.
      mesh: its axis "population" divides the members; the last is repeated where M does not divide evenly. Other axes
        are left to the compiler: see `gan_jax.sharding.data_parallel`. Axes may be Auto or Explicit, but not those of
        a `jax.set_mesh` around the call. None for one device.

    Raises:
      ValueError: hyperparams, states, alive and rngs are not of equally many members, there is no such mapping, or the
        mesh has no axis "population".

    Returns:
      States; metrics with leaves `[M, capacity]`, zero where no step was taken, non-finite from where a member's become
      so; and `finite` `[M]`: whether the member reached its last step.
    """

    def member(inputs: tuple[Hyperparams, GANState, Array, Array], stop: Array, data: Examples) -> Any:
        hyperparams, state, alive, rng = inputs
        return _member(make_gan(hyperparams), state, alive, data, rng, stop, batch_size, capacity, norms_every)

    def members(inputs: tuple[Hyperparams, GANState, Array, Array], stop: Array, data: Examples) -> Any:
        if mapping == "vmap":
            return jax.vmap(member, (0, None, None))(inputs, stop, data)
        return lax.map(lambda one: member(one, stop, data), inputs)

    inputs = (hyperparams, states, alive, rngs)
    counts = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(inputs)}
    if len(counts) != 1 or () in counts:
        raise ValueError(f"a population of M members has leaves [M, ...], got leading axes {sorted(counts)}")
    if mapping not in ("map", "vmap"):
        raise ValueError(f"members are mapped by map or vmap, got {mapping!r}")
    if mesh is not None and AXIS not in mesh.axis_names:
        raise ValueError(f"the mesh must have an axis {AXIS!r}, which divides the members, got {mesh.axis_names}")

    return _spread(members, mesh, inputs, jnp.asarray(stop, jnp.int32), data)


def _spread(members: Callable[..., Any], mesh: Mesh | None, inputs: Any, *shared: Any) -> Any:
    """`members(inputs, *shared)`, on a mesh each device's own; leaves `[M, ...]` of `inputs` and of the result.

    Left to the compiler, every device would compute all members, and in jaxlib 0.12 a member's last bits would depend
    on how many there are.
    """
    if mesh is None:
        return members(inputs, *shared)
    each = P(AXIS)
    spread = jax.shard_map(
        members,
        mesh=auto_axes(mesh),
        in_specs=(each, *(P() for _ in shared)),
        out_specs=each,
        axis_names={AXIS},
        check_vma=False,  # Members exchange nothing, so there is no replication to check.
    )
    count, devices = len(jax.tree.leaves(inputs)[0]), mesh.shape[AXIS]
    if count % devices == 0:
        return spread(inputs, *shared)
    padded = jnp.minimum(jnp.arange(math.ceil(count / devices) * devices), count - 1)
    inputs = jax.tree.map(lambda leaf: leaf[padded], inputs)
    return jax.tree.map(lambda leaf: leaf[:count], spread(inputs, *shared))


class _Search(NamedTuple):
    """How far a member has come: it tries to reach step `goal` next; `metrics` are those of the first try."""

    state: GANState
    metrics: Metrics
    goal: Array
    tries: Array
    diverged: Array


def _member(
    gan: GAN,
    state: GANState,
    alive: Array,
    data: Examples,
    rng: Array,
    stop: Array,
    batch_size: int,
    capacity: int,
    norms_every: int,
) -> tuple[GANState, Metrics, Array]:
    """Takes all steps in one go; if that ends in non-finite numbers, again one by one up to the last finite state."""
    end = jnp.where(alive, jnp.minimum(stop, state.step + capacity), state.step)

    @functools.partial(jax.jit, inline=True)  # So that it is traced once; nothing of it is left in the program.
    def advance(state: GANState, goal: Step) -> tuple[GANState, Metrics]:
        return training.train_until(
            gan, state, data, rng, goal, batch_size=batch_size, capacity=capacity, norms_every=norms_every
        )

    def attempt(search: _Search) -> _Search:
        state = search.state
        tried, metrics = advance(state, search.goal)
        good = jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((tried, metrics))]))
        first = search.tries == 0
        return _Search(
            jax.tree.map(lambda new, old: jnp.where(good, new, old), tried, state),
            jax.tree.map(lambda new, old: jnp.where(first, new, old), metrics, search.metrics),
            jnp.where(good, tried.step, state.step) + 1,
            search.tries + 1,
            ~good & (search.goal == state.step + 1),
        )

    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(advance, state, end)[1])
    start = _Search(state, nothing, end, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    found = lax.while_loop(lambda search: (search.state.step < end) & ~search.diverged, attempt, start)
    return found.state, found.metrics, found.state.step == end


def suitable_mapping(gan: GAN, examples: Examples, platform: str) -> Mapping:
    """The faster mapping for members like `gan` on a platform ("cpu", "gpu", "tpu"): see `train_until`."""
    if platform == "cpu":
        return "map"
    state = jax.eval_shape(lambda: training.initial_state(gan, jax.random.key(0), examples))
    step = jax.make_jaxpr(lambda state: training.train(gan, state, examples, jax.random.key(0), steps=1, batch_size=2))(
        state
    )
    return "map" if "conv_general_dilated" in str(step) else "vmap"

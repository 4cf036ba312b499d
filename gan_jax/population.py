"""Many GANs trained as one program: a population of seeds and hyperparameters, over any number of devices.

A member's GAN is built inside the mapped function from the member's own numbers, so learning rates, betas, clips,
penalty weights and EMA decays differ per member in one compilation:

    def make(numbers):
        return recipes.wgan((28, 28, 1), lr=numbers["lr"], clip=numbers["clip"])

    states = initial_states(make, numbers, init_rngs, data)                       # leaves [M, ...]
    run = jax.jit(train, static_argnums=(0, 6, 7), donate_argnums=2)
    states, metrics, finite = run(make, numbers, states, alive, data, rngs, 100, 64)

Values that change shapes or code (widths, batch size, n_critic) need a population, and a program, for each.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Key

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


def train(
    make: Make,
    numbers: Numbers,
    states: GANState,
    alive: Bool[Array, " members"],
    data: Examples,
    rngs: Keys,
    steps: int,
    batch_size: int,
    *,
    mapping: Mapping = "map",
    mesh: Mesh | None = None,
) -> tuple[GANState, Metrics, Bool[Array, " members"]]:
    """`training.train` of every living member, each on its own numbers, state and key.

    A member whose metrics or state stop being finite, and one that is not alive, ends in the state that it began with.
    All other members are what they would have been: nothing is shared between members but the data.

    With `map` a member's arithmetic is that of `training.train` alone, bit for bit on CPUs; `vmap` batches matrix
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
      steps: generator updates; static.
      batch_size: examples per minibatch; static.
      mapping: one member after the other (`map`) or all at once (`vmap`), on each device.
      mesh: its axis "population" divides the members; the last is repeated where M does not divide evenly. Other axes
        are left to the compiler: see `gan_jax.sharding.data_parallel`. None for one device.

    Returns:
      States, metrics with leaves `[M, steps]`, and `finite` `[M]`: whether all the member's numbers were.
    """

    def member(inputs: tuple[Numbers, GANState, Array, Array], data: Examples) -> Any:
        numbers, state, alive, rng = inputs
        new, metrics = training.train(make(numbers), state, data, rng, steps, batch_size)
        finite = jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((new, metrics))]))
        return jax.tree.map(lambda new, old: jnp.where(finite & alive, new, old), new, state), metrics, finite

    def members(inputs: tuple[Numbers, GANState, Array, Array], data: Examples) -> Any:
        if mapping == "vmap":
            return jax.vmap(member, (0, None))(inputs, data)
        return lax.map(lambda one: member(one, data), inputs)

    inputs = (numbers, states, alive, rngs)

    if mesh is None:
        return members(inputs, data)
    each = P(AXIS)
    spread = jax.shard_map(
        members,
        mesh=mesh,
        in_specs=(each, P()),
        out_specs=each,
        axis_names={AXIS},
        check_vma=False,  # Members never meet, so there is nothing whose replication it could check.
    )
    count, devices = alive.shape[0], mesh.shape[AXIS]
    if count % devices == 0:
        return spread(inputs, data)
    padded = jnp.minimum(jnp.arange(math.ceil(count / devices) * devices), count - 1)
    inputs = jax.tree.map(lambda leaf: leaf[padded], inputs)
    return jax.tree.map(lambda leaf: leaf[:count], spread(inputs, data))


def suitable_mapping(gan: GAN, examples: Examples, platform: str) -> Mapping:
    """How members of this kind are best mapped on a platform ("cpu", "gpu", "tpu"): see `train`."""
    if platform == "cpu":
        return "map"
    state = jax.eval_shape(lambda: training.initial_state(gan, jax.random.key(0), examples))
    step = jax.make_jaxpr(lambda state: training.train(gan, state, examples, jax.random.key(0), 1, 2))(state)
    return "map" if "conv_general_dilated" in str(step) else "vmap"

"""Seeds as a population: one a core, trained stage by stage under each stage's numbers."""

import functools
from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gan_jax import population, training
from gan_jax.gan import GANState, Metrics
from gan_jax.population import Make
from gan_jax.training import Examples

Stage = Mapping[str, float]


def at_once() -> int:
    """Members that train side by side: one for each device."""
    return len(jax.devices())


def train(
    make: Make, stages: Sequence[Stage], steps: int, batch_size: int, examples: Examples, seeds: Sequence[int]
) -> Iterator[tuple[GANState, Metrics]]:
    """After each stage of `steps` train steps the members' states, leaves `[M, ...]`, and its metrics `[M, steps]`.

    Args:
      make: numbers to a GAN, see `gan_jax.population`; it may scale whatever it likes by the stage's numbers.
      stages: numbers, the same names in every stage, so that all of them are one program.
      steps, batch_size, examples: as in `training.train`.
      seeds: of the members.

    Raises:
      FloatingPointError: a member's numbers are no longer finite.
    """
    mesh = Mesh(np.array(jax.devices()[: len(seeds)]), (population.AXIS,))
    run = jax.jit(
        functools.partial(population.train_until, mesh=mesh),
        static_argnums=(0, 7, 8),
        donate_argnums=2,
        compiler_options=training.compiler_options(),
    )
    rngs = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed)))(jnp.asarray(seeds))
    of = [{name: jnp.full(len(seeds), value, jnp.float32) for name, value in stage.items()} for stage in stages]
    states = jax.jit(population.initial_states, static_argnums=0)(make, of[0], rngs[:, 0], examples)
    alive = jnp.ones(len(seeds), bool)
    for k, numbers in enumerate(of):
        stop = (k + 1) * steps
        states, metrics, finite = run(make, numbers, states, alive, examples, rngs[:, 1], stop, batch_size, steps)
        if not finite.all():
            raise FloatingPointError(f"of the seeds {list(seeds)} these stayed finite: {np.asarray(finite).tolist()}")
        yield states, metrics


def member(states: GANState, k: int) -> GANState:
    """The state of member k."""
    return jax.tree.map(lambda leaf: leaf[k], states)

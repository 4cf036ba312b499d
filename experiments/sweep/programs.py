"""One compiled program for each population of a sweep: on all devices, as many members at a time as memory holds."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array

from experiments import chunks, rundir
from experiments.rundir import Run
from experiments.sweep.plan import Member, Plan
from gan_jax import population, training
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState, Metrics
from gan_jax.training import Examples

# Part of a device's memory (or of the host's, on CPUs) that a sweep may plan for.
_USABLE = 0.8


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """How one group of members is trained, `slots` of them at a time.

    Attributes:
      make: one member's numbers to its GAN.
      numbers: the options that differ between members, as traced numbers.
      slots: members in a dispatch, a multiple of the devices.
      capacity: generator updates in a dispatch at most.
      batch_size: examples per minibatch.
      example: data of one example, whose shapes count.
      mapping: see `gan_jax.population.train_until`.
      bytes_per_device: what the compiled program needs, by XLA's account.
      compiled: `gan_jax.population.train_until` of all that is not static.
    """

    make: population.Make
    numbers: Sequence[str]
    slots: int
    capacity: int
    batch_size: int
    example: Examples
    mapping: population.Mapping
    bytes_per_device: int
    compiled: Callable[..., Any]

    def advance(
        self, numbers: Any, states: GANState, alive: Array, data: Examples, rngs: Array, stop: int
    ) -> tuple[GANState, Metrics, Array]:
        """Every living member up to the step `stop`; `states` are donated."""
        return self.compiled(numbers, states, alive, data, rngs, everywhere(np.int32(stop)))

    def fresh_states(self, plan: Plan, members: Sequence[Member]) -> GANState:
        """The members' states before their first step, on their devices."""
        values, init_rngs, _ = inputs(plan, members, self.numbers)
        start = jax.jit(population.initial_states, static_argnums=0, out_shardings=each())
        return start(self.make, values, init_rngs, self.example)

    def shapes(self, count: int) -> GANState:
        """Shapes of the states of so many members."""
        return _shapes(self.make, self.numbers, count, self.example)[2]


def mesh() -> Mesh:
    """All devices, of all processes, as one axis of members."""
    return Mesh(np.array(jax.devices()), (population.AXIS,))


def each() -> NamedSharding:
    """A member's part on a device."""
    return NamedSharding(mesh(), P(population.AXIS))


def everywhere(tree: Any) -> Any:
    """Host arrays, the same in every process, whole on every device."""
    return _put(tree, NamedSharding(mesh(), P()))


def spread(tree: Any) -> Any:
    """Host arrays with leaves `[slots, ...]`, the same in every process, divided between the devices."""
    return _put(tree, each())


def _put(tree: Any, sharding: NamedSharding) -> Any:
    return jax.tree.map(lambda x: jax.make_array_from_callback(x.shape, sharding, x.__getitem__), tree)


def fetch(tree: Any) -> Any:
    """Arrays of any devices, of any process, as NumPy arrays in every process."""
    return multihost_utils.process_allgather(tree, tiled=True) if jax.process_count() > 1 else jax.device_get(tree)


def largest(*values: float) -> list[float]:
    """Of each value the largest in any process: what all go by must be one number, or the next program never ends."""
    if jax.process_count() == 1:
        return list(values)
    return multihost_utils.process_allgather(np.asarray(values, np.float32)).max(axis=0).tolist()


def inputs(plan: Plan, members: Sequence[Member], numbers: Sequence[str]) -> tuple[dict[str, Array], Array, Array]:
    """(numbers, keys of initialisation, keys of training), leaves `[slots]`: of each member what it has alone."""
    values = {name: np.asarray([member.values[name] for member in members], np.float32) for name in numbers}
    keys = [rundir.run_keys(plan.config(member)) for member in members]
    init_rngs, rngs = (
        jax.random.wrap_key_data(spread(np.stack([jax.random.key_data(key[k]) for key in keys]))) for k in (0, 1)
    )
    return spread(values), init_rngs, rngs


def compile_program(
    plan: Plan,
    members: Sequence[Member],
    numbers: Sequence[str],
    dataset: Dataset,
    resident: Examples,
    *,
    mapping: population.Mapping | None,
    memory: float,
) -> Program:
    """Compiles the program of a group; where it does not fit, for fewer members at a time.

    Args:
      plan: the sweep.
      members: the group's members.
      numbers: the options that differ between them, as traced numbers.
      dataset: the data, and the same on the devices as `resident`.
      mapping: None for the one that suits platform and net.
      memory: bytes per device that the program may need.

    Raises:
      InputError: not even one member a device fits.
    """
    first = plan.config(members[0])
    capacity, batch_size = min(first.run["log_every"], chunks.CAPACITY), first.run["batch_size"]

    def make(values: population.Numbers) -> GAN:
        config = dataclasses.replace(first, recipe={**first.recipe, **values})
        return Run(Path(), config, dataset.shape, dataset.num_classes).gan()

    example = rundir.example(dataset.shape, dataset.num_classes)
    gan = make({name: members[0].values[name] for name in numbers})
    chosen = mapping or population.suitable_mapping(gan, example, jax.default_backend())
    devices = mesh().size
    slots = -(-len(members) // devices) * devices
    train = jax.jit(
        functools.partial(population.train_until, mapping=chosen, mesh=mesh()),
        static_argnums=(0, 7, 8),
        donate_argnums=2,
        compiler_options=training.compiler_options(),
    )
    while True:
        values, rngs, states = (_placed(tree) for tree in _shapes(make, numbers, slots, example))
        alive = _placed(jax.ShapeDtypeStruct((slots,), jnp.bool))
        stop = jax.ShapeDtypeStruct((), jnp.int32, sharding=NamedSharding(mesh(), P()))
        compiled = train.lower(make, values, states, alive, resident, rngs, stop, batch_size, capacity).compile()
        needed = _bytes(compiled)
        if needed <= memory:
            return Program(make, numbers, slots, capacity, batch_size, example, chosen, needed, compiled)
        shared = sum(leaf.nbytes for leaf in jax.tree.leaves(resident))
        per_slot = (needed - shared) * devices / slots
        fewer = int((memory - shared) / per_slot) * devices if per_slot else 0
        if slots == devices or fewer < 1:
            raise InputError(
                f"one member a device needs {needed / 2**30:.3g} GiB and {memory / 2**30:.3g} GiB may be used: "
                "choose smaller networks or batches, or more --memory"
            )
        slots = max(devices, min(fewer, slots - 1) // devices * devices)


def _shapes(make: population.Make, numbers: Sequence[str], slots: int, example: Examples) -> tuple[Any, Any, GANState]:
    """Shapes of the numbers, keys and states of so many members."""
    values = {name: jax.ShapeDtypeStruct((slots,), jnp.float32) for name in numbers}
    rngs = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), slots))
    return values, rngs, jax.eval_shape(functools.partial(population.initial_states, make), values, rngs, example)


def _placed(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=each()), tree)


def _bytes(compiled: Any) -> int:
    sizes = compiled.memory_analysis()
    return int(
        sizes.argument_size_in_bytes + sizes.output_size_in_bytes + sizes.temp_size_in_bytes - sizes.alias_size_in_bytes
    )


def usable_memory() -> float:
    """Bytes that a device may use; CPU devices share what the host has free."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return _USABLE * stats["bytes_limit"]
    return _USABLE * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / jax.local_device_count()

"""One compiled program for each group of a sweep's members: on all devices, as many at a time as memory holds."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array

from gan_jax import population
from gan_jax.compiling import jit_training
from gan_jax.data import Dataset
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import devices
from gan_jax.lab.job import Job
from gan_jax.lab.runs import chunks
from gan_jax.lab.sweep.plan import Member, Plan, groups
from gan_jax.population import Hyperparams
from gan_jax.training import Examples
from gan_jax.typing import Metrics


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """How one group of members is trained, `slots` of them at a time.

    Attributes:
      job: that of a member; the others' differ in `Job.numbers` and in seeds.
      names: the options whose numbers differ between members.
      slots: members in a dispatch, a multiple of the devices.
      capacity: generator updates in a dispatch at most.
      mapping: see `gan_jax.population.train_until`.
      bytes_per_device: what the compiled program needs, by XLA's account.
      compiled: by the first step that it is for, `gan_jax.population.train_until` of all that is not static: one
        program, or two where a warm-up comes first.
    """

    job: Job
    names: Sequence[str]
    slots: int
    capacity: int
    mapping: population.Mapping
    bytes_per_device: int
    compiled: Mapping[int, Callable[..., Any]]

    @functools.cached_property
    def gan(self) -> GAN:
        """The GAN of any member, to generate with: its numbers only matter where it trains."""
        return self.job.gan()

    def advance(
        self,
        hyperparams: Hyperparams,
        states: GANState,
        data: Examples,
        *,
        alive: Array,
        rngs: Array,
        start: int,
        stop: int,
    ) -> tuple[GANState, Metrics, Array]:
        """Every living member from step `start` to `stop`, on one side of a warm-up's end; `states` are donated."""
        train = chunks.phase(self.compiled, start)
        until = devices.put(np.int32(stop), devices.replicated())
        return train(hyperparams, states, data, alive=alive, rngs=rngs, stop=until)

    def inputs(self, plan: Plan, members: Sequence[Member]) -> tuple[Hyperparams, Array, Array]:
        """(`Job.numbers`, keys of initialisation, keys of training), leaves `[members]`: each member's own."""
        jobs = [dataclasses.replace(self.job, config=plan.config(member)) for member in members]

        def placed(*own: Any) -> Array:
            return devices.put(np.stack(own), devices.member_sharding())

        def keys(own: Sequence[Array]) -> Array:
            return jax.random.wrap_key_data(placed(*map(jax.random.key_data, own)))

        own = [job.keys for job in jobs]
        hyperparams = jax.tree.map(placed, *(job.numbers for job in jobs))
        return hyperparams, keys([key.init for key in own]), keys([key.train for key in own])

    def fresh_states(self, hyperparams: Hyperparams, rngs: Array) -> GANState:
        """Members' states before their first step, on their devices, of their `inputs`."""
        start = jax.jit(
            population.initial_states,
            static_argnums=0,
            static_argnames="mesh",
            out_shardings=devices.member_sharding(),
        )
        return start(self.job.maker(), hyperparams, rngs, self.job.example, mesh=devices.population_mesh())

    def abstract_states(self, count: int) -> GANState:
        """Shapes of the states of so many members."""
        return _shapes(self.job, count)[2]


def compile_program(
    plan: Plan,
    members: Sequence[Member],
    names: Sequence[str],
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
      names: the options whose numbers differ between them.
      dataset: the data, and the same on the devices as `resident`.
      mapping: None for the one that suits platform and net.
      memory: bytes per device that the program may need.

    Raises:
      InputError: not even one member per device fits, or options can't be combined.
    """
    job = Job.on(plan.config(members[0]), dataset)
    capacity = min(job.options["log_every"], chunks.CAPACITY)
    mapping = mapping or population.suitable_mapping(job.gan(), job.example, jax.default_backend())
    train, mesh = jit_training(population.train_until, donate=["states"]), devices.population_mesh()
    static: dict[str, Any] = {"batch_size": job.options["batch_size"], "capacity": capacity}
    static |= {"norms_every": chunks.NORMS_EVERY, "mapping": mapping, "mesh": mesh}
    slots = -(-len(members) // mesh.size) * mesh.size
    while True:
        numbers, rngs, states = (_placed(tree) for tree in _shapes(job, slots))
        alive = _placed(jax.ShapeDtypeStruct((slots,), jnp.bool))
        stop = jax.ShapeDtypeStruct((), jnp.int32, sharding=devices.replicated())
        inputs = {"alive": alive, "rngs": rngs, "stop": stop}
        compiled = {
            step: train.lower(make_gan, numbers, states, resident, **inputs, **static).compile()
            for step, make_gan in chunks.makers(job).items()
        }
        needed = max(map(_bytes, compiled.values()))
        if needed <= memory:
            return Program(job, names, slots, capacity, mapping, needed, compiled)
        shared = sum(leaf.nbytes for leaf in jax.tree.leaves(resident))
        per_slot = (needed - shared) * mesh.size / slots
        fewer = int((memory - shared) / per_slot) * mesh.size if per_slot else 0
        if slots == mesh.size or fewer < 1:
            raise InputError(
                f"one member per device needs {needed / 2**30:.3g} GiB and {memory / 2**30:.3g} GiB may be used: "
                "choose smaller networks or batches, or a larger --memory"
            )
        slots = max(mesh.size, min(fewer, slots - 1) // mesh.size * mesh.size)


def largest(plan: Plan, dataset: Dataset) -> tuple[Job, int]:
    """The largest member, and the bytes of its state; nothing is compiled for it."""
    jobs = [Job.on(plan.config(group[0]), dataset) for group, _ in groups(plan, plan.members)]
    sizes = [sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(_shapes(job, 1)[2])) for job in jobs]
    return max(zip(jobs, sizes, strict=True), key=lambda found: found[1])


def _shapes(job: Job, count: int) -> tuple[Hyperparams, Any, GANState]:
    """Shapes of the numbers, keys and states of so many members."""
    numbers = jax.tree.map(lambda _: jax.ShapeDtypeStruct((count,), jnp.float32), job.numbers)
    rngs = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), count))
    start = jax.jit(population.initial_states, static_argnums=0)
    states = start.eval_shape(job.maker(), numbers, rngs, job.example)
    return numbers, rngs, states


def _placed(tree: Any) -> Any:
    sharding: NamedSharding = devices.member_sharding()
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)


def _bytes(compiled: Any) -> int:
    sizes = compiled.memory_analysis()
    return int(
        sizes.argument_size_in_bytes + sizes.output_size_in_bytes + sizes.temp_size_in_bytes - sizes.alias_size_in_bytes
    )

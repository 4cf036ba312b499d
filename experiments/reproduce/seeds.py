"""Seeds of one configuration as a population: each trains as a run with its options and seed.

A CPU has one device per core, and a member on each. An accelerator's members are mapped as suits their networks.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gan_jax import population
from gan_jax.compiling import jit_training
from gan_jax.data import Dataset
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS, Config, Job
from gan_jax.lab.experiment import config, without_added
from gan_jax.lab.options import OBJECTIVE_OPTIONS
from gan_jax.lab.runs import chunks
from gan_jax.training import Examples
from gan_jax.typing import Metrics

SHALLOW: Mapping[str, Any] = {
    "batch_size": 128, "lr": 2e-4, "depth": 1, "batch_norm": False, "d_depth": None, "d_activation": "relu",
    "dropout": 0.0,
}  # fmt: skip
"""Options of `gan` and `cgan` with one hidden layer in each net, as the sources have them, and a constant rate."""


_PER_ACCELERATOR = 10


def at_once() -> int:
    """How many seeds one program trains here."""
    return jax.device_count() * (1 if jax.default_backend() == "cpu" else _PER_ACCELERATOR)


def configured(name: str, **options: Any) -> Config:
    """The built-in experiment's configuration with some options changed, spelled as on the command line."""
    experiment = EXPERIMENTS[name]
    return config(EXPERIMENTS, name, {key: experiment.read(key, value) for key, value in options.items()})


def job_of(chosen: Config, dataset: Dataset) -> Job:
    """A configuration on some data."""
    return Job.on(chosen, dataset)


def settings(chosen: Config) -> dict[str, Any]:
    """The settings of a configuration that decide its results, for the record of a table."""
    names = ("steps", "batch_size", *chosen.experiment.recipe_options, *OBJECTIVE_OPTIONS)
    return {"experiment": chosen.name, **without_added({name: chosen.record[name] for name in names})}


def train(
    job: Job, examples: Examples, seeds: Sequence[int], *, every: int | None = None
) -> Iterator[tuple[GANState, Metrics]]:
    """Trains the seeds, and yields their states and metrics after every `every` steps.

    Args:
      job: what is trained.
      examples: the data, on the device.
      seeds: the members' seeds.
      every: steps between results; None for one result, at the end.

    Yields:
      States with leaves `[seeds, ...]`, and metrics since the last result, leaves `[seeds, every]`.

    Raises:
      FloatingPointError: the training of a seed became non-finite.
    """
    for states, metrics, finite in train_finite(job, examples, seeds, every=every):
        if not finite.all():
            raise FloatingPointError(f"training of seeds {list(seeds)} became non-finite (finite: {finite.tolist()})")
        yield states, metrics


def train_finite(
    job: Job, examples: Examples, seeds: Sequence[int], *, every: int | None = None
) -> Iterator[tuple[GANState, Metrics, np.ndarray]]:
    """As `train`, but a seed that becomes non-finite stays in its last finite state.

    Yields:
      States and metrics as `train`, and `finite` `[seeds]`, which have been finite so far.
    """
    steps = job.options["steps"]
    every = every or steps
    jobs = [dataclasses.replace(job, config=job.config.replace(seed=seed)) for seed in seeds]
    init_rngs, rngs = (jnp.stack([own.keys[k] for own in jobs]) for k in (0, 1))
    numbers = jax.tree.map(lambda *own: jnp.stack(own), *(own.numbers for own in jobs))
    mesh = Mesh(np.array(jax.devices()[: len(seeds)]), (population.AXIS,))
    run = jit_training(population.train_until, donate=["states"])
    states = jax.jit(population.initial_states, static_argnums=0, static_argnames="mesh")(
        job.gan, numbers, init_rngs, examples, mesh=mesh
    )
    mapping = population.suitable_mapping(job.gan(), job.example, jax.default_backend())
    fixed = {"rngs": rngs, "mesh": mesh, "batch_size": job.options["batch_size"], "capacity": every, "mapping": mapping}
    fixed["norms_every"] = chunks.NORMS_EVERY  # As in runs: what is taken may change the last bits.
    phases = chunks.makers(job)
    start, finite, since = 0, np.ones(len(seeds), bool), []
    for stop in sorted({*range(every, steps + 1, every), *(first for first in phases if 0 < first < steps)}):
        states, metrics, reached = run(
            chunks.phase(phases, start), numbers, states, examples, alive=jnp.asarray(finite), stop=stop, **fixed
        )
        finite &= np.asarray(reached)
        since.append(jax.tree.map(lambda leaf: leaf[:, : stop - start], metrics))  # noqa: B023
        start = stop
        if stop % every == 0:
            yield states, jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), *since), finite.copy()
            since = []


def member(states: GANState, k: int) -> GANState:
    """The state of member k."""
    return jax.tree.map(lambda leaf: leaf[k], states)

"""Runs that look as if they had been trained, made without training."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import data
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS
from gan_jax.lab.experiment import Experiment, config
from gan_jax.lab.job import Job
from gan_jax.lab.runs import directory, journal, logs
from gan_jax.lab.runs.directory import RunDir


def made(path: Path, name: str, spec: str, table: Any = EXPERIMENTS, **options: Any) -> RunDir:
    """A run of two steps whose state no two arrays of which are alike, and whose average is not its generator."""
    experiment: Experiment = table[name]
    typed = {option: experiment.read(option, value) for option, value in options.items()}
    chosen = config(table, name, {"data": spec, "steps": 2, "batch_size": 4, "width": 8, **typed})
    dataset = data.load(spec)
    directory.create(chosen, dataset, path, overwrite=False)
    run = directory.of(path, chosen, dataset)
    with journal.keeping(path, run.job, dataset, f"run {name}", 0, 2) as kept:
        run.save(_some_state(run.job), logs.Window()._asdict())  # type: ignore[attr-defined]
        kept.note(2, 1.0, {"sliced_wasserstein": 0.5, "d_loss": 0.7})
        kept.status = "finished"
    return run


def _some_state(job: Job) -> GANState:
    """A state after two steps, of random numbers around 0, or around 1 for what scales: a program that draws the
    first state as the GAN does would take longer to compile than a test to run."""
    rng = np.random.default_rng(0)

    def leaf(path: Any, own: jax.ShapeDtypeStruct) -> jax.Array:
        if not jnp.issubdtype(own.dtype, jnp.floating):
            return jnp.asarray(np.full(own.shape, 2, own.dtype))
        around = 1 if jax.tree_util.keystr(path).endswith(("['var']", "['scale']")) else 0
        return jnp.asarray(rng.normal(around, 0.1, own.shape).astype(own.dtype))

    return jax.tree_util.tree_map_with_path(leaf, job.abstract_state())


def jittered(state: GANState) -> GANState:
    """The state with noise on every number; variances stay positive."""
    rng = np.random.default_rng(0)

    def leaf(path: Any, own: jax.Array) -> jax.Array:
        if not jnp.issubdtype(own.dtype, jnp.floating):
            return own
        moved = own + rng.normal(0, 0.1, own.shape).astype(own.dtype)
        return jnp.abs(moved) if jax.tree_util.keystr(path).endswith("['var']") else moved

    return jax.tree_util.tree_map_with_path(leaf, state)

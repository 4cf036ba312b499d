"""An accelerator: train steps in float32 and bfloat16 beside its own matrix product, and a population on one device."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark import timing
from gan_jax import data, population, training
from gan_jax.compiling import jit_training
from gan_jax.gan import GAN
from gan_jax.lab import EXPERIMENTS, Job, costs
from gan_jax.lab.experiment import config
from gan_jax.training import Examples

COMMANDS: Mapping[str, tuple[str, str, bool]] = {
    "wgan": ("wgan", "mnist", False),
    "cdcgan --preset paper": ("cdcgan", "mnist", True),
    "dcgan --data shapes:64": ("dcgan", "shapes:64", False),
    "dcgan --data shapes:64 --preset paper": ("dcgan", "shapes:64", True),
    "r3gan --data shapes:32": ("r3gan", "shapes:32", False),
}
"""What is typed after `run`: an experiment, its data, whether it has the paper's settings."""

DTYPES = ("float32", "bfloat16")
"""Compute types. On GPUs XLA multiplies float32 in TF32 unless JAX_DEFAULT_MATMUL_PRECISION says otherwise."""

MEMBERS = 256
_EXAMPLES = 4096
_SIDE = 8192
_CAPACITY = 1 << 16


def measure(*, turns: int, seconds: float, members: int = MEMBERS) -> dict[str, Any]:
    """Steps/s and share of peak of `COMMANDS` in each of `DTYPES`, and total steps/s of `members` default `wgan`."""
    peaks = {dtype: peak(dtype, turns) for dtype in DTYPES}
    commands = [step(command, dtype, peaks[dtype], turns, seconds) for command in COMMANDS for dtype in DTYPES]
    return {"peak_flop_per_s": peaks, "steps": commands, "population": together(members, turns, seconds)}


def peak(dtype: str, turns: int) -> float:
    """FLOP/s of a large matrix product of a dtype: the median of some."""
    a = jax.random.normal(jax.random.key(0), (_SIDE, _SIDE), dtype) / math.sqrt(_SIDE)
    product = jax.jit(lambda a, b: a @ b)

    def run() -> float:
        started, b = time.perf_counter(), a
        for _ in range(10):
            b = product(a, b)
        jax.block_until_ready(b)
        return 10 * 2 * _SIDE**3 / (time.perf_counter() - started)

    return timing.rate(timing.take_turns({dtype: run}, turns)[dtype]).median


def step(command: str, dtype: str, peak: float, turns: int, seconds: float) -> dict[str, Any]:
    """One command's record: steps/s of its train steps on one device, and its FLOPs against the matrix product's."""
    job, examples = _job(command, dtype)
    gan, batch_size = job.gan(), job.options["batch_size"]
    state = jax.jit(lambda rng: training.initial_state(gan, rng, examples))(jax.random.key(0))
    train = jit_training(training.train_until)

    def run(steps: int) -> float:
        started = time.perf_counter()
        kept = train(
            gan, state, examples, jax.random.key(1), jnp.int32(steps), batch_size=batch_size, capacity=_CAPACITY
        )
        jax.block_until_ready(kept)
        return steps / (time.perf_counter() - started)

    started = time.perf_counter()
    run(1)
    compile_s = time.perf_counter() - started
    steps = _pace(run, seconds)
    rate = timing.rate(timing.take_turns({command: lambda: run(steps)}, turns)[command])
    flops = costs.step_flops(gan, job)
    return {
        "command": command,
        "dtype": dtype,
        "batch_size": batch_size,
        "gflop_per_step": flops / 1e9,
        "steps_per_s": rate._asdict(),
        "images_per_s": rate.median * batch_size * gan.n_critic,
        "share_of_peak": rate.median * flops / peak,
        "compile_s": compile_s,
    }


def together(members: int, turns: int, seconds: float) -> dict[str, Any]:
    """Total steps/s of so many default `wgan` of different learning rates on one device, under map and under vmap."""
    job, examples = _job("wgan", "float32")
    batch_size = job.options["batch_size"]
    options = {name: job.options[name] for name in job.config.experiment.recipe_options} | {"lr": None}

    def make_gan(numbers: population.Hyperparams) -> GAN:
        return EXPERIMENTS["wgan"].recipe(job.shape, job.num_classes, **{**options, **numbers})

    numbers = {"lr": jnp.geomspace(1e-4, 1e-3, members)}
    rngs = jax.random.split(jax.random.key(0), members)
    states = jax.jit(population.initial_states, static_argnums=0)(make_gan, numbers, rngs, examples)
    train = jit_training(population.train_until)

    def rates(mapping: population.Mapping) -> dict[str, float]:
        def run(steps: int) -> float:
            started = time.perf_counter()
            kept = train(
                make_gan, numbers, states, examples, alive=jnp.ones(members, bool), rngs=rngs, stop=jnp.int32(steps),
                batch_size=batch_size, capacity=_CAPACITY // members, mapping=mapping,
            )  # fmt: skip
            jax.block_until_ready(kept)
            return members * steps / (time.perf_counter() - started)

        run(1)
        steps = _pace(lambda steps: run(steps) / members, seconds, _CAPACITY // members)
        return timing.rate(timing.take_turns({mapping: lambda: run(steps)}, turns)[mapping])._asdict()

    return {"members": members, "total_steps_per_s": {mapping: rates(mapping) for mapping in ("map", "vmap")}}


def _job(command: str, dtype: str) -> tuple[Job, Examples]:
    name, spec, paper = COMMANDS[command]
    typed = {"data": spec, "dtype": EXPERIMENTS[name].read("dtype", dtype)}
    dataset = data.load(spec)
    job = Job(config(EXPERIMENTS, name, typed, paper=paper), dataset.shape, dataset.num_classes)
    labels = None if dataset.labels is None else jnp.asarray(dataset.labels[:_EXAMPLES])
    return job, Examples(jnp.asarray(np.asarray(dataset.x[:_EXAMPLES])), labels)


def _pace(run: Callable[[int], float], seconds: float, most: int = _CAPACITY) -> int:
    """Steps that take about so long."""
    steps, rate = 1, run(1)
    while steps < most and steps < rate * seconds:
        steps = min(most, 4 * steps, max(steps + 1, math.ceil(rate * seconds)))
        rate = run(steps)
    return max(1, min(most, round(rate * seconds)))

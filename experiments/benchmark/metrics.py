"""What the metrics of a run cost: its steps with all of them against the same steps with losses and scores alone."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from experiments.benchmark import timing
from gan_jax import data, training
from gan_jax.compiling import jit_training
from gan_jax.gan import GANState
from gan_jax.lab import EXPERIMENTS, experiment
from gan_jax.lab.job import Job
from gan_jax.lab.runs import chunks
from gan_jax.typing import Metrics

NAME = "wgan"
_DIAGNOSED = ("saturated", "d_grad", "g_grad")
_PAIRS = 50


def measure(*, turns: int) -> dict[str, Any]:
    """Processor time of short stretches of an experiment's defaults on MNIST, one of each kind after the other.

    On a noisy machine that is steadier than the clock; on one core (`taskset -c 0`) no thread waits for another.

    Args:
      turns: fifty pairs of stretches each, of as many steps as lie between two norms of gradients.
    """
    loaded = data.load("mnist")
    job = Job(experiment.config(EXPERIMENTS, NAME, {}), loaded.shape, loaded.num_classes)
    examples = jax.tree.map(jnp.asarray, loaded.examples)
    state, steps = job.fresh_state(), chunks.NORMS_EVERY

    def run(state: GANState, *, diagnosed: bool) -> tuple[GANState, Metrics]:
        state, metrics = training.train(
            job.gan(),
            state,
            examples,
            job.keys.train,
            steps=steps,
            batch_size=job.options["batch_size"],
            norms_every=chunks.NORMS_EVERY,
        )
        kept = {name: values for name, values in metrics.items() if diagnosed or name not in _DIAGNOSED}
        return state, kept  # type: ignore[return-value]

    def seconds(program: Callable[..., Any]) -> float:
        started = time.process_time()
        jax.block_until_ready(program(state))
        return time.process_time() - started

    programs = {
        kind: jit_training(functools.partial(run, diagnosed=kind == "all")).lower(state).compile()
        for kind in ("all", "without")
    }
    spent = timing.take_turns(
        {kind: functools.partial(seconds, program) for kind, program in programs.items()}, _PAIRS * turns
    )
    return {
        "case": NAME,
        "steps": steps,
        "pairs": _PAIRS * turns,
        "ms_per_step": 1e3 * timing.rate(spent["without"]).median / steps,
        "ratio": timing.ratio(spent["all"], spent["without"])._asdict(),
    }

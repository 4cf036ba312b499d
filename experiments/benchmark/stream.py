"""Data that stays on the host against data on the device: the same steps, the same bits, at which speed."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmark import timing
from experiments.benchmark.timing import Contender
from gan_jax import data
from gan_jax.data import Dataset
from gan_jax.lab import EXPERIMENTS, experiment
from gan_jax.lab.job import Job
from gan_jax.lab.runs import chunks
from gan_jax.lab.runs.layout import Layout

NAMES = ("wgan", "cdcgan")


def measure(name: str, *, turns: int, seconds: float) -> dict[str, Any]:
    """Steps per second of an experiment's defaults on MNIST as `run` trains it: resident, streamed, and from a file."""
    loaded = data.load("mnist")
    with tempfile.TemporaryDirectory() as directory:
        np.save(file := Path(directory) / "images.npy", loaded.x)
        mapped = Dataset("mnist", np.load(file, mmap_mode="r"), loaded.labels, loaded.classes)
        contenders: dict[str, Contender] = {}
        advancers = []
        steps = 0
        for kind, dataset in (("resident", loaded), ("streamed", loaded), ("streamed from a file", mapped)):
            config = experiment.config(EXPERIMENTS, name, {"stream": kind != "resident"})
            job = Job.on(config, dataset)
            advance = chunks.Advancer(job, dataset, Layout())
            state = job.fresh_state()
            state = advance(state, 1)[0]
            if not steps:
                started = time.perf_counter()
                state = advance(state, 5)[0]
                steps = max(1, round(seconds * 5 / (time.perf_counter() - started)))
            contenders[kind] = _steps(advance, state, steps)
            advancers.append(advance)
        rates = timing.take_turns(contenders, turns)
        for advance in advancers:
            advance.close()
    return {
        "case": name,
        "batch_size": config.options["batch_size"],
        "steps_per_s": {kind: timing.rate(values)._asdict() for kind, values in rates.items()},
        "ratio_to_resident": {
            kind: timing.ratio(values, rates["resident"])._asdict()
            for kind, values in rates.items()
            if kind != "resident"
        },
    }


def _steps(advance: chunks.Advancer, state: Any, steps: int) -> Contender:
    """Trains on, so many steps at a turn."""

    def run() -> float:
        nonlocal state
        started = time.perf_counter()
        end = int(state.step) + steps
        while (step := int(state.step)) < end:
            state = advance(state, end - step)[0]
        return steps / (time.perf_counter() - started)

    return run

"""All experiments at their defaults, or at their papers' settings, on MNIST: how good, and how often they fail.

Samples are those that the command `evaluate` measures first (of a run with the same state): of the averaged generator
where there is one, equally many of each label, by the same key. Only results of today's defaults count: the record of
every row holds the whole configuration.
"""

import contextlib
import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.reproduce import images
from experiments.reproduce import seeds as seeding
from experiments.reproduce.table import Budget, Column, Outcome, Record, Row, Table, shown
from gan_jax.gan import GAN, GANState
from gan_jax.lab import EXPERIMENTS, Config, Job, devices, sampling
from gan_jax.lab.experiment import config
from gan_jax.lab.measuring import evaluation
from gan_jax.lab.measuring.reference import Draw, Reference
from gan_jax.lab.runs import chunks
from gan_jax.lab.runs.directory import RunDir
from gan_jax.lab.runs.layout import Layout
from gan_jax.training import Examples, as_batch

LEAST_SHARE = 0.01
"""A class with a smaller share of the samples is lost."""

_SEEDS = 10
_OTHER_SEEDS = {"wgan": 50, "r3gan": 5}
_COUNTS = (2000, 10_000)
_TIMED = ", seconds"
_TURNS = 3
_SECONDS = 5.0
_COLUMNS = {
    "frechet_few": Column("Frechet distance of 2,000", 1, "lower"),
    "frechet": Column("of 10,000", 1, "lower"),
    "coverage": Column("coverage", 3, "higher"),
    "gan_test": Column("GAN-test", 4, "higher"),
    "smallest": Column("smallest class, %", 1, "higher"),
    "seconds": Column("seconds of a run", 0),
}


def table(budget: Budget) -> Table:
    """A row of seeds for every experiment at its defaults, then one of seconds for each."""
    chosen = _chosen(budget, paper=False)
    seconds = _SECONDS if budget == "full" else 0.01
    timed = [
        Row(timed_row(name), settings(own), functools.partial(_measure_seconds, own, seconds), range(1), 1)
        for name, own in chosen.items()
    ]
    rows = [*_trained(chosen, budget), *timed]
    return Table(
        "Defaults on MNIST", f"{_NOTE}\n\n{_NOTE_SECONDS}", _COLUMNS, [], rows, body=functools.partial(body, timed=True)
    )


def papers(budget: Budget) -> Table:
    """A row of seeds for every experiment at its paper's settings and length."""
    rows = _trained(_chosen(budget, paper=True), budget)
    note = f"{_NOTE_PAPERS} {_NOTE}"
    return Table("The papers' settings on MNIST", note, _COLUMNS, [], rows, body=body)


def _chosen(budget: Budget, *, paper: bool) -> dict[str, Config]:
    chosen = {name: config(EXPERIMENTS, name, {}, paper=paper) for name in names()}
    return chosen if budget == "full" else {name: images.small(own) for name, own in chosen.items()}


def _trained(chosen: Mapping[str, Config], budget: Budget) -> list[Row]:
    counts = _COUNTS if budget == "full" else (100, 200)
    return [
        Row(
            name,
            settings(own) | {"samples": list(counts)},
            functools.partial(_measure, own, counts),
            range(_OTHER_SEEDS.get(name, _SEEDS) if budget == "full" else 2),
            seeding.at_once(),
        )
        for name, own in chosen.items()
    ]


def names() -> list[str]:
    """The experiments whose defaults are for MNIST."""
    return [name for name, experiment in EXPERIMENTS.items() if experiment.defaults["data"] == "mnist"]


def timed_row(name: str) -> str:
    """The row that holds the seconds of an experiment."""
    return name + _TIMED


def settings(chosen: Config) -> dict[str, Any]:
    """All that decides the results of a configuration but the seed, as JSON holds it."""
    run = RunDir(Path(), Job(chosen, (), 0), chosen.options["steps"])
    left_out = ("seed", "shape", "num_classes")
    return {name: value for name, value in run.identity.items() if name not in left_out}


def body(rows: Mapping[str, Record], *, timed: bool = False) -> str:
    """The table: a row for every experiment that has results; `timed`, with the seconds of a run."""
    keys = [key for key in _COLUMNS if key != "seconds"]
    head = ["", "steps", *[_COLUMNS["seconds"].heading] * timed, "seeds", "failed"]
    head += [_COLUMNS[key].heading for key in keys]
    lines = [head, ["---"] * len(head)]
    for name in dict.fromkeys(row.removesuffix(_TIMED) for row in rows):
        results, paces = (rows.get(row, {"results": []})["results"] for row in (name, timed_row(name)))
        if not results and not paces:
            continue
        steps = next(rows[row]["settings"]["steps"] for row in (name, timed_row(name)) if row in rows)
        count = [str(len(results)), str(len(failed(results)))] if results else ["", ""]
        numbers = [shown(results, key, _COLUMNS[key]) for key in keys]
        seconds = [shown(paces, "seconds", _COLUMNS["seconds"])] * timed
        lines.append([f"`{name}`", str(steps), *seconds, *count, *numbers])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def failed(results: Sequence[Mapping[str, Any]]) -> list[int]:
    """The seeds that failed.

    A seed failed if its training or its samples stopped being finite, if one of the ten classes has less than
    `LEAST_SHARE` of its samples, or if its Frechet distance is above twice the median of all seeds.
    """
    numbers = {result["seed"]: result["numbers"] for result in results}
    distances = {seed: np.inf if own["frechet"] is None else own["frechet"] for seed, own in numbers.items()}
    most = 2 * statistics.median(distances.values())
    return [
        seed
        for seed, own in numbers.items()
        if own["frechet"] is None or own["smallest"] < 100 * LEAST_SHARE or distances[seed] > most
    ]


def _measure(chosen: Config, counts: Sequence[int], seeds: Sequence[int]) -> list[Outcome]:
    """Trains the seeds, and measures the samples of each."""
    kind = seeding.job_of(chosen, images.reference(False).train).gan().conditioning.kind
    reference = images.reference(kind == "labels")
    job = seeding.job_of(chosen, reference.train)
    *_, (states, _, finite) = seeding.train_finite(job, images.examples(reference), seeds)
    few, many = (_drawer(job.gan(), reference, n) for n in counts)
    keys = ["frechet_few", "frechet", "coverage", "smallest", *(["gan_test"] if kind in ("labels", "data") else [])]
    outcomes = []
    for k in range(len(seeds)):
        numbers = dict.fromkeys(keys, math.nan)
        if finite[k]:
            state = seeding.member(states, k)
            with contextlib.suppress(sampling.NotFiniteError):
                numbers = _numbers(reference, few(state), many(state))
        outcomes.append(Outcome({key: numbers[key] for key in keys}))
    return outcomes


def _drawer(gan: GAN, reference: Reference, n: int) -> Callable[[GANState], Draw]:
    """`state -> n samples`; of a GAN whose condition is a part of an image the completions of n test images."""
    first, _ = jax.random.split(jax.random.key(0))
    if gan.conditioning.kind != "data":
        draw = evaluation.sample_drawer(gan, reference, n)
        return lambda state: draw(state, first)
    z_rng, rng = jax.random.split(first)
    generate, labels = sampling.generator_of(gan, check=True), reference.test.labels
    given = as_batch(gan, Examples(jnp.asarray(reference.test.x[:n]))).y
    assert labels is not None
    return lambda state: Draw(generate(state, gan.prior(z_rng, n), given), labels[:n], rng)


def _numbers(reference: Reference, few: Draw, many: Draw) -> dict[str, float]:
    numbers = images.numbers(reference, many, ["frechet", "prdc"])
    read = reference.logits_of(many.x).argmax(axis=-1)
    numbers["frechet_few"] = images.numbers(reference, few, ["frechet"])["frechet"]
    numbers["smallest"] = 100 * float(np.min(np.bincount(read, minlength=reference.train.num_classes))) / len(read)
    if many.labels is not None:
        numbers["gan_test"] = float(np.mean(read == many.labels))
    return numbers


def _measure_seconds(chosen: Config, least: float, seeds: Sequence[int]) -> list[Outcome]:
    """Seconds of all steps of one run, from stretches of at least so many seconds each."""
    (seed,) = seeds
    dataset = images.reference(False).train
    job = seeding.job_of(chosen.replace(seed=seed), dataset)
    advance, state, pace = chunks.Advancer(job, dataset, Layout()), job.fresh_state(), 1
    turns = []
    for _ in range(_TURNS + 1):
        started, first, seconds = time.perf_counter(), int(state.step), 0.0
        while seconds < least:
            before = time.perf_counter()
            state, _ = advance(state, pace)
            jax.block_until_ready(state)
            pace = chunks.next_pace(pace, pace, time.perf_counter() - before)
            seconds = time.perf_counter() - started
        turns.append(seconds / (int(state.step) - first))
    # The first one compiles, and finds its pace.
    per_step = statistics.median(turns[1:])
    numbers = {"seconds": job.options["steps"] * per_step, "steps_per_s": 1 / per_step, "cores": devices.cores()}
    return [Outcome(numbers)]


_NOTE = (
    "Runs on MNIST, every option at its default or, in the table of papers, as `--preset paper` sets it. Median over "
    "seeds, and in brackets the worst seed. Distances are to MNIST's test set, in the features of "
    "the project's classifier, of 2,000 and of 10,000 samples (of the averaged generator where there is one); coverage "
    "is of 10,000. GAN-test is the share of the samples that the classifier reads as the digit that was asked for, the "
    "smallest class the share of the digit that it reads least often (of the test set 8.9 %).\n\n"
    f"A seed failed if something stopped being finite, if one of the ten digits is less than {LEAST_SHARE:.0%} of its "
    "samples, or if its distance (of 10,000) is above twice the median of all seeds.\n\n"
    "`completion` paints the lower half of the test images, each once, so that half of every sample is real: its "
    "distances do not compare with others, and its GAN-test is the share that is read as the digit that the image "
    "showed.\n\n"
    "Seeds are trained as a population: on a CPU one per core, with the bits of their runs (on several cores, nets "
    "with both convolutions and BatchNorm up to the last bits); on a GPU with JAX_DEFAULT_MATMUL_PRECISION=highest, "
    "that is in float32 as on a CPU. Each result in the JSON file says its device."
)
_NOTE_SECONDS = (
    "Seconds are those of all steps of one run alone on all cores: its pace (the median of three stretches of "
    f"{_SECONDS:.0f} s, compiled and warm) times its steps. Starting, compiling, pictures and checkpoints come on top."
)
_NOTE_PAPERS = (
    "How often do methods fail at their papers' own settings? Their networks, rates and lengths, without an average of "
    "the weights where the paper has none; what a preset leaves out is said by `run NAME --help`."
)

"""Runs a sweep that has been planned: training, scores, and what it shows when it has come to its end."""

import contextlib
import dataclasses
import functools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import logs, measures, rundir, sampling
from experiments.configs import Config
from experiments.measures import Reference
from experiments.rundir import Run, write_whole
from experiments.signals import stop_signals
from experiments.sweep import programs, report, training
from experiments.sweep import store as storing
from experiments.sweep.plan import Member, Plan, shown
from experiments.sweep.programs import Program
from experiments.sweep.store import Store
from experiments.sweep.training import Result, Sweep
from gan_jax import checkpoint, data, images, population
from gan_jax.data import Dataset
from gan_jax.gan import GANState

_SCORES = ("frechet", "stacked", "sliced")


class Scoring(NamedTuple):
    """The data of a sweep, and how its members are scored on it: by the number `metric` of `samples` samples each."""

    dataset: Dataset
    reference: Reference
    measure: str
    metric: str
    lower_is_better: bool
    samples: int


def scoring(base: Config, metric: str | None, samples: int) -> Scoring:
    """The metric that was typed, or for None the one that suits the data.

    Raises:
      InputError: the metric, or none, fits.
    """
    dataset = data.load(base.run["data"])
    run = _run(base, dataset)
    reference = measures.reference(run, run.gan(), None)
    fitting = [name for name in _SCORES if name in measures.fitting(reference)]
    chosen = [metric] if metric is not None else fitting[:1]
    measures.check_fitting(run, reference, chosen)
    deciding = measures.decider(chosen[0])
    return Scoring(dataset, reference, chosen[0], deciding, deciding in measures.LOWER_IS_BETTER, samples)


def run(store: Store, *, dry_run: bool, memory: float | None, mapping: population.Mapping | None) -> int:
    """Trains from where the sweep stands, scores, reports; returns 0, 1 for a full disk, or 128 + signal.

    Raises:
      InputError: another process is at work on it, its checkpoints can't be read, or a member does not fit.
    """
    # As it was at the start, or what is free now: rounds that are gone on with must be those that were begun.
    memory = memory or store.memory or programs.usable_memory()
    plan, path = store.plan, store.path
    how = scoring(plan.base, store.metric, store.score_samples)
    again = f"python -m experiments.sweep {plan.base.experiment} --resume {path}"
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        if not dry_run and jax.process_index() == 0:
            if not (path / "sweep.json").exists():
                storing.write(dataclasses.replace(store, memory=memory))
            stack.enter_context(rundir.alone(path / "sweep.json"))
        received = stack.enter_context(stop_signals())
        try:
            result = train(plan, how, path, received, dry_run=dry_run, memory=memory, mapping=mapping)
            if dry_run:
                return 0
            if result.signal is not None:
                print(f"stopped and saved; go on with: {again}")
                return 128 + result.signal
            best = _best(plan, result, how)
            states = training.states_of(result, report.shown_members(plan.members))
            metrics = report.read_metrics(path / "metrics.jsonl", len(plan.members))
            if best is not None:
                save_as_run(plan, best, result, path / "best", metrics[best.number])
            if jax.process_index() == 0:
                _report(store, result, how, best, states, metrics, time.perf_counter() - started)
        except BrokenPipeError:
            raise
        except OSError as error:
            print(
                f"{path} can't be written any more ({error.strerror or error}); what was saved is whole: make room, "
                f"then go on with: {again}",
                file=sys.stderr,
            )
            return 1
    return 0


def _best(plan: Plan, result: Result, how: Scoring) -> Member | None:
    """The member with the best score of those that came to the end; None where none of them has any."""
    sign = 1 if how.lower_is_better else -1
    last = [o for o in result.outcomes.items() if o[1].step == plan.rungs[-1]]
    scores = {number: sign * o.score for number, o in last if o.score is not None}
    return plan.members[min(scores, key=lambda number: scores[number])] if scores else None


def train(
    plan: Plan,
    how: Scoring,
    path: Path,
    received: Sequence[int],
    *,
    dry_run: bool = False,
    memory: float | None = None,
    mapping: population.Mapping | None = None,
) -> Result:
    """Trains and scores the members of a plan, with their states and metrics in `path`."""
    # Every member's samples come from the same latents, so that scores differ by what was learned.
    rng = jax.random.key(plan.base.run["seed"])

    @functools.cache
    def drawer(program: Program) -> Any:
        gan = program.make({name: plan.members[0].values[name] for name in program.numbers})
        return measures.drawer(gan, how.reference, how.samples)

    def score(program: Program, state: GANState) -> float:
        draw = drawer(program)(jax.tree.map(jnp.asarray, state), rng)
        return measures.MEASURES[how.measure].of(how.reference, draw)[how.metric].value

    limit = programs.usable_memory() if memory is None else memory
    sweep = Sweep(plan, how.dataset, path, score, how.lower_is_better, mapping, limit)
    return training.train(sweep, received, dry_run=dry_run)


def history(plan: Plan, path: Path, member: Member) -> dict[int, dict[str, float]]:
    """A member's metrics by step, of a plan that was trained in `path`."""
    return report.read_metrics(path / "metrics.jsonl", len(plan.members))[member.number]


def _run(config: Config, dataset: Dataset) -> Run:
    return Run(Path(), config, dataset.shape, dataset.num_classes)


def _report(
    store: Store,
    result: Result,
    how: Scoring,
    best: Member | None,
    states: Sequence[GANState],
    metrics: Sequence[dict[int, dict[str, float]]],
    seconds: float,
) -> None:
    """Tables and pictures; `states` are those of `report.shown_members`."""
    plan, path, deciding = store.plan, store.path, how.metric
    sign = 1 if how.lower_is_better else -1
    means = training.mean_scores(plan.members, result.outcomes)
    order = sorted(means, key=lambda k: (means[k] is None, sign * (means[k] or 0)))
    report.write_tables(path, plan, result.outcomes, metrics, deciding)
    report.plot_curves(path / "curves.png", plan, metrics, order)
    report.plot_scores(path / "scores.png", plan, means, deciding)
    images.save_png(path / "samples.png", _samples(plan, result, how.dataset, states))
    summary = {
        "seconds": seconds,
        "compilations": result.compilations,
        "devices": jax.device_count(),
        "metric": deciding,
        "best_member": None if best is None else best.number,
        "broken": sum(outcome.broken is not None for outcome in result.outcomes.values()),
    }
    write_whole(path / "summary.json", json.dumps(summary, indent=1) + "\n")
    print(f"{path}: members.csv, settings.csv, curves.png, scores.png, samples.png (a row a member)")
    if summary["broken"]:
        print(f"{summary['broken']} member(s) stopped being finite: members.csv says which and when")
    if best is None:
        print("no member has a finite score: lower learning rates usually help")
        return
    values = ", ".join(f"{name} {shown(value)}" for name, value in [*best.values.items(), ("seed", best.seed)])
    print(
        f"best by {deciding} ({result.outcomes[best.number].score:.4g}): member {best.number} ({values}); "
        f"next: python -m experiments.sample {path / 'best'} --out samples.png"
    )


def _samples(plan: Plan, result: Result, dataset: Dataset, states: Sequence[GANState]) -> np.ndarray:
    """A row of samples for every member, on the same latents; of points a picture."""
    run = _run(plan.config(plan.members[0]), dataset)
    z_rng, _ = run.fixed_keys()
    rows: list[np.ndarray] = []
    generators: dict[Program, tuple[Any, Any, Any]] = {}
    for member, state in zip(report.shown_members(plan.members), states, strict=True):
        program = result.homes[member.number][0].program
        if program not in generators:
            gan = program.make({name: member.values[name] for name in program.numbers})
            n = sampling.COLUMNS if dataset.is_image else 1000
            conditional = sampling.condition_kind(run, gan) == "label"
            y = jnp.arange(n, dtype=jnp.int32) % dataset.num_classes if conditional else None
            generators[program] = sampling.generator_of(gan), gan.prior(z_rng, n), y
        generate, z, y = generators[program]
        rows.append(generate(jax.tree.map(jnp.asarray, state), z, y))
    if dataset.is_image:
        return images.grid(np.concatenate(rows), sampling.COLUMNS)
    pictures = [images.scatter(row, dataset.x[:1000], size=240) for row in rows]
    return images.grid(np.stack(pictures), min(8, len(pictures)))


def save_as_run(plan: Plan, member: Member, result: Result, out: Path, metrics: dict[int, dict[str, float]]) -> Path:
    """A member as a run that was trained alone: `sample`, `evaluate` and `run --resume` take it."""
    (state,) = training.states_of(result, [member])
    if jax.process_index() == 0:
        rundir.create(plan.config(member), data.load(plan.base.run["data"]), out, overwrite=True)
        lines = [json.dumps({"step": step, **record}) for step, record in sorted(metrics.items())]
        write_whole(out / "metrics.jsonl", "\n".join([*lines, ""]))
    checkpoint.save(out / "checkpoints", int(state.step), state, notes={"window": logs.Window()._asdict()})
    return out

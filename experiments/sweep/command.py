"""Runs a sweep that has been planned: training, scores, and what it shows when it has come to its end."""

import functools
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import measures, rundir, sampling
from experiments.measures import Reference
from experiments.rundir import Run, write_whole
from experiments.signals import stop_signals
from experiments.sweep import report, training
from experiments.sweep.plan import Member, Plan
from experiments.sweep.programs import Program
from experiments.sweep.store import Store
from experiments.sweep.training import Result, Sweep
from gan_jax import checkpoint, data, images, population
from gan_jax.data import Dataset
from gan_jax.gan import GAN, GANState

_SCORES = ("frechet", "stacked", "sliced")


def run(store: Store, *, dry_run: bool, memory: float | None, mapping: population.Mapping | None) -> int:
    """Trains from where the sweep stands, scores, reports; returns 0, or 128 + the signal that stopped it."""
    plan = store.plan
    dataset = data.load(plan.base.run["data"])
    reference, metric = _reference(store, dataset)
    deciding = measures.MEASURES[metric].decides or metric
    lower = deciding in measures.LOWER_IS_BETTER
    score = _scorer(store, reference, metric, deciding)
    started = time.perf_counter()
    with stop_signals() as received:
        sweep = Sweep(plan, dataset, store.path, score, lower, mapping, memory)
        result = training.train(sweep, received, dry_run=dry_run)
    if dry_run:
        return 0
    if result.signal is not None:
        print(
            f"stopped and saved; go on with: python -m experiments.sweep {plan.base.experiment} --resume {store.path}"
        )
        return 128 + result.signal
    if jax.process_index() == 0:
        _report(store, result, dataset, deciding, lower, time.perf_counter() - started)
    return 0


def _reference(store: Store, dataset: Dataset) -> tuple[Reference, str]:
    """The real data, and the metric that members are scored by.

    Raises:
      InputError: the metric, or none, fits.
    """
    run = _run(store.plan, store.plan.members[0], dataset)
    reference = measures.reference(run, run.gan(), None)
    fitting = [name for name in _SCORES if name in measures.fitting(reference)]
    chosen = [store.metric] if store.metric is not None else fitting[:1]
    measures.check_fitting(run, reference, chosen)
    return reference, chosen[0]


def _scorer(store: Store, reference: Reference, metric: str, deciding: str) -> training.Score:
    """Every member's samples come from the same latents, so that scores differ by what was learned."""
    rng = jax.random.key(store.plan.base.run["seed"])

    @functools.cache
    def drawer(program: Program) -> Any:
        return measures.drawer(_gan(store.plan, program, store.plan.members[0]), reference, store.score_samples)

    def score(program: Program, member: Member, state: GANState) -> float:
        draw = drawer(program)(jax.tree.map(jnp.asarray, state), rng)
        return measures.MEASURES[metric].of(reference, draw)[deciding].value

    return score


def _gan(plan: Plan, program: Program, member: Member) -> GAN:
    return program.make({name: member.values[name] for name in program.numbers})


def _run(plan: Plan, member: Member, dataset: Dataset) -> Run:
    return Run(Path(), plan.config(member), dataset.shape, dataset.num_classes)


def _report(store: Store, result: Result, dataset: Dataset, deciding: str, lower: bool, seconds: float) -> None:
    """Tables, pictures, and the best member as a run of its own."""
    plan, path = store.plan, store.path
    means = training.mean_scores(plan.members, result.outcomes)
    order = sorted(means, key=lambda k: (means[k] is None, (means[k] or 0) * (1 if lower else -1)))
    metrics = report.read_metrics(path / "metrics.jsonl", len(plan.members))
    report.write_tables(path, plan, result.outcomes, metrics, deciding)
    report.plot_curves(path / "curves.png", plan, metrics, order)
    report.plot_scores(path / "scores.png", plan, means, deciding)
    images.save_png(path / "samples.png", _samples(plan, result, dataset))
    sign = 1 if lower else -1
    last = [o for o in result.outcomes.items() if o[1].step == plan.rungs[-1]]
    scores = {number: sign * o.score for number, o in last if o.score is not None}
    best = plan.members[min(scores, key=lambda number: scores[number])] if scores else None
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
    _save_as_run(plan, best, result, dataset, path, metrics[best.number])
    values = ", ".join(f"{name} {value:.3g}" for name, value in [*best.values.items(), ("seed", best.seed)])
    print(
        f"best by {deciding} ({result.outcomes[best.number].score:.4g}): member {best.number} ({values}); "
        f"next: python -m experiments.sample {path / 'best'} --out samples.png"
    )


def _samples(plan: Plan, result: Result, dataset: Dataset) -> np.ndarray:
    """A row of samples for every member, on the same latents; of points a picture."""
    shown = report.shown_members(plan.members)
    run = _run(plan, plan.members[0], dataset)
    z_rng, _ = run.fixed_keys()
    rows: list[np.ndarray] = []
    generators: dict[Program, tuple[Any, Any, Any]] = {}
    for member, state in zip(shown, training.states_of(result, shown), strict=True):
        program = result.homes[member.number][0].program
        if program not in generators:
            gan = _gan(plan, program, member)
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


def _save_as_run(
    plan: Plan, member: Member, result: Result, dataset: Dataset, path: Path, history: dict[int, dict[str, float]]
) -> None:
    run = rundir.create(plan.config(member), dataset, path / "best", overwrite=True)
    lines = [json.dumps({"step": step, **record}) for step, record in sorted(history.items())]
    write_whole(run.path / "metrics.jsonl", "\n".join([*lines, ""]))
    (state,) = training.states_of(result, [member])
    checkpoint.save(run.checkpoints, int(state.step), jax.tree.map(jnp.asarray, state))

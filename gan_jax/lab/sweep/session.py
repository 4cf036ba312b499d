"""A sweep from its plan to its report: training, scores, the best member, tables and pictures."""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import checkpoint, data, images, population
from gan_jax.data import Dataset
from gan_jax.gan import GAN, GANState
from gan_jax.lab import devices, files, sampling
from gan_jax.lab.cli import Lab
from gan_jax.lab.experiment import Config
from gan_jax.lab.job import Job
from gan_jax.lab.measuring import evaluation, measures
from gan_jax.lab.measuring.reference import Reference
from gan_jax.lab.runs import directory, logs
from gan_jax.lab.signals import stop_signals
from gan_jax.lab.sweep import cohorts, report
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep import store as storing
from gan_jax.lab.sweep.cohorts import Result, Sweep
from gan_jax.lab.sweep.plan import Member, Plan
from gan_jax.lab.sweep.programs import Program
from gan_jax.lab.sweep.store import Store


class Scoring(NamedTuple):
    """The data of a sweep, and how its members are scored on it: by the number `metric` of `samples` samples each."""

    dataset: Dataset
    reference: Reference
    measure: str
    metric: str
    lower_is_better: bool
    samples: int

    def reference_of(self, gan: GAN) -> Reference:
        """What samples of a GAN are compared with: conditional where it is."""
        return dataclasses.replace(self.reference, conditional=gan.conditioning.kind == "labels")


def scoring_of(base: Config, metric: str | None, samples: int) -> Scoring:
    """The metric that was typed, or for None the one that suits the data.

    Raises:
      InputError: the metric, or none, fits.
    """
    dataset = data.load(base.options["data"])
    job = Job(base, dataset.shape, dataset.num_classes)
    reference = evaluation.reference_of(job, job.gan())
    chosen = [metric] if metric is not None else measures.scoring(reference)[:1]
    evaluation.check_fitting(job, reference, chosen)
    deciding = measures.decider(chosen[0])
    return Scoring(dataset, reference, chosen[0], deciding, deciding in measures.LOWER_IS_BETTER, samples)


def check(plan: Plan, scoring: Scoring) -> None:
    """Raises InputError where some members' options can't be combined, or the metric does not fit them."""
    for (first, *_), _ in planning.groups(plan, plan.members):
        job = Job(plan.config(first), scoring.dataset.shape, scoring.dataset.num_classes)
        evaluation.check_fitting(job, scoring.reference_of(job.gan()), [scoring.measure])


def run(lab: Lab, store: Store, *, dry_run: bool, memory: float | None, mapping: population.Mapping | None) -> int:
    """Trains from where the sweep stands, scores, reports; returns 0, 1 for a full disk, or 128 + signal.

    Raises:
      InputError: another process uses it, its checkpoints can't be read, or a member can't be built or does not fit.
    """
    # As it was at the start, or what is free now: cohorts that are continued must be those that were begun.
    memory = memory or store.memory or devices.usable_memory()
    plan, path = store.plan, store.path
    scoring = scoring_of(plan.base, store.metric, store.score_samples)
    check(plan, scoring)
    resume = lab.command("sweep", plan.base.name, "--resume", path)
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        if not dry_run and jax.process_index() == 0:
            if not (path / "sweep.json").exists():
                storing.write(dataclasses.replace(store, memory=memory))
            stack.enter_context(files.lock(path))
        received = stack.enter_context(stop_signals("stopping: what is trained will be saved"))
        try:
            result = train(plan, scoring, path, received, dry_run=dry_run, memory=memory, mapping=mapping)
            if dry_run:
                return 0
            if result.signal is not None:
                print(f"stopped and saved; continue with: {resume}")
                return 128 + result.signal
            best = _best(plan, result, scoring)
            states = cohorts.states_of(result, report.shown_members(plan.members))
            metrics = report.read_metrics(path / "metrics.jsonl", len(plan.members))
            if best is not None:
                save_as_run(plan, best, result, path / "best", metrics[best.number])
            if jax.process_index() == 0:
                _report(lab, store, result, scoring, best, states, metrics, time.perf_counter() - started)
        except BrokenPipeError:
            raise
        except OSError as error:
            print(
                f"{path} can't be written any more ({error.strerror or error}); what was saved is whole: free some "
                f"space, then continue with: {resume}",
                file=sys.stderr,
            )
            return 1
    return 0


def _best(plan: Plan, result: Result, scoring: Scoring) -> Member | None:
    """The member with the best score of those that came to the end; None where none of them has any."""
    sign = 1 if scoring.lower_is_better else -1
    last = [o for o in result.outcomes.items() if o[1].step == plan.rungs[-1]]
    scores = {number: sign * o.score for number, o in last if o.score is not None}
    return plan.members[min(scores, key=lambda number: scores[number])] if scores else None


def train(
    plan: Plan,
    scoring: Scoring,
    path: Path,
    received: Sequence[int],
    *,
    dry_run: bool = False,
    memory: float | None = None,
    mapping: population.Mapping | None = None,
) -> Result:
    """Trains and scores the members of a plan, with their states and metrics in `path`."""
    # Every member's samples come from the same latents, so that scores differ by what was learned.
    rng = jax.random.key(plan.base.options["seed"])

    drawers: dict[Program, Any] = {}

    def score(program: Program, member: Member, state: GANState) -> float:
        if program not in drawers:
            reference = scoring.reference_of(program.gan)
            drawers[program] = evaluation.sample_drawer(program.gan, reference, scoring.samples)
        draw = drawers[program](jax.tree.map(jnp.asarray, state), rng)
        return measures.MEASURES[scoring.measure].of(scoring.reference, draw)[scoring.metric].value

    limit = devices.usable_memory() if memory is None else memory
    sweep = Sweep(plan, scoring.dataset, path, score, scoring.lower_is_better, mapping, limit)
    return cohorts.train(sweep, received, dry_run=dry_run)


def history(plan: Plan, path: Path, member: Member) -> dict[int, dict[str, float]]:
    """A member's metrics by step, of a plan that was trained in `path`."""
    return report.read_metrics(path / "metrics.jsonl", len(plan.members))[member.number]


def _report(
    lab: Lab,
    store: Store,
    result: Result,
    scoring: Scoring,
    best: Member | None,
    states: Sequence[GANState],
    metrics: Sequence[dict[int, dict[str, float]]],
    seconds: float,
) -> None:
    """Tables and pictures; `states` are those of `report.shown_members`."""
    plan, path, deciding = store.plan, store.path, scoring.metric
    sign = 1 if scoring.lower_is_better else -1
    means = cohorts.mean_scores(plan.members, result.outcomes)
    order = sorted(means, key=lambda k: (means[k] is None, sign * (means[k] or 0)))
    report.write_tables(path, plan, result.outcomes, metrics, deciding)
    report.plot_curves(path / "curves.png", plan, metrics, order)
    report.plot_scores(path / "scores.png", plan, means, deciding)
    images.save_png(path / "samples.png", _samples(plan, result, scoring.dataset, states))
    summary = {
        "seconds": seconds,
        "compilations": result.compilations,
        "devices": jax.device_count(),
        "metric": deciding,
        "best_member": None if best is None else best.number,
        "broken": sum(outcome.broken is not None for outcome in result.outcomes.values()),
    }
    files.write_text(path / "summary.json", json.dumps(summary, indent=1) + "\n")
    print(f"{path}: members.csv, settings.csv, curves.png, scores.png, samples.png (one row per member)")
    if summary["broken"]:
        print(f"{summary['broken']} member(s) stopped being finite: members.csv says which and when")
    if best is None:
        print("no member has a finite score: lower learning rates usually help")
        return
    setting = ", ".join(filter(None, [plan.label(best), f"seed {best.seed}"]))
    print(
        f"best by {deciding} ({result.outcomes[best.number].score:.4g}): member {best.number} ({setting}); "
        f"next: {lab.command('sample', path / 'best', '--out', 'samples.png')}"
    )


def _samples(plan: Plan, result: Result, dataset: Dataset, states: Sequence[GANState]) -> np.ndarray:
    """A row of samples for every member, on the same latents; of points a picture."""
    z_rng = Job(plan.config(plan.members[0]), dataset.shape, dataset.num_classes).keys.z
    rows: list[np.ndarray] = []
    generators: dict[Program, tuple[Any, Any, Any]] = {}
    for member, state in zip(report.shown_members(plan.members), states, strict=True):
        program = result.locations[member.number][0].program
        if program not in generators:
            gan = program.gan
            n = sampling.COLUMNS if dataset.is_image else 1000
            conditional = gan.conditioning.kind == "labels"
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
    (state,) = cohorts.states_of(result, [member])
    if jax.process_index() == 0:
        directory.create(plan.config(member), data.load(plan.base.options["data"]), out, overwrite=True)
        lines = [json.dumps({"step": step, **record}) for step, record in sorted(metrics.items())]
        files.write_text(out / "metrics.jsonl", "\n".join([*lines, ""]))
    checkpoint.save(out / "checkpoints", int(state.step), state, notes={"window": logs.Window()._asdict()})
    return out

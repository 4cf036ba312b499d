"""A sweep from its plan to its report: training, scores, the best member, tables and pictures."""

import contextlib
import dataclasses
import hashlib
import json
import math
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
from gan_jax.errors import InputError
from gan_jax.gan import GAN, GANState
from gan_jax.lab import costs, devices, files, sampling, signals, tagging
from gan_jax.lab.cli import Lab
from gan_jax.lab.experiment import Config
from gan_jax.lab.job import Job
from gan_jax.lab.measuring import evaluation, measures
from gan_jax.lab.measuring.reference import Reference
from gan_jax.lab.progress import Progress, counted
from gan_jax.lab.runs import directory, logs
from gan_jax.lab.runs import journal as journaling
from gan_jax.lab.sweep import cohorts, lines, programs, report
from gan_jax.lab.sweep import plan as planning
from gan_jax.lab.sweep import store as storing
from gan_jax.lab.sweep.axes import LEFT_OUT
from gan_jax.lab.sweep.cohorts import Result, Sweep
from gan_jax.lab.sweep.plan import Member, Plan
from gan_jax.lab.sweep.programs import Program
from gan_jax.lab.sweep.store import Store


class Scoring(NamedTuple):
    """The data of a sweep, and how its members are scored on it: by the number `metric` of `samples` samples each.

    `asked` is --features as typed, `features` says which features the metric is made of: None where it has none.
    """

    dataset: Dataset
    reference: Reference
    measure: str
    metric: str
    lower_is_better: bool
    samples: int
    asked: str | None = None

    @property
    def features(self) -> str | None:
        return measures.features_used(self.reference, [self.measure])

    @property
    def kind(self) -> dict[str, Any]:
        """What a score is of, as it is recorded: scores of another kind can't be compared with it."""
        classifier = self.reference.classifier
        # A file may be replaced by that of another classifier.
        trained = None if classifier is None else json.dumps(dict(classifier.record), sort_keys=True)
        digest = None if trained is None else hashlib.blake2b(trained.encode(), digest_size=4).hexdigest()
        found = {"metric": self.metric, "samples": self.samples, "classifier": digest}
        return (
            found if self.reference.extractor is None or self.features is None else found | {"features": self.features}
        )

    @property
    def better(self) -> str:
        """Which scores are better, in words."""
        return f"{'lower' if self.lower_is_better else 'higher'} is better"

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of the data: other data is not what scores of this one can be compared with."""
        return self.dataset.fingerprint, self.reference.test.fingerprint

    def reference_of(self, gan: GAN) -> Reference:
        """What samples of a GAN are compared with: conditional where it is."""
        conditioning = gan.conditioning
        return dataclasses.replace(self.reference, conditional=conditioning.kind == "labels", view=conditioning.view)


def scoring_of(base: Config, metric: str | None, samples: int, features: str | None) -> Scoring:
    """The metric that was typed, or for None the one that suits the data; `features` as typed.

    Raises:
      InputError: the metric, or none, fits; or the features are none, or not what it is made of.
    """
    dataset = data.load(base.options["data"])
    job = Job.on(base, dataset)
    gan = job.gan()
    if gan.conditioning.kind == "data" and gan.conditioning.view is None:
        raise InputError(
            f"members of {base.name} can't be scored, their samples contain a part of a real image: sweep and study "
            "take experiments that generate whole examples"
        )
    reference = evaluation.reference_of(job, gan, features=features, train=dataset)
    chosen = [metric] if metric is not None else measures.scoring(reference)[:1]
    evaluation.check_fitting(job, reference, chosen)
    deciding = measures.decider(chosen[0])
    lower = deciding in measures.LOWER_IS_BETTER
    measures.features_used(reference, chosen, features)
    return Scoring(dataset, reference, chosen[0], deciding, lower, samples, features)


def check(plan: Plan, scoring: Scoring) -> None:
    """Raises InputError where some members' options can't be combined, or the metric does not fit them."""
    for (first, *_), _ in planning.groups(plan, plan.members):
        job = Job.on(plan.config(first), scoring.dataset)
        evaluation.check_fitting(job, scoring.reference_of(gan := job.gan()), [scoring.measure])
        if gan.conditioning.kind == "data":
            sampling.conditions(gan, scoring.dataset, np.arange(1), job.keys.y)
        job.check_batch(gan)


def run(
    lab: Lab,
    store: Store,
    *,
    dry_run: bool,
    memory: float | None,
    mapping: population.Mapping | None,
    features: str | None,
    look: str = "readme",
) -> int:
    """Trains from where the sweep stands, scores, reports; returns 0, 1 for a full disk, or 128 + signal.

    Raises:
      InputError: another process uses it, its data or its checkpoints can't be read or have changed, or a member can't
        be built or does not fit.
    """
    # As it was at the start, or what is free now: cohorts that are continued must be those that were begun.
    memory = memory or store.memory or devices.usable_memory()
    plan, first = store.plan, jax.process_index() == 0
    bar = Progress(cohorts.total(plan), what=f"{len(plan.members)} x {plan.base.name}", quiet=not first)
    with contextlib.ExitStack() as stack:
        stack.enter_context(bar)
        with signals.leave_at_once("stopped before anything was trained"), bar.doing("reading the data"):
            scoring = scoring_of(plan.base, store.metric, store.score_samples, features)
            check(plan, scoring)
            if store.data not in (None, scoring.fingerprints):
                raise InputError(
                    f"{plan.base.options['data']} has changed since {store.path} was started: put it back, or start a "
                    "new sweep"
                )
            if store.features not in (None, scoring.features):
                raise InputError(
                    f"{store.path} is scored with features of {store.features}, and would be with "
                    f"{scoring.features or 'none'}: give the same with --features, or start a new sweep"
                )
            if (needed := scoring.dataset.x.nbytes) > memory:
                raise InputError(
                    f"a sweep keeps its data on the device, and {plan.base.options['data']} takes {needed / 1e9:.3g} "
                    f"of the {memory / 1e9:.3g} GB that may be used: prepare it with a smaller --size, or use run"
                )
        if first:
            bar.say(planning.described(plan, jax.device_count()))
            if scoring.features is not None:
                bar.say(f"  scored by {scoring.metric} in features of {scoring.features}")
        if dry_run:
            job, size = programs.largest(plan, scoring.dataset)
            if first:
                bar.say(f"  a member has {costs.summary(job.gan(), job)}" + " at most" * (plan.settings > 1))
                bar.say(f"  its state takes {size / 2**20:.3g} MiB; a program's memory is known when it is compiled")
                bar.say(f"  in {store.path}: tables, pictures, metrics.jsonl, scores.jsonl, states/, best/")
            return 0
        # Each has to see that the directory is free before the first makes it.
        devices.wait_for_each_other()
        if first and store.memory is None:
            begun = dataclasses.replace(store, memory=memory, data=scoring.fingerprints, features=scoring.features)
            store = storing.begin(begun)
        path = store.path
        resume = lab.command("sweep", plan.base.name, "--resume", path, *_typed(scoring))
        if first:
            stack.enter_context(files.lock(path))
        started = time.perf_counter()
        try:
            with signals.stop_signals("stopping after this step, what is trained will be saved") as received:
                farewell = f"stopped, what was trained is saved; continue with: {resume}"
                result = train(
                    plan, scoring, path, received, bar=bar, farewell=farewell, memory=memory, mapping=mapping
                )
                if result.signal is not None:
                    bar.say(farewell)
                    return 128 + result.signal
                with signals.leave_at_once(farewell), bar.doing("writing tables and pictures"):
                    metrics = lines.read_metrics(path, len(plan.members))
                    best = _best(plan, result, scoring)
                    shown = report.shown_members(_ranked_members(plan, result, scoring))
                    # In one go: a cohort's states are read from the disk once.
                    states = cohorts.states_of(result, [*shown, *([] if best is None else [best])])
                    if best is not None:
                        out, history = path / "best", metrics[best.number]
                        save_as_run(plan, best, states.pop(), scoring.dataset, out, history, command=resume)
                    if first:
                        _report(store, result, scoring, best, states, metrics, time.perf_counter() - started, look)
            if first:
                bar.say(_summary(lab, store, result, scoring, best))
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


def _ranked_members(plan: Plan, result: Result, scoring: Scoring) -> list[Member]:
    """The members, best first: those that came furthest, by their scores."""
    sign = 1 if scoring.lower_is_better else -1

    def key(member: Member) -> tuple[Any, ...]:
        outcome = result.outcomes[member.number]
        return outcome.score is None, -outcome.step, sign * (outcome.score or 0), member.number

    return sorted(plan.members, key=key)


def train(
    plan: Plan,
    scoring: Scoring,
    path: Path,
    received: Sequence[int],
    *,
    bar: Progress,
    farewell: str,
    memory: float,
    mapping: population.Mapping | None = None,
) -> Result:
    """Trains and scores the members of a plan, with their states and what is measured in `path`."""
    # Every member's samples come from the same latents, so that scores differ by what was learned.
    rng = jax.random.key(plan.base.options["seed"])

    drawers: dict[Program, Any] = {}

    def score(program: Program, member: Member, state: GANState) -> float:
        if program not in drawers:
            reference = scoring.reference_of(program.gan)
            drawers[program] = evaluation.sample_drawer(program.gan, reference, scoring.samples)
        try:
            draw = drawers[program](jax.device_put(state), rng)
        except sampling.NotFiniteError:
            return math.nan
        return measures.MEASURES[scoring.measure].of(scoring.reference, draw)[scoring.metric].value

    kind, lower = scoring.kind, scoring.lower_is_better
    return cohorts.train(
        Sweep(plan, scoring.dataset, path, score, kind, lower, mapping, memory, farewell), received, bar
    )


def repeated(lab: Lab, config: Config, scoring: Scoring, seeds: int) -> str:
    """The command that trains one setting again, with so many seeds that it has not seen, and at least three."""
    defaults, options = config.experiment.defaults, config.options
    typed: list[Any] = []
    for name, value in options.items():
        if name not in LEFT_OUT and value != defaults[name]:
            typed += [f"--{name.replace('_', '-')}", config.spelled(name)]
    typed += ["--metric", scoring.measure, "--score-samples", scoring.samples, *_typed(scoring)]
    return lab.command("sweep", config.name, *typed, "--seed", options["seed"] + seeds, "--seeds", max(3, seeds))


def _typed(scoring: Scoring) -> list[str]:
    return [] if scoring.asked is None else ["--features", scoring.asked]


def _report(
    store: Store,
    result: Result,
    scoring: Scoring,
    best: Member | None,
    states: Sequence[GANState],
    metrics: Sequence[dict[int, dict[str, float]]],
    seconds: float,
    look: str,
) -> None:
    """Tables and pictures; `states` are those of the members that `report.shown_members` chooses of the ranked ones."""
    from gan_jax.lab import style  # Not earlier: Matplotlib takes half a second, and training needs none.
    from gan_jax.lab.sweep import figures

    plan, path, outcomes = store.plan, store.path, result.outcomes
    order = cohorts.ranked(plan.members, outcomes, lower_is_better=scoring.lower_is_better)
    report.write_tables(path, plan, outcomes, metrics, scoring.metric)
    scores = lines.read_scores(path, scoring.kind)
    with style.applied(look):
        figures.plot_curves(path / "curves.png", plan, outcomes, metrics, scores, order, scoring.metric, scoring.better)
        figures.plot_scores(path / "scores.png", plan, outcomes, order, scoring.metric, scoring.better)
    shown, pictures = _samples(plan, result, scoring, states)
    (path / "samples").mkdir(exist_ok=True)
    for member, picture in zip(shown, pictures, strict=True):  # For reports, which sort them.
        images.save_png(path / "samples" / f"{member.number:05d}.png", picture)
    titles = [report.title(plan, member, outcomes[member.number], scoring.metric) for member in shown]
    together = report.labelled if scoring.dataset.is_image or scoring.dataset.tags else report.tiled
    images.save_png(path / "samples.png", together(pictures, titles))
    summary = {
        "seconds": seconds,
        "compilations": result.compilations,
        "devices": jax.device_count(),
        "metric": scoring.metric,
        "features": scoring.features,
        "best_member": None if best is None else best.number,
        "best_setting": _best_setting(plan, result, order),
        "broken": sum(outcome.broken is not None for outcome in outcomes.values()),
    }
    files.write_text(path / "summary.json", json.dumps(summary, indent=1) + "\n")


def _best_setting(plan: Plan, result: Result, order: Sequence[int]) -> int | None:
    """The setting with the best mean score of those that came to the end; None where none of them has any."""
    means = cohorts.mean_scores(plan.members, result.outcomes)
    done = {m.setting for m in plan.members if result.outcomes[m.number].step == plan.rungs[-1]}
    return next((setting for setting in order if setting in done and means[setting] is not None), None)


def _summary(lab: Lab, store: Store, result: Result, scoring: Scoring, best: Member | None) -> str:
    """What came out, and what to do next."""
    plan, path, outcomes = store.plan, store.path, result.outcomes
    found = [f"{path}: members.csv, settings.csv, curves.png, scores.png, samples.png (one row per member)"]
    broken = sum(outcome.broken is not None for outcome in outcomes.values())
    unscored = sum(outcome.score is None for outcome in outcomes.values()) - broken
    if broken:
        found.append(f"{counted(broken, 'member')} stopped being finite: members.csv says which and when")
    if unscored:
        found.append(f"{scoring.metric} of {counted(unscored, 'member')} is not finite: members.csv says which")
    if best is None:
        return "\n".join([*found, "no member has a finite score: lower learning rates usually help"])
    setting = ", ".join(filter(None, [plan.label(best), f"seed {best.seed}"]))
    found.append(
        f"best member by {scoring.metric} ({outcomes[best.number].score:.4g}, {scoring.better}): member {best.number} "
        f"({setting}); next: {lab.command('sample', path / 'best', '--out', 'samples.png')}"
    )
    order = cohorts.ranked(plan.members, outcomes, lower_is_better=scoring.lower_is_better)
    chosen, seeds = _best_setting(plan, result, order), len(plan.members) // plan.settings
    if chosen is not None and plan.swept:
        members = [member for member in plan.members if member.setting == chosen]
        mean, spread = report.mean_and_spread([outcomes[member.number].score for member in members])
        around = "" if spread is None else f" +- {spread:.2g}"
        found.append(
            f"best setting by the mean of {counted(seeds, 'seed')} ({mean:.4g}{around}): {plan.label(members[0])}; the "
            f"best of many is partly luck, so repeat it with fresh seeds: "
            f"{repeated(lab, plan.config(members[0]), scoring, seeds)}"
        )
    return "\n".join(found)


def _samples(
    plan: Plan, result: Result, scoring: Scoring, states: Sequence[GANState]
) -> tuple[list[Member], list[np.ndarray]]:
    """The members that are shown, best first, and a picture of each: a row of samples, all from the same latents."""
    dataset = scoring.dataset
    z_rng = Job.on(plan.config(plan.members[0]), dataset).keys.z
    members = report.shown_members(_ranked_members(plan, result, scoring))
    rows: list[np.ndarray] = []
    generators: dict[Program, tuple[Any, Any, Any]] = {}
    if dataset.tags:
        return members, _tagged(plan, result, scoring, members, states)
    for member, state in zip(members, states, strict=True):
        program = result.locations[member.number][0].program
        if program not in generators:
            gan = program.gan
            n = sampling.COLUMNS if dataset.is_image else 1000
            y: Any
            if gan.conditioning.kind == "labels":
                y = jnp.arange(n, dtype=jnp.int32) % dataset.num_classes
            elif gan.conditioning.kind == "data":
                y = sampling.conditions(gan, scoring.reference.test, np.arange(n) % len(scoring.reference.test), z_rng)
            else:
                y = gan.conditioning.draw(z_rng, n)
            generators[program] = sampling.generator_of(gan), gan.prior(z_rng, n), y
        generate, z, y = generators[program]
        rows.append(generate(jax.device_put(state), z, y))
    if dataset.is_image:
        return members, [images.grid(row, sampling.COLUMNS) for row in rows]
    reference = sampling.points_of(dataset)
    return members, [images.scatter(row, reference, size=240) for row in rows]


def _tagged(
    plan: Plan, result: Result, scoring: Scoring, members: Sequence[Member], states: Sequence[GANState]
) -> list[np.ndarray]:
    """A row of test pictures for each member, with the tags that it gives them."""
    test, rng = scoring.reference.test, Job.on(plan.config(plan.members[0]), scoring.dataset).keys.z
    numbers, drawers, rows = np.arange(tagging.COLUMNS) % len(test), {}, []
    for member, state in zip(members, states, strict=True):
        program = result.locations[member.number][0].program
        if program not in drawers:
            drawers[program] = tagging.drawer(program.gan), sampling.conditions(program.gan, test, numbers, rng)
        draw, y = drawers[program]
        rows.append(tagging.picture(test.tags, y, draw(jax.device_put(state), y, rng)))
    return rows


def save_as_run(
    plan: Plan,
    member: Member,
    state: GANState,
    dataset: Dataset,
    out: Path,
    metrics: dict[int, dict[str, float]],
    *,
    command: str,
) -> Path:
    """A member in its last state as a run that was trained alone: `sample`, `evaluate` and `run --resume` take it.

    Its journal names the command that trained it, and no seconds: many members shared them.
    """
    config = plan.config(member)
    job, step = Job.on(config, dataset), int(state.step)
    if jax.process_index() == 0:
        directory.create(config, dataset, out, overwrite=True)
        lines = [json.dumps({"step": step, **record}) for step, record in sorted(metrics.items())]
        files.write_text(out / "metrics.jsonl", "\n".join([*lines, ""]))
        with journaling.keeping(out, job, dataset, command, 0, step, used=jax.device_count()) as journal:
            journal.note(step, 0.0, metrics[max(metrics)] if metrics else {})
            journal.status = "finished"
    run = directory.RunDir(out, job, config.options["steps"])
    notes = {"window": logs.Window()._asdict(), "run": run.identity}
    checkpoint.save(run.checkpoints, step, state, notes=notes)
    return out
